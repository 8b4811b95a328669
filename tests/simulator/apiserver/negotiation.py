"""Choosing the form of an answer from the Accept header."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.apiserver.errors import ApiError

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SUPPORTED = f"{JSON}, {YAML}, {PROTOBUF}"
TRANSFORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
DISCOVERY_FORM = "APIGroupDiscoveryList"


@dataclass(frozen=True)
class Form:
    """``media_type`` and, if the client asked for another kind of object, ``transform`` (as=…)."""

    media_type: str
    transform: str = ""


def negotiate(accept: str, *, allow_transforms: bool = True) -> Form:
    """The first alternative that can be served; protobuf is skipped where something else is listed. ApiError 406."""
    clauses = [_clause(text) for text in (accept or "*/*").split(",")]
    asked_transform = False
    for media_type, parameters in clauses:
        if media_type not in (JSON, YAML, "*/*", "application/*"):
            continue
        chosen = YAML if media_type == YAML else JSON
        wanted = parameters.get("as", "")
        if not wanted:
            return Form(chosen)
        asked_transform = True
        right_group = parameters.get("g") == "meta.k8s.io" and parameters.get("v") in ("v1", "v1beta1")
        if allow_transforms and wanted in TRANSFORMS and right_group:
            return Form(chosen, wanted)
    if asked_transform:
        raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {SUPPORTED}")
    raise ApiError(406, "NotAcceptable", f"406: Not Acceptable\n\nAvailable representations: {SUPPORTED}", {})


def wants_aggregated_discovery(accept: str) -> bool:
    return any(
        parameters.get("as") == DISCOVERY_FORM and parameters.get("v") == "v2"
        for media_type, parameters in map(_clause, accept.split(","))
        if media_type in (JSON, "*/*")
    )


def _clause(text: str) -> tuple[str, dict[str, str]]:
    media_type, *parameters = [part.strip() for part in text.split(";")]
    pairs = (parameter.partition("=") for parameter in parameters)
    return media_type, {name: value for name, _unused, value in pairs}

"""Reading the body of a request: media types, size, and which kind of object it is."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import yaml

from simulator.apiserver.codec import json_kind
from simulator.apiserver.errors import ApiError, bad_request
from simulator.apiserver.negotiation import JSON, PROTOBUF, YAML

Object = dict[str, Any]

LIMIT = 3 * 1024 * 1024
SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
}
CUSTOM_PATCH_TYPES = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"


@dataclass(frozen=True)
class Expected:
    """The type that a body must have: that of the resource, or of the subresource (Eviction, Scale, …)."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


@dataclass
class Body:
    obj: Object
    duplicates: list[str] = field(default_factory=list)


def media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower() or JSON


def check_size(raw: bytes) -> None:
    if len(raw) > LIMIT:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}")


def read_object(raw: bytes, content_type: str, expected: Expected, known_kinds: set[tuple[str, str]]) -> Body:
    """An object of the expected type; a missing kind or apiVersion is taken from the path. ApiError 400 or 415."""
    check_size(raw)
    kind = media_type(content_type)
    if kind not in (JSON, YAML):
        accepted = f"{JSON}, {YAML}" if kind == PROTOBUF else f"{JSON}, {YAML}, {PROTOBUF}"
        message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
        raise ApiError(415, "UnsupportedMediaType", message)
    body = _parse(raw, kind, expected.kind)
    _check_type(body.obj, expected, known_kinds)
    return body


def _parse(raw: bytes, kind: str, wanted: str) -> Body:
    text = raw.decode("utf-8", errors="replace")
    try:
        value, duplicates = (yaml.safe_load(text), list[str]()) if kind == YAML else _load_json(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        problem = _json_problem(error, text) if isinstance(error, json.JSONDecodeError) else f"yaml: {error}"
        shown = text if text else "<empty>"
        message = f"the object provided is unrecognized (must be of type {wanted}): couldn't get version/kind; json parse error: {problem} ({shown})"
        raise bad_request(message) from None
    if not isinstance(value, dict):
        problem = f"json: cannot unmarshal {json_kind(value)} into Go value of type struct"
        message = f"the object provided is unrecognized (must be of type {wanted}): couldn't get version/kind; json parse error: {problem}"
        raise bad_request(message)
    return Body(value, duplicates)


def _load_json(text: str) -> tuple[Any, list[str]]:
    """The value and the paths of keys that occur twice in one object."""
    repeated: list[tuple[int, str]] = []
    kept: list[Object] = []

    def build(pairs: list[tuple[str, Any]]) -> Object:
        result: Object = {}
        for key, value in pairs:
            if key in result:
                repeated.append((id(result), key))
                kept.append(result)
            result[key] = value
        return result

    value = json.loads(text, object_pairs_hook=build)
    return value, [_path_of(value, number, "") + key for number, key in repeated]


def _path_of(value: Any, number: int, prefix: str) -> str:
    """Where the dictionary with that id is."""
    if id(value) == number:
        return prefix
    items = value.items() if isinstance(value, dict) else ()
    for key, item in items:
        if isinstance(item, dict):
            found = _path_of(item, number, f"{prefix}{key}.")
            if found or id(item) == number:
                return found
    return ""


def _json_problem(error: json.JSONDecodeError, text: str) -> str:
    if error.pos >= len(text.rstrip()):
        return "unexpected end of JSON input"
    return f"invalid character {text[error.pos]!r} looking for beginning of value"


def _check_type(obj: Object, expected: Expected, known_kinds: set[tuple[str, str]]) -> None:
    api_version = obj.get("apiVersion") or expected.api_version
    kind = obj.get("kind") or expected.kind
    obj["apiVersion"], obj["kind"] = api_version, kind
    if (api_version, kind) == (expected.api_version, expected.kind):
        return
    version = api_version.rpartition("/")[2]
    start = f'{kind} in version "{version}" cannot be handled as a {expected.kind}: '
    if (api_version, kind) in known_kinds:
        internal = expected.group.partition(".")[0] or "core"
        raise bad_request(f"{start}converting ({version}.{kind}) to ({internal}.{expected.kind}): unknown conversion")
    raise bad_request(f'{start}no kind "{kind}" is registered for version "{api_version}" in scheme "{SCHEME}"')


def read_patch(raw: bytes, content_type: str, *, custom: bool) -> tuple[str, Any]:
    """The patch's type and its document. ApiError 400 or 415."""
    check_size(raw)
    kind = PATCH_TYPES.get(media_type(content_type))
    if kind is None:
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
    if custom and kind == "strategic":
        message = (
            f"the body of the request was in an unknown format - accepted media types include: {CUSTOM_PATCH_TYPES}"
        )
        raise ApiError(415, "UnsupportedMediaType", message)
    text = raw.decode("utf-8", errors="replace")
    try:
        value = yaml.safe_load(text) if kind == "apply" else json.loads(text)
    except (json.JSONDecodeError, yaml.YAMLError) as error:
        problem = _json_problem(error, text) if isinstance(error, json.JSONDecodeError) else str(error)
        raise bad_request(f"error decoding {'YAML' if kind == 'apply' else 'patch'}: {problem}") from None
    _check_patch(kind, value)
    return kind, value


def _check_patch(kind: str, value: Any) -> None:
    wanted, go_type = (list, "[]handlers.jsonPatchOp") if kind == "json" else (dict, "map[string]interface {}")
    if not isinstance(value, wanted):
        raise bad_request(
            f"error decoding patch: json: cannot unmarshal {json_kind(value)} into Go value of type {go_type}"
        )

"""From what a client sent to a typed object: prunes, converts, warns or refuses by fieldValidation."""

from __future__ import annotations

from typing import Any

from simulator.apiserver import customresources
from simulator.apiserver.codec import DecodeProblem, Decoder
from simulator.apiserver.errors import ApiError, bad_request, internal_error, invalid_patch
from simulator.apiserver.options import WriteOptions
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.schema import OBJECT_META, SCHEMA

Object = dict[str, Any]


def decode(
    kind: ResourceType, obj: Object, options: WriteOptions, source: str, duplicates: list[str] | None = None
) -> Object:
    """A new, typed object. ``source`` (body, patch, apply) decides how problems are reported. ApiError 400, 422, 500."""
    unknown: list[str] = []
    try:
        result = _decode(kind, obj, unknown)
    except DecodeProblem as problem:
        raise _problem(kind, obj, source, str(problem)) from None
    findings = [f'duplicate field "{path}"' for path in duplicates or []] + [
        f'unknown field "{path}"' for path in unknown
    ]
    if unknown and source == "apply":
        raise _undeclared(kind, obj, unknown)
    if findings and options.validation == "Strict":
        raise _problem(kind, obj, source, "strict decoding error: " + ", ".join(findings))
    if findings and options.validation == "Warn":
        options.warnings.extend(findings)
    return result


def _decode(kind: ResourceType, obj: Object, unknown: list[str]) -> Object:
    struct = SCHEMA.of_resource(kind)
    if struct is not None:
        decoder = Decoder()
        result = decoder.decode(struct, obj)
        unknown.extend(decoder.unknown)
        return result
    result = {key: value for key, value in obj.items() if value is not None}
    if kind.schema is not None:
        result = customresources.prune(kind.schema, result, "", unknown)
    decoder = Decoder()
    result["metadata"] = decoder.decode(SCHEMA.structs[OBJECT_META], result.get("metadata") or {})
    unknown.extend(f"metadata.{path}" for path in decoder.unknown)
    return result


def _problem(kind: ResourceType, obj: Object, source: str, text: str) -> ApiError:
    if source == "patch":
        return invalid_patch(text)
    version = str(obj.get("apiVersion") or kind.api_version).rpartition("/")[2]
    return bad_request(f'{kind.kind} in version "{version}" cannot be handled as a {kind.kind}: {text}')


def _undeclared(kind: ResourceType, obj: Object, unknown: list[str]) -> ApiError:
    """Apply refuses fields that the schema does not declare, whatever fieldValidation says."""
    metadata = obj.get("metadata") or {}
    where = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {kind.group}/{kind.version}, Kind={kind.kind}"
    if kind.group:
        where = f"{metadata.get('namespace', '')}/{metadata.get('name', '')}; {kind.api_version}, Kind={kind.kind}"
    listed = [f".{path}: field not declared in schema" for path in unknown]
    text = listed[0] if len(listed) == 1 else "errors:\n" + "\n".join(f"  {item}" for item in listed)
    return internal_error(f"failed to create typed patch object ({where}): {text}")

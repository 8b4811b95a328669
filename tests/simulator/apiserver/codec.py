"""Decoding JSON into typed objects as Go does: unknown fields and nulls go, quantities and times become canonical."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timezone
from typing import Any

from simulator.apiserver import quantity
from simulator.apiserver.objects import copy_json
from simulator.apiserver.schema import SCHEMA, FieldType, Struct

Object = dict[str, Any]

TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)")
SECONDS_LAYOUT = "2006-01-02T15:04:05Z07:00"
MICRO_LAYOUT = "2006-01-02T15:04:05.000000Z07:00"
GO_SCALARS = {"str": "string", "int": "int32", "bool": "bool", "float": "float64", "bytes": "[]uint8"}
KEPT_EMPTY = {"containers", "verbs", "nodeSelectorTerms", "matchExpressions"}


class DecodeProblem(Exception):
    """A value of the wrong type; the text is Go's."""


class Decoder:
    """Decodes one object and collects the paths of unknown fields."""

    def __init__(self) -> None:
        self.unknown: list[str] = []

    def decode(self, struct: Struct, value: Object) -> Object:
        return self._struct(struct, value, "")

    def _struct(self, struct: Struct, value: Any, path: str) -> Object:
        result: Object = {}
        prefix = f"{path}." if path else ""
        for key, item in value.items():
            field = struct.fields.get(key)
            if field is None:
                self.unknown.append(prefix + key)
            elif item is not None:
                decoded = self._value(field, item, prefix + key, struct)
                if _is_kept(struct, key, field, decoded):
                    result[key] = decoded
        for key, zero in struct.always.items():
            if key not in result:
                result[key] = copy_json(zero)
        return result

    def _value(self, field: FieldType, value: Any, path: str, owner: Struct) -> Any:
        if field.shape == "scalar":
            return self._scalar(field.name, value, path, owner)
        if field.shape == "struct":
            struct = SCHEMA.structs[field.name]
            if not isinstance(value, dict):
                raise _mismatch(value, owner, path, f"v1.{struct.go_name}")
            return self._struct(struct, value, path)
        assert field.inner is not None
        if field.shape == "list":
            if not isinstance(value, list):
                raise _mismatch(value, owner, path, f"[]{_go_type(field.inner)}")
            return [self._value(field.inner, item, f"{path}[{number}]", owner) for number, item in enumerate(value)]
        if not isinstance(value, dict):
            raise _mismatch(value, owner, path, f"map[string]{_go_type(field.inner)}")
        return {key: self._value(field.inner, item, path, owner) for key, item in value.items() if item is not None}

    def _scalar(self, name: str, value: Any, path: str, owner: Struct) -> Any:
        if name == "any":
            return copy_json(value)
        if name == "quantity":
            return _quantity(value)
        if name in ("time", "microtime"):
            if not isinstance(value, str):
                raise _mismatch(value, owner, path, "string")
            return _seconds(value) if name == "time" else _micro(value)
        if name == "intstr":
            if isinstance(value, (str, int)) and not isinstance(value, bool):
                return value
            raise _mismatch(value, owner, path, "int32")
        return self._plain(name, value, path, owner)

    def _plain(self, name: str, value: Any, path: str, owner: Struct) -> Any:
        kinds: dict[str, tuple[type, ...]] = {
            "str": (str,),
            "int": (int,),
            "bool": (bool,),
            "float": (int, float),
            "bytes": (str,),
        }
        right = isinstance(value, kinds[name]) and not (isinstance(value, bool) and name != "bool")
        if not right and name == "int" and isinstance(value, float) and value.is_integer():
            return int(value)
        if not right:
            raise _mismatch(value, owner, path, GO_SCALARS[name])
        if name == "bytes":
            _check_base64(value)
        return value


def _is_kept(struct: Struct, key: str, field: FieldType, value: Any) -> bool:
    """Go's omitempty: empty lists and maps always go, zero scalars where they are no pointers."""
    if field.shape in ("list", "map") and not value:
        return key in KEPT_EMPTY or key in struct.always
    return bool(value) or key not in struct.omitted


def _go_type(field: FieldType) -> str:
    if field.shape == "struct":
        return f"v1.{SCHEMA.structs[field.name].go_name}"
    return GO_SCALARS.get(field.name, "string")


def _mismatch(value: Any, owner: Struct, path: str, wanted: str) -> DecodeProblem:
    field = re.sub(r"\[\d+\]", "", path)
    return DecodeProblem(
        f"json: cannot unmarshal {json_kind(value)} into Go struct field {owner.go_name}.{field} of type {wanted}"
    )


def json_kind(value: Any) -> str:
    """Go's name for the kind of a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    for kind, name in ((str, "string"), (list, "array"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return "null"


def _quantity(value: Any) -> str:
    if not isinstance(value, (str, int, float)) or isinstance(value, bool):
        raise DecodeProblem(quantity.REGEX_TEXT)
    try:
        return quantity.canonical(str(value))
    except ValueError as error:
        raise DecodeProblem(str(error)) from None


def _seconds(text: str) -> str:
    match = TIME.fullmatch(text)
    if match is None:
        raise DecodeProblem(f'parsing time "{text}" as "{SECONDS_LAYOUT}": cannot parse "{text}" as "2006"')
    if match.group(3) == "Z" and not match.group(2):
        return text
    return _utc(match.group(1), match.group(3)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro(text: str) -> str:
    """Exactly six fraction digits are accepted, and offsets are converted."""
    match = TIME.fullmatch(text)
    if match is None:
        raise DecodeProblem(f'parsing time "{text}" as "{MICRO_LAYOUT}": cannot parse "{text}" as "2006"')
    fraction = match.group(2) or ""
    if len(fraction) != 7:
        rest = text[len(match.group(1)) :]
        raise DecodeProblem(f'parsing time "{text}" as "{MICRO_LAYOUT}": cannot parse "{rest}" as ".000000"')
    moment = _utc(match.group(1), match.group(3))
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + fraction + "Z"


def _utc(stamp: str, zone: str) -> datetime:
    try:
        return datetime.fromisoformat(stamp + zone.replace("Z", "+00:00")).astimezone(timezone.utc)
    except ValueError:
        raise DecodeProblem(f'parsing time "{stamp}{zone}": value out of range') from None


def _check_base64(text: str) -> None:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        bad = next((number for number, letter in enumerate(text) if not re.match(r"[A-Za-z0-9+/=]", letter)), len(text))
        raise DecodeProblem(f"illegal base64 data at input byte {bad}") from None

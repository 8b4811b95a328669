"""ConfigMaps, Secrets and ServiceAccounts."""

from __future__ import annotations

import base64
import re
from typing import Any

from simulator.apiserver.errors import Cause, forbidden_field, invalid_value, too_long
from simulator.apiserver.kinds.base import Rules, quoted

Object = dict[str, Any]

LIMIT = 1024 * 1024
CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
CONFIG_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',"
    "  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
IMMUTABLE = "field is immutable when `immutable` is set"


def _immutable_causes(obj: Object, old: Object | None, fields: tuple[str, ...]) -> list[Cause]:
    if old is None or not old.get("immutable"):
        return []
    causes = []
    if not obj.get("immutable"):
        causes.append(forbidden_field("immutable", IMMUTABLE))
    causes += [forbidden_field(field, IMMUTABLE) for field in fields if obj.get(field) != old.get(field)]
    return causes


def _data_causes(obj: Object, fields: tuple[str, ...], size_field: str) -> list[Cause]:
    causes = []
    size = 0
    for field in fields:
        for key, value in sorted((obj.get(field) or {}).items()):
            size += len(value.encode())
            if not CONFIG_KEY.fullmatch(key):
                causes.append(invalid_value(f"{field}[{key}]", quoted(key), CONFIG_KEY_TEXT))
    if size > LIMIT:
        causes.append(too_long(size_field, f"may not be more than {LIMIT} bytes"))
    return causes


class ConfigMapRules(Rules):
    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        fields = ("data", "binaryData")
        return [*_immutable_causes(obj, old, fields), *_data_causes(obj, fields, "[]")]


class SecretRules(Rules):
    def default(self, obj: Object) -> None:
        """stringData is write-only: it is merged into data."""
        for key, value in (obj.pop("stringData", None) or {}).items():
            obj.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
        obj.setdefault("type", "Opaque")

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        causes = []
        if old is not None and obj["type"] != old["type"]:
            causes.append(invalid_value("type", quoted(obj["type"]), "field is immutable"))
        return [*causes, *_immutable_causes(obj, old, ("data",)), *_data_causes(obj, ("data",), "data")]


class ServiceAccountRules(Rules):
    delete_answers_object = True

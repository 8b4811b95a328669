"""The types of the built-in kinds: which fields they have and how Go writes their zero values."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import yaml

from simulator.apiserver.resources import DATA, ResourceType

OBJECT_META = "V1ObjectMeta"


@dataclass(frozen=True)
class FieldType:
    """``shape`` is scalar, struct, list or map; ``name`` the scalar or struct, ``inner`` the element's type."""

    shape: str
    name: str = ""
    inner: FieldType | None = None


@dataclass(frozen=True)
class Struct:
    name: str
    go_name: str
    fields: dict[str, FieldType]
    always: dict[str, Any]
    omitted: frozenset[str]


class Schema:
    def __init__(self) -> None:
        document = json.loads((DATA / "schema.json").read_text())
        zero = yaml.safe_load((DATA / "zero_values.yml").read_text())
        self._kinds: dict[str, str] = document["kinds"]
        self._raw: dict[str, dict[str, str]] = document["types"]
        self.structs = {name: self._struct(name, fields, zero) for name, fields in self._raw.items()}

    def of_resource(self, resource: ResourceType) -> Struct | None:
        """The type of a resource's objects; None for custom resources and kinds that the schema does not know."""
        return self.of_kind(resource.group, resource.version, resource.kind)

    def of_kind(self, group: str, version: str, kind: str) -> Struct | None:
        name = self._kinds.get(f"{group}/{version}/{kind}")
        return self.structs[name] if name else None

    def _struct(self, name: str, fields: dict[str, str], zero: dict[str, Any]) -> Struct:
        types = {field: self._field(text) for field, text in fields.items()}
        go_name = name.split("V1", 1)[-1] if "V1" in name else name.removeprefix("V2")
        omitted = frozenset(zero["omitted"].get(name, ()))
        return Struct(name, go_name, types, zero["always"].get(name, {}), omitted)

    def _field(self, text: str) -> FieldType:
        if text.startswith("[]"):
            return FieldType("list", inner=self._field(text[2:]))
        if text.startswith("{}"):
            return FieldType("map", inner=self._field(text[2:]))
        return FieldType("struct" if text in self._raw else "scalar", text)


SCHEMA = Schema()

"""Which resources the server knows: the recorded discovery documents as a table, plus what CRDs add."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.apiserver.errors import Subject

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Subresource:
    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""


@dataclass(frozen=True)
class ResourceType:
    """One resource in one version. ``key`` names its table in the store and is shared by all versions."""

    group: str
    version: str
    plural: str
    singular: str
    kind: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = ()
    storage_version_hash: str = ""
    custom: bool = False
    list_kind: str = ""
    schema: dict[str, Any] | None = field(default=None, compare=False)
    columns: tuple[dict[str, Any], ...] = field(default=(), compare=False)

    @property
    def key(self) -> str:
        if self.group in ("", "events.k8s.io"):
            return self.plural
        return f"{self.group}/{self.plural}"

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def subject(self) -> Subject:
        return Subject(self.group, self.plural, self.kind)

    def subresource(self, name: str) -> Subresource | None:
        return next((item for item in self.subresources if item.name == name), None)


class ResourceTable:
    """Looks resources up by path or by store key; custom resources come and go."""

    def __init__(self) -> None:
        self.groups: dict[str, list[str]] = {}
        self._by_path: dict[tuple[str, str, str], ResourceType] = {}
        self._by_key: dict[str, ResourceType] = {}
        for group in json.loads((DATA / "resources.json").read_text())["groups"]:
            for version in group["versions"]:
                self.groups.setdefault(group["name"], []).append(version["version"])
                for entry in version["resources"]:
                    self._add(_builtin(group["name"], version["version"], entry))

    def find(self, group: str, version: str, plural: str) -> ResourceType | None:
        return self._by_path.get((group, version, plural))

    def by_key(self, key: str) -> ResourceType:
        """KeyError for a resource that the server does not have."""
        return self._by_key[key]

    def by_kind(self, api_version: str, kind: str) -> ResourceType | None:
        for resource in self._by_path.values():
            if resource.kind == kind and resource.api_version == api_version and "create" in resource.verbs:
                return resource
        return None

    def of_version(self, group: str, version: str) -> list[ResourceType]:
        return [item for (name, number, _unused), item in self._by_path.items() if (name, number) == (group, version)]

    def all(self) -> list[ResourceType]:
        return list(self._by_path.values())

    def add_custom(self, resource: ResourceType) -> None:
        versions = self.groups.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
        self._add(resource)

    def remove_custom(self, group: str, plural: str) -> None:
        for path in [path for path, item in self._by_path.items() if (item.group, item.plural) == (group, plural)]:
            del self._by_path[path]
        self._by_key.pop(f"{group}/{plural}", None)
        remaining = {version for name, version, _unused in self._by_path if name == group}
        self.groups[group] = [version for version in self.groups.get(group, []) if version in remaining]
        if not self.groups[group]:
            del self.groups[group]

    def _add(self, resource: ResourceType) -> None:
        self._by_path[(resource.group, resource.version, resource.plural)] = resource
        self._by_key.setdefault(resource.key, resource)


def _builtin(group: str, version: str, entry: dict[str, Any]) -> ResourceType:
    subresources = tuple(
        Subresource(sub["name"], sub["kind"], tuple(sub["verbs"]), sub.get("group", ""), sub.get("version", ""))
        for sub in entry.get("subresources", [])
    )
    return ResourceType(
        group=group,
        version=version,
        plural=entry["name"],
        singular=entry["singular"],
        kind=entry["kind"],
        namespaced=entry["namespaced"],
        verbs=tuple(entry["verbs"]),
        short_names=tuple(entry.get("shortNames", ())),
        categories=tuple(entry.get("categories", ())),
        subresources=subresources,
        storage_version_hash=entry.get("storageVersionHash", ""),
        list_kind=f"{entry['kind']}List",
    )

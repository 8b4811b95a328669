"""What a pod's containers see of ConfigMaps and scratch space: content as of the mount, following changes late."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]
#: Looks up (kind, name) in the pod's namespace.
Lookup = Callable[[str, str], "Object | None"]
#: What is wrong with a volume of the host's own, or None.
HostCheck = Callable[[Object], "str | None"]


class MissingSourceError(Exception):
    """A volume cannot be set up yet."""


class PodVolumes:
    """The files of one pod: by volume, relative path to text."""

    def __init__(self, pod: Object, lookup: Lookup, host_check: HostCheck = lambda volume: None) -> None:
        self._pod = pod
        self._lookup = lookup
        self._host_check = host_check
        self._files: dict[str, dict[str, str]] = {}
        self._fixed: set[str] = set()

    def mount(self) -> None:
        """Take the content as it is now. Raises MissingSourceError with the kubelet's words."""
        files, fixed = {}, set()
        for volume in self._pod["spec"].get("volumes") or []:
            name = volume["name"]
            problem = self._host_check(volume)
            if problem is not None:
                raise MissingSourceError(f'MountVolume.SetUp failed for volume "{name}" : {problem}')
            content, immutable = self._content(volume)
            files[name] = content
            if immutable:
                fixed.add(name)
        self._files, self._fixed = files, fixed

    def config_maps(self) -> set[str]:
        """Names of the ConfigMaps whose changes will be seen one day: immutable ones are never read again."""
        return {
            volume["configMap"]["name"]
            for volume in self._pod["spec"].get("volumes") or []
            if "configMap" in volume and volume["name"] not in self._fixed
        }

    def refresh(self, config_map: str) -> None:
        """The kubelet's periodic sync reached a changed ConfigMap; one that is gone leaves the old files."""
        for volume in self._pod["spec"].get("volumes") or []:
            if (volume.get("configMap") or {}).get("name") == config_map and volume["name"] not in self._fixed:
                try:
                    self._files[volume["name"]] = self._content(volume)[0]
                except MissingSourceError:
                    continue

    def write(self, container: Object, path: str, text: str) -> None:
        """A container writes a file into a scratch volume (into nowhere else)."""
        mount = _mount_of(container, path)
        if mount is not None:
            self._files.setdefault(mount["name"], {})[_relative(mount, path)] = text

    def read(self, container: Object, path: str) -> str:
        """The text of a file in a container. Raises FileNotFoundError or IsADirectoryError."""
        mount = _mount_of(container, path)
        if mount is None or mount["name"] not in self._files:
            raise FileNotFoundError(path)
        files = self._files[mount["name"]]
        relative = _relative(mount, path)
        if relative in files:
            return files[relative]
        if relative in ("", ".") or any(name.startswith(f"{relative}/") for name in files):
            raise IsADirectoryError(path)
        raise FileNotFoundError(path)

    def names(self, container: Object, directory: str) -> list[str]:
        mount = _mount_of(container, directory)
        return sorted(self._files.get(mount["name"], {})) if mount else []

    def _content(self, volume: Object) -> tuple[dict[str, str], bool]:
        for field, kind in (("configMap", "configmap"), ("secret", "secret")):
            if field not in volume:
                continue
            source = volume[field]
            name = source.get("name") or source.get("secretName")
            found = self._lookup(kind, name)
            if found is None:
                if source.get("optional"):
                    return {}, False
                raise MissingSourceError(
                    f'MountVolume.SetUp failed for volume "{volume["name"]}" : {kind} "{name}" not found'
                )
            return _selected(volume["name"], source, found), bool(found.get("immutable"))
        return dict(self._files.get(volume["name"], {})), False


def _selected(volume: str, source: Object, found: Object) -> dict[str, str]:
    data = found.get("data") or {}
    items = source.get("items")
    if items is None:
        return dict(data)
    missing = [item["key"] for item in items if item["key"] not in data]
    if missing and not source.get("optional"):
        raise MissingSourceError(
            f'MountVolume.SetUp failed for volume "{volume}" : references non-existent config key: {missing[0]}'
        )
    return {item["path"]: data[item["key"]] for item in items if item["key"] in data}


def _mount_of(container: Object, path: str) -> Object | None:
    """The innermost mount that holds the path."""
    path = posixpath.normpath(path)
    holding = [
        mount
        for mount in container.get("volumeMounts") or []
        if path == posixpath.normpath(mount["mountPath"])
        or path.startswith(posixpath.normpath(mount["mountPath"]) + "/")
    ]
    return max(holding, key=lambda mount: len(mount["mountPath"]), default=None)


def _relative(mount: Object, path: str) -> str:
    inside = posixpath.relpath(posixpath.normpath(path), posixpath.normpath(mount["mountPath"]))
    joined = posixpath.normpath(posixpath.join(mount.get("subPath") or "", inside))
    return "" if joined == "." else joined

"""hostPath volumes: the kubelet's type check against what the simulated host has."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from pathlib import Path
from typing import Any

Object = dict[str, Any]
#: Only paths below these are checked: of a simulated host nothing else exists.
CHECKED = ("/run/kubegpu-sharing",)
CHECKS: dict[str, tuple[Callable[[Path], bool], str]] = {
    "Directory": (Path.is_dir, "a directory"),
    "File": (Path.is_file, "a file"),
    "Socket": (Path.is_socket, "a socket file"),
    "CharDevice": (Path.is_char_device, "a character device"),
    "BlockDevice": (Path.is_block_device, "a block device"),
}


def problem(root: Path, volume: Object) -> str | None:
    """In the kubelet's words, or None. Creates what an ``…OrCreate`` type creates. ``root`` is the host's root directory."""
    source = volume.get("hostPath") or {}
    path, kind = _plain(source.get("path", "")), source.get("type") or ""
    if not kind or not any(path == known or path.startswith(f"{known}/") for known in CHECKED):
        return None
    wanted = kind.removesuffix("OrCreate")
    if wanted not in CHECKS:
        return f"{kind} is an invalid volume type"
    place = root / path.lstrip("/")
    if kind != wanted and not place.exists():
        _create(place, wanted)
    holds, noun = CHECKS[wanted]
    return None if holds(place) else f"hostPath type check failed: {source['path']} is not {noun}"


def _plain(path: str) -> str:
    """/var/run is a link to /run on every host."""
    path = posixpath.normpath(path)
    return path.removeprefix("/var") if path.startswith("/var/run/") else path


def _create(place: Path, kind: str) -> None:
    """As the kubelet does: a directory with those above it, a file only where its directory is."""
    if kind == "Directory":
        place.mkdir(parents=True, exist_ok=True)
    elif place.parent.is_dir():
        place.touch()

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a runtime, for tests: files as bytes or text, and what is usual of the rest."""

from __future__ import annotations

import hashlib
import posixpath
from typing import Any, Dict, Mapping, Optional, Sequence, Union

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation

BINARY = "/usr/bin/nvidia-container-runtime"
UNITS = {
    "containerd": "containerd.service",
    "crio": "crio.service",
    "docker": "docker.service",
    "k3s": "k3s.service",
    "rke2": "rke2-server.service",
    "microk8s": "snap.microk8s.daemon-containerd.service",
}


def seen_file(content: Union[str, bytes, None], **fields: Any) -> Dict[str, Any]:
    """A file as container_runtime_info tells of it; None is one that is missing."""
    if content is None:
        return {"type": "missing", "link": None, "sha256": None, "content": None, "writable": True, **fields}
    raw = content.encode() if isinstance(content, str) else content
    told: Dict[str, Any] = {
        "type": "file",
        "link": None,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "mode": "0644",
        "uid": 0,
        "gid": 0,
        "size": len(raw),
        "writable": True,
        "problem": None,
    }
    try:
        told["content"] = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        told["content"] = None
        told["problem"] = f"it is not UTF-8 at byte {error.start}"
    return {**told, **fields}


def seen_runtime(
    engine: str,
    files: Mapping[str, Any],
    *,
    version: Optional[str] = None,
    dump: Union[str, Mapping[str, Any], None] = None,
    **fields: Any,
) -> Dict[str, Any]:
    """An observation as plain JSON, with one active unit, NVIDIA's binary in its place and listings of all directories.

    :param files: text, bytes, None (missing) or an entry as of ``seen_file``, by path.
    :param dump: what the engine's own dump printed.
    """
    entries = {path: dict(one) if isinstance(one, Mapping) else seen_file(one) for path, one in files.items()}
    listings: Dict[str, list[str]] = {}
    for path, one in entries.items():
        if one["type"] != "missing":
            listings.setdefault(posixpath.dirname(path), []).append(posixpath.basename(path))
    unit = {"name": UNITS[engine], "load": "loaded", "active": "active", "sub": "running", "enabled": "enabled"}
    told: Dict[str, Any] = {
        "schema_version": 1,
        "engine": engine,
        "candidates": [
            {"engine": engine, "evidence": [f"unit {unit['name']} is active"], "units": [unit], "active": True}
        ],
        "problem": None,
        "version": version,
        "files": entries,
        "listings": {path: sorted(names) for path, names in listings.items()},
        "binaries": {BINARY: {"exists": True, "executable": True, "link": None}},
        "dump": {"argv": [], "rc": 0, "stdout": dump, "stderr": ""} if isinstance(dump, str) else dump,
        "record": None,
        "pending": None,
        "lock_free": True,
    }
    return {**told, **fields}


def observed(engine: str, files: Mapping[str, Any], **fields: Any) -> Observation:
    """``seen_runtime`` as planners get it."""
    return Observation.from_dict(seen_runtime(engine, files, **fields))


def after(observation: Mapping[str, Any], plan: Mapping[str, Any], **fields: Any) -> Dict[str, Any]:
    """The observation (plain JSON) once a plan (plain JSON) was applied to it: its files written, its record kept."""
    files = dict(observation["files"])
    for change in plan["files"]:
        paths = [path for path, one in files.items() if one.get("link") == change["path"]] or [change["path"]]
        for path in paths:
            link = files.get(path, {}).get("link")
            files[path] = seen_file(change["content"], link=link)
    told = seen_runtime(str(observation["engine"]), files)
    return {
        **observation,
        "files": files,
        "listings": told["listings"],
        "record": plan["record"] if plan["changed"] else observation["record"],
        "pending": None,
        **fields,
    }


def names(plan: Mapping[str, Any]) -> Sequence[str]:
    """Paths that a plan writes."""
    return [change["path"] for change in plan["files"]]

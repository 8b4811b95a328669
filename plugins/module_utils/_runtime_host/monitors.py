# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods would end with a runtime's service. PRIVATE to the collection.

Each has a process that watches over its containers, a shim of containerd or a conmon of CRI-O. Where that one is killed, the runtime ends the
containers once it is back. systemd kills it with a service that it belongs to by its cgroup, unless KillMode says otherwise; CRI-O puts most of
its own elsewhere.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.systemd import Unit

#: Of KillMode: with these, a stop ends more than the service's own process.
ENDING = ("control-group", "mixed")
# The kernel cuts names at 15 characters.
_WATCHERS = ("containerd-shim", "conmon")
_BUNDLE = "config.json"
_NAMES = (
    ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri.sandbox-name"),
    ("io.kubernetes.pod.namespace", "io.kubernetes.pod.name"),
)
_ID_FLAGS = ("-id", "--cid", "-c")


def pods_that_end(root: Root, units: Sequence[Unit]) -> List[str]:
    """Of these services, sorted: as namespace/name, else by the id of a container."""
    groups = [unit.group for unit in units if unit.runs and unit.kill_mode in ENDING and unit.group.strip("/")]
    if not groups:
        return []
    found = set()
    for pid in filter(str.isdigit, os.listdir(root.real("/proc"))):
        process = root.real(f"/proc/{pid}")
        if _read(f"{process}/comm").strip() in _WATCHERS and _is_in(_read(f"{process}/cgroup"), groups):
            found.add(_pod(root, process))
    return sorted(found)


def _is_in(cgroups: str, groups: Sequence[str]) -> bool:
    """Whether a process is in one of them or below, by the hierarchy that systemd keeps."""
    for line in cgroups.splitlines():
        _number, controllers, path = f"{line}::".split(":")[:3]
        if controllers in ("", "name=systemd") and any(f"{path}/".startswith(f"{group}/") for group in groups):
            return True
    return False


def _pod(root: Root, process: str) -> str:
    argv = _read(f"{process}/cmdline").split("\0")
    flags = dict(zip(argv, argv[1:]))
    # A shim works in the directory of its container, and a conmon is told of it.
    bundle = root.real(flags["-b"]) if "-b" in flags else f"{process}/cwd"
    annotations = _annotations(f"{bundle}/{_BUNDLE}")
    for namespace, name in _NAMES:
        if annotations.get(namespace) and annotations.get(name):
            return f"{annotations[namespace]}/{annotations[name]}"
    identity: Optional[str] = next((flags[flag] for flag in _ID_FLAGS if flag in flags), None)
    return identity or f"process {os.path.basename(process)}"


def _annotations(path: str) -> Dict[str, Any]:
    try:
        found = json.loads(_read(path)).get("annotations")
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _read(path: str) -> str:
    """What a file says; nothing if it is gone, as processes go."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""

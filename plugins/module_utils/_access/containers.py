# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers of a node's pods that have GPUs, and whether they may still open them. Read only. PRIVATE to the collection."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._access import cgroups, devices, probing
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.attribution import AttributionCache
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_names import PodNames

# The plugin's "volume-mounts": a mount for each device, whose path is all that counts.
_LISTED_BY_MOUNTS = "/run/nvidia-container-devices"


@dataclass
class Container:
    """A container that runs.

    :param pids: its processes, oldest first.
    """

    pod_uid: Optional[str]
    container_id: str
    pids: List[Tuple[int, int]] = field(default_factory=list)


class AccessReader:
    """Looks at the containers of a node.

    :param seconds: to wait at most for each container.
    """

    def __init__(self, files: NodeFiles, seconds: float = 5.0, mountinfo: str = "/proc/self/mountinfo") -> None:
        self._files = files
        self._seconds = seconds
        self._names = PodNames(files.log_root)
        with open(mountinfo, encoding="utf-8", errors="replace") as file:
            self._mountinfo = file.read()

    def read(self) -> List[Dict[str, Any]]:
        """One entry for each container that has a GPU's device files, or was given a GPU by the kubelet."""
        allocations, _reason = self._files.live_allocations()
        given = {(one["pod_uid"], one["container"]) for one in allocations}
        holders, _reason = self._files.holders()
        holding: Dict[str, List[str]] = {}
        for holder in holders or ():
            if holder["container_id"]:
                holding.setdefault(holder["container_id"], []).extend(holder["devices"])
        entries = []
        for container in find_containers(self._files):
            entry = self._describe(container, given, holding)
            if entry is not None:
                entries.append(entry)
        return sorted(
            entries,
            key=lambda one: (one["namespace"] or "", one["pod"] or "", one["container"] or "", one["container_id"]),
        )

    def _describe(self, container: Container, given: Any, holding: Dict[str, List[str]]) -> Optional[Dict[str, Any]]:
        name = self._names.look_up(container.pod_uid, container.container_id)
        allocated = (container.pod_uid, name.container) in given if name.container else None
        for _start, pid in container.pids:
            seen = self._look(container, pid)
            if seen is None:
                # it has ended; another process of the container may still run
                continue
            if not seen["devices"] and not allocated:
                return None
            return {
                "pod_uid": container.pod_uid,
                "namespace": name.namespace,
                "pod": name.pod,
                "container": name.container,
                "container_id": container.container_id,
                "pid": pid,
                "allocated": allocated,
                "open": sorted(set(holding.get(container.container_id, ()))),
                **seen,
            }
        return None

    def _look(self, container: Container, pid: int) -> Optional[Dict[str, Any]]:
        """Device files of the container as that process sees them; None if it has ended."""
        directory = devices.open_dev(os.path.join(self._files.proc_root, str(pid), "root"))
        cgroup = self._files.read_proc(str(pid), "cgroup")
        mounts = self._files.read_proc(str(pid), "mountinfo") or ""
        try:
            # What was opened may be that of a later process with the same number.
            if cgroup is None or self._files.pod_of(pid).container_id != container.container_id:
                return None
            names = devices.list_devices(directory) if directory is not None else []
            found, reason = self._ask(pid, cgroup, directory, names)
        finally:
            if directory is not None:
                os.close(directory)
        return {"volume_mounts": _LISTED_BY_MOUNTS in mounts, "devices": found, "reason": reason}

    def _ask(
        self, pid: int, cgroup: str, directory: Optional[int], names: Sequence[str]
    ) -> Tuple[List[Dict[str, Any]], Optional[str]]:
        if directory is None or not names:
            return [], "it has none of NVIDIA's device files"
        try:
            groups = cgroups.find_groups(cgroup, self._mountinfo)
            for group in groups:
                cgroups.check_member(group, pid)
                cgroups.check_joinable(group)
            answers = probing.ask(groups, directory, names, self._seconds)
        except cgroups.CgroupError as error:
            return [_entry(name, None) for name in names], str(error)
        return [_entry(name, answers[name]) for name in names], None


def _entry(name: str, error: Optional[int]) -> Dict[str, Any]:
    return {
        "path": f"/dev/{name}",
        "accessible": None if error is None else error == 0,
        "errno": errno.errorcode.get(error, str(error)) if error else None,
        "reason": os.strerror(error) if error else None,
    }


def find_containers(files: NodeFiles) -> List[Container]:
    """Containers of pods that have a process, whatever runtime started them."""
    cache = AttributionCache(files)
    found: Dict[str, Container] = {}
    for name in os.listdir(files.proc_root):
        if not name.isdigit():
            continue
        process = cache.look_up(int(name))
        if process.container_id:
            container = found.setdefault(process.container_id, Container(process.pod_uid, process.container_id))
            container.pids.append((process.start or 0, int(name)))
    for container in found.values():
        container.pids.sort()
    return list(found.values())

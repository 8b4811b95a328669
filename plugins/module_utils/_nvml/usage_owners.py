# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the processes of a sampling are: their containers, the names of these, and what they were given. PRIVATE to the collection.

Names and allocations are kept from when they were seen: a pod that is gone at the end of the sampling has used its memory all the same.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.attribution import (
    ENDED,
    RUNTIME_UNKNOWN,
    Attributed,
    AttributionCache,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_names import PodName, PodNames
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import Sample

_Container = Tuple[str, Optional[str]]
# More than a node runs in days; what is older was written many times by then.
_MOST = 4096
_MOST_STRANGE = 8


class UsageOwners:
    """Remembers owners from sample to sample."""

    def __init__(self, files: NodeFiles) -> None:
        self._files = files
        self._cache = AttributionCache(files)
        self._names = PodNames(files.log_root)
        self._named: Dict[_Container, PodName] = {}
        # device ids by pod and name of the container
        self._given: Dict[Tuple[str, str], Set[str]] = {}
        self._problem: Optional[str] = None
        self._ended = 0
        # by pid and start: a pid may be another process's later
        self._strange: Dict[Tuple[int, Optional[int]], str] = {}

    def look_up(self, pid: int) -> Attributed:
        """Whose a process is."""
        found = self._cache.look_up(pid)
        if found.attribution == ENDED:
            self._ended += 1
        elif found.attribution == RUNTIME_UNKNOWN and len(self._strange) < _MOST:
            self._strange[pid, found.start] = found.command or "unknown"
        return found

    def notes(self) -> List[str]:
        """What is not known of owners, in sentences."""
        notes = [] if self._problem is None else [self._problem]
        if self._ended:
            notes.append(
                f"{self._ended} times a process that NVML named was not in {self._files.proc_root}: it had just ended, or is in "
                "another pid namespace than this module. What it used counts as used outside of pods."
            )
        for (pid, _start), command in list(self._strange.items())[:_MOST_STRANGE]:
            notes.append(
                f"Process {pid} ({command}): container runtime unknown, for its cgroup is one of Kubernetes in a spelling that is not "
                "known. What it used counts for its pod as far as that can be told."
            )
        if len(self._strange) > _MOST_STRANGE:
            notes.append(f"The same holds for {len(self._strange) - _MOST_STRANGE} processes more.")
        return notes

    def follow(self, sample: Sample) -> None:
        """Note whom a sample shows for the first time, while the node still knows their names; forget processes that are gone."""
        self._cache.retain(process.pid for process in sample.processes)
        shown = {(process.pod_uid, process.container_id) for process in sample.processes if process.pod_uid}
        new = [container for container in shown if container not in self._named]
        for uid, container_id in new:
            self._forget_oldest()
            self._named[uid, container_id] = self._names.look_up(uid, container_id)
        if new:
            self._read_allocations()

    def refresh(self) -> None:
        """Look again for what was not told yet."""
        for (uid, container_id), name in list(self._named.items()):
            if not (name.pod and name.container):
                self._named[uid, container_id] = self._names.look_up(uid, container_id)
        self._read_allocations()

    def describe(self, user: Mapping[str, Any]) -> Dict[str, Any]:
        """Names and slots of a user: namespace, pod, container, slots; None each where not known."""
        uid = user["pod_uid"]
        name = self._named.get((uid, user["container_id"])) or PodName()
        slots = self._slots(uid, name.container, user["mig_device"] or user["gpu"]) if uid else None
        return {"namespace": name.namespace, "pod": name.pod, "container": name.container, "slots": slots}

    def _slots(self, uid: str, container: Optional[str], device: str) -> Optional[int]:
        """How many of the kubelet's devices on this GPU or MIG device the container was given."""
        given = self._given.get((uid, container)) if container else None
        if given is None and container is None:
            # without a doubt, if it is the pod's only one that was given any
            of_pod = [ids for (pod, _name), ids in self._given.items() if pod == uid]
            given = of_pod[0] if len(of_pod) == 1 else None
        if given is None:
            return None
        # a shared device's ids have a number after the UUID
        return sum(1 for one in given if one.partition("::")[0] == device)

    def _read_allocations(self) -> None:
        allocations, self._problem = self._files.allocations()
        for one in allocations or ():
            self._given[one["pod_uid"], one["container"]] = set()
        for one in allocations or ():
            self._given[one["pod_uid"], one["container"]].update(one["device_ids"])

    def _forget_oldest(self) -> None:
        while len(self._named) >= _MOST:
            uid, _container_id = oldest = next(iter(self._named))
            del self._named[oldest]
            for key in [key for key in self._given if key[0] == uid]:
                del self._given[key]

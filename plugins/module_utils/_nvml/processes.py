# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pod a process belongs to, read off its cgroup. Pure. PRIVATE to the collection.

The kubelet puts every container under ``kubepods``, an optional QoS level, the pod, the container; the cgroup driver and
the container runtime decide how that is spelled:

=========  ==================================================================================================
cgroupfs   ``/kubepods/burstable/pod<uid>/<container>`` (cri-o: ``crio-<container>``)
systemd    ``/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid with _>.slice/cri-containerd-<container>.scope``
mixed      ``/system.slice/containerd.service/kubepods-burstable-pod<uid with _>.slice:cri-containerd:<container>``: the kubelet
           uses systemd and containerd does not
=========  ==================================================================================================

A prefix may stand before (``--cgroup-root``, kind, a kubelet in a container), and more levels may follow (systemd or Docker
inside the container). Seen from another cgroup namespace the path starts with ``/..`` and may lack its upper levels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable, Optional, Pattern, Sequence

_UID = r"[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32}"
# A UID is a UUID, or for a static pod the MD5 of its manifest: unmistakable wherever it stands.
_POD = re.compile(rf"^(?:.*-)?pod({_UID})(?:\.slice)?$")
# A static pod's manifest may also set any UID it likes; such a name counts only below kubepods.
_POD_BELOW_KUBEPODS = re.compile(
    r"^(?:.*kubepods(?:-burstable|-besteffort)?-)?pod([0-9A-Za-z][0-9A-Za-z._-]*?)(?:\.slice)?$"
)
_CONTAINER = re.compile(r"^(?:(?:cri-containerd|crio|docker|libpod)-)?([0-9a-f]{64})(?:\.scope)?$")
# Of these runtimes, a container is Kubernetes's wherever it lies.
_CRI_CONTAINER = re.compile(r"^(?:cri-containerd|crio)-([0-9a-f]{64})(?:\.scope)?$")
# CRI-O's watcher of a container is in the pod, and in no container of it.
_MONITOR = re.compile(r"^crio-conmon-[0-9a-f]{64}(?:\.scope)?$")
# What version 2 appends once the cgroup is removed, which a process on its way out outlives.
_DELETED = " (deleted)"


@dataclass(frozen=True)
class PodOfProcess:
    """:param pod_uid: as the kubelet knows it: for a static pod the hash of its manifest, not its mirror's uid in the API.
    :param container_id: 64 hex digits, without the runtime's prefix.
    :param runtime_unknown: the cgroup is one of Kubernetes, and pod or container is spelled as no known runtime does it.
    """

    pod_uid: Optional[str] = None
    container_id: Optional[str] = None
    runtime_unknown: bool = False


def parse_cgroup(text: str) -> PodOfProcess:
    """The pod and container of a process.

    :param text: content of ``/proc/<pid>/cgroup``: one line in version 2, one for each hierarchy in version 1.
    :returns: both None for a process outside of pods.
    """
    # In version 1 a process may stay behind in the upper levels of some hierarchies.
    return max(map(_parse_path, _paths(text)), key=_told, default=PodOfProcess())


def _told(pod: PodOfProcess) -> tuple[bool, bool, bool]:
    return bool(pod.pod_uid), bool(pod.container_id), pod.runtime_unknown


def parse_unit(text: str) -> Optional[str]:
    """The systemd unit that a process outside of pods belongs to: nvidia-persistenced.service, session-3.scope. None without systemd.

    :param text: content of ``/proc/<pid>/cgroup``. Version 1 has systemd's own hierarchy among others, whose paths may be coarser.
    """
    units = [level for path in _paths(text) for level in path.split("/") if level.endswith((".service", ".scope"))]
    return max(units, key=lambda unit: unit.endswith(".service"), default=None)


def _paths(text: str) -> Iterable[str]:
    for line in text.splitlines():
        # hierarchy-id:controllers:path, where only the path may hold further colons
        parts = line.split(":", 2)
        if len(parts) == 3:
            path = parts[2]
            yield path[: -len(_DELETED)] if path.endswith(_DELETED) else path


def _parse_path(path: str) -> PodOfProcess:
    # the mixed form joins slice, prefix and container by colons: take it apart into levels
    levels = [level for level in re.split(r"[/:]", path) if level]
    below_kubepods = False
    for number, level in enumerate(levels):
        match = _POD.match(level) or (_POD_BELOW_KUBEPODS.match(level) if below_kubepods else None)
        if match:
            return _in_pod(match.group(1).replace("_", "-"), levels[number + 1 :])
        below_kubepods = below_kubepods or "kubepods" in level
    if below_kubepods:
        return PodOfProcess(runtime_unknown=True)
    # No pod in sight: from a sibling's cgroup namespace only "/../cri-containerd-<id>.scope" is left, and KubeEdge asks for no parent.
    return PodOfProcess(None, _first_container(levels, _CONTAINER if ".." in levels else _CRI_CONTAINER))


def _in_pod(uid: str, levels: Sequence[str]) -> PodOfProcess:
    container = _first_container(levels)
    return PodOfProcess(uid, container, bool(levels) and not container and not _MONITOR.match(levels[0]))


def _first_container(levels: Iterable[str], spelling: Pattern[str] = _CONTAINER) -> Optional[str]:
    """The outermost container: what follows it was made inside of it."""
    for level in levels:
        match = spelling.match(level)
        if match:
            return match.group(1)
    return None

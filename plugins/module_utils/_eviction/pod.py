# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod as somebody sees it who empties its node. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import GPU_PREFIX, pod_requests
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState, observe_pod
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

#: On the copy that the API shows of a static pod. It cannot be evicted: the kubelet runs it from a file.
_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"


@dataclass(frozen=True)
class Candidate:
    """A pod of a node, with what decides on its eviction and explains why it is still there.

    :param requests: GPU resources that it holds, by name.
    :param emptydir: it has a volume whose content goes with the pod.
    :param grace_ends: with a terminating pod, when its containers are killed.
    :param grace_seconds: with a terminating pod, its grace period; 0 once the kubelet has confirmed the end.
    """

    state: PodState
    requests: Mapping[str, int] = field(default_factory=dict)
    priority: int = 0
    created: datetime | None = None
    mirror: bool = False
    emptydir: bool = False
    finalizers: tuple[str, ...] = ()
    grace_ends: datetime | None = None
    grace_seconds: int | None = None

    @property
    def uid(self) -> str:
        """What tells it from a later pod of the same name."""
        return self.state.uid

    @property
    def daemon(self) -> bool:
        """It belongs to a DaemonSet, which would put it back at once, cordon or not."""
        return self.state.owner is not None and self.state.owner[0] == "DaemonSet"

    @property
    def movable(self) -> bool:
        """It can leave its node for another one."""
        return not self.daemon and not self.mirror

    def identity(self) -> dict[str, str]:
        """For a result."""
        return {"namespace": self.state.namespace, "name": self.state.name, "uid": self.state.uid}


def observe_candidate(obj: Mapping[str, Any]) -> Candidate:
    """What eviction needs of a Pod object."""
    metadata, spec = obj.get("metadata") or {}, obj.get("spec") or {}
    return Candidate(
        state=observe_pod(obj),
        requests=pod_requests(spec, GPU_PREFIX),
        priority=int(spec.get("priority") or 0),
        created=parse_time(metadata.get("creationTimestamp")),
        mirror=_MIRROR_ANNOTATION in (metadata.get("annotations") or {}),
        emptydir=any("emptyDir" in volume for volume in spec.get("volumes") or ()),
        finalizers=tuple(metadata.get("finalizers") or ()),
        grace_ends=parse_time(metadata.get("deletionTimestamp")),
        grace_seconds=metadata.get("deletionGracePeriodSeconds"),
    )

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod with GPUs as somebody sees it who asks whether it gets along. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import GPU_PREFIX, pod_requests
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import controller_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

OOM_KILLED = "OOMKilled"
#: Why a container waits that does not get along.
LOOPS = ("CrashLoopBackOff", "RunContainerError")
#: The kubelet forgets a container's back-off once it has run for so long.
_LOOP = timedelta(minutes=10)


@dataclass(frozen=True)
class ContainerState:
    """A container.

    :param waiting: why it waits; "" if it does not.
    :param ended: when it ended last, as its kubelet wrote it; "" if it never did. Compared as text alone: clocks differ.
    """

    name: str
    restarts: int = 0
    running: bool = False
    waiting: str = ""
    ended: str = ""
    exit_code: int | None = None
    reason: str = ""

    def looped(self, now: datetime) -> bool:
        """It starts again and again."""
        if self.waiting in LOOPS:
            return True
        last = parse_time(self.ended)
        recent = last is not None and now - last < _LOOP
        # A worker that ends well and is started again and again does so too; a job that is done does not.
        return recent and self.restarts >= 2 and (self.running or self.exit_code != 0)

    def describe_end(self) -> str:
        """How it ended last."""
        code = "" if self.exit_code is None else f"exit code {self.exit_code}"
        return ", ".join(filter(None, [code, self.reason if self.reason != "Error" else ""])) or "for an unknown reason"


@dataclass(frozen=True)
class PodHealth:
    """A pod that asks for a GPU.

    :param owner: uid of its controller; "" without one.
    """

    namespace: str
    name: str
    uid: str
    owner: str = ""
    terminating: bool = False
    containers: tuple[ContainerState, ...] = ()


def observe_health(obj: Mapping[str, Any]) -> PodHealth | None:
    """What matters of a Pod object; None if it asks for no GPU."""
    if not pod_requests(obj.get("spec") or {}, GPU_PREFIX):
        return None
    metadata, status = obj["metadata"], obj.get("status") or {}
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return PodHealth(
        namespace=metadata.get("namespace") or "",
        name=metadata["name"],
        uid=metadata["uid"],
        owner=(controller_of(obj) or {}).get("uid") or "",
        terminating="deletionTimestamp" in metadata,
        containers=tuple(map(_observe_container, statuses)),
    )


def _observe_container(status: Mapping[str, Any]) -> ContainerState:
    state = status.get("state") or {}
    end = state.get("terminated") or (status.get("lastState") or {}).get("terminated") or {}
    return ContainerState(
        name=status["name"],
        restarts=int(status.get("restartCount") or 0),
        running="running" in state,
        waiting=(state.get("waiting") or {}).get("reason") or "",
        ended=end.get("finishedAt") or "",
        exit_code=end.get("exitCode"),
        reason=end.get("reason") or "",
    )

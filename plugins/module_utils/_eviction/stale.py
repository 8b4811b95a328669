# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that hold devices which their node has no more. PRIVATE to the collection.

They go on running, but the kubelet may give their card to another pod, and refuses them for good at the next reboot.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse


@dataclass(frozen=True)
class Suspicion:
    """What is known of a node's devices.

    :param since: when its device ids changed last, RFC 3339; "" if they never did.
    :param planned: UIDs that the plan found stale.
    :param expected: resources that the node advertises.
    """

    since: str = ""
    planned: tuple[str, ...] = ()
    use: NodeUse = field(default_factory=NodeUse)
    expected: Mapping[str, int] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """There may be stale pods at all."""
        return bool(self.since or self.planned)


def find_stale(pods: Iterable[Candidate], suspicion: Suspicion) -> list[Candidate]:
    """The stale pods of a node. The allocations decide where they are known, else when a pod came to the node."""
    return [pod for pod in pods if _is_stale(pod, suspicion)]


def _is_stale(pod: Candidate, suspicion: Suspicion) -> bool:
    if not pod.requests or not pod.movable or pod.state.finished or pod.state.terminating:
        return False
    lost = suspicion.use.loses(pod.uid, suspicion.expected)
    if lost is not None:
        return lost
    return pod.uid in suspicion.planned or bool(suspicion.since and pod.state.bound_before(suspicion.since))

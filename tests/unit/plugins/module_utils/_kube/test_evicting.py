# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each eviction asks for the lock, in the thread that sends it: between two looks of the waiting one it may have been lost."""

from __future__ import annotations

import threading

import pytest
from unit.plugins.fakes.fake_api import FakeApi
from unit.plugins.fakes.fake_clock import FakeClock

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.progress import NodeProgress, Timing
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import Scope
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.evicting import Evictor
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import LeaseFence, LeaseLostError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.node_pods import NodePods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import EvictionWish

NODE = "gpu-1"


class FenceOf(LeaseFence):
    """Lets only those threads write that ``allowed`` is the beginning of whose names."""

    def __init__(self, allowed: str) -> None:
        self._allowed = allowed
        self._duration = 60.0

    def check(self) -> None:
        if not threading.current_thread().name.startswith(self._allowed):
            raise LeaseLostError("lost meanwhile")


class FenceUntil(LeaseFence):
    """The lock is lost as soon as a pod was evicted. ``first``: the first thread that asks for it alone is told so, else the
    one that waits for the threads.
    """

    def __init__(self, evicted: threading.Event, first: bool) -> None:
        self._evicted = evicted
        self._asking = threading.Lock()
        self._first = first
        self._duration = 60.0

    def check(self) -> None:
        if threading.current_thread().name.startswith("evict"):
            lost = self._first and self._asking.acquire(blocking=False) and self._evicted.wait(5)
        else:
            lost = not self._first and self._evicted.is_set()
        if lost:
            raise LeaseLostError("lost meanwhile")


class Nobody:
    """Hears nothing."""

    def evicted(self, node: str, pod: Candidate) -> None:
        pass

    def going(self, progress: NodeProgress) -> None:
        pass


def make_pod(api: FakeApi, name: str) -> None:
    owner = {"kind": "ReplicaSet", "name": "web", "controller": True}
    container = {"name": "app", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    api.put(
        f"/api/v1/namespaces/default/pods/{name}",
        {
            "metadata": {"ownerReferences": [owner], "creationTimestamp": "2026-03-01T12:00:00Z"},
            "spec": {"nodeName": NODE, "containers": [container]},
            "status": {"phase": "Running"},
        },
    )


@pytest.mark.parametrize(("allowed", "sent"), [("Main", 0), ("", 3)])
def test_eviction_is_not_sent_once_the_lock_is_lost_though_the_wave_was_begun_with_it(allowed: str, sent: int) -> None:
    api, clock = FakeApi(), FakeClock()
    for name in ("a", "b", "c"):
        make_pod(api, name)
    session = Session(api, clock, {"parallel": 2}, False, FenceOf(allowed))
    progress = NodeProgress(NODE, Scope(EvictionWish("gpu_pods")), Timing(60.0), clock.monotonic())
    with NodePods(api, [NODE], 2) as pods:
        evictor = Evictor(session, pods, None, Nobody())
        if sent:
            evictor.empty({NODE: progress})
        else:
            with pytest.raises(LeaseLostError, match="lost meanwhile"):
                evictor.empty({NODE: progress})
    assert len([write for write in api.writes if write.path.endswith("/eviction")]) == sent


@pytest.mark.parametrize("first", [False, True], ids=["noticed while waiting", "noticed while sending"])
def test_evictions_that_were_granted_before_the_lock_was_lost_are_told_of(first: bool) -> None:
    api, clock = FakeApi(), FakeClock()
    for name in ("a", "b", "c"):
        make_pod(api, name)
    evicted = threading.Event()
    told: list[str] = []

    class Story(Nobody):
        def evicted(self, node: str, pod: Candidate) -> None:
            told.append(pod.state.name)
            evicted.set()

    session = Session(api, clock, {"parallel": 2}, False, FenceUntil(evicted, first))
    progress = NodeProgress(NODE, Scope(EvictionWish("gpu_pods")), Timing(60.0), clock.monotonic())
    with NodePods(api, [NODE], 2) as pods, pytest.raises(LeaseLostError, match="lost meanwhile"):
        Evictor(session, pods, None, Story()).empty({NODE: progress})
    assert told
    assert sorted(pod.state.name for pod in progress.evicted()) == sorted(told)

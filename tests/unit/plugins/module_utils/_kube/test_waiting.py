# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Callable, Sequence

from unit.plugins.fakes.fake_clock import FakeClock

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import selector_text
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.waiting import UNSEEN, Waiter
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import GONE, NodeWait, Timing

GPU = "nvidia.com/gpu"


class Fence:
    asked = 0
    patience = 10.0

    def check(self) -> None:
        self.asked += 1


class Script:
    """A view whose nodes are what a function of the time says; waiting lets a second go by at most."""

    def __init__(self, clock: FakeClock, amounts: Callable[[float], dict[str, int]]) -> None:
        self.clock = clock
        self.amounts = amounts
        self.blips: list[NodeState] = []
        self.gap_count = 0
        self.blind_from, self.blind_to = 0.0, 0.0

    def nodes(self) -> dict[str, NodeState]:
        found = self.amounts(self.clock.seconds)
        return {name: NodeState(name, allocatable={GPU: amount}) for name, amount in found.items()}

    def passed(self) -> list[NodeState]:
        passed, self.blips = self.blips, []
        return passed

    def gaps(self) -> int:
        return self.gap_count

    def current(self) -> bool:
        return not self.blind_from <= self.clock.seconds < self.blind_to

    def pods(self) -> list[PodState]:
        return []

    def wait(self, seconds: float) -> None:
        assert 0 <= seconds <= 1
        self.clock.seconds += max(seconds, 0.001)


def serves_eight(node: NodeState, _pods: Sequence[PodState]) -> list[str]:
    amount = node.allocatable[GPU]
    return [] if amount == 8 else [f"allocatable is {amount}"]


def wait_for(
    amounts: Callable[[float], dict[str, int]], *names: str, patience: float = 10.0
) -> tuple[dict[str, NodeWait], list[str], Fence]:
    clock, fence, order = FakeClock(), Fence(), []
    fence.patience = patience
    waits = {name: NodeWait(0.0, Timing(300, 30)) for name in names}
    Waiter(Script(clock, amounts), fence, clock).wait(
        waits, dict.fromkeys(names, serves_eight), lambda name, _wait: order.append(name)
    )
    return waits, order, fence


def test_wait_ends_for_each_node_in_its_own_time() -> None:
    waits, order, _fence = wait_for(lambda now: {"a": 8 if now >= 20 else 0, "b": 8}, "a", "b")
    assert order == ["b", "a"]
    assert (round(waits["b"].waited), round(waits["a"].waited)) == (30, 50)


def test_wait_asks_the_fence_all_along() -> None:
    _waits, _order, fence = wait_for(lambda _now: {"a": 8}, "a")
    assert fence.asked >= 30


def test_wait_asks_the_fence_as_often_as_a_short_lease_needs() -> None:
    _waits, _order, fence = wait_for(lambda _now: {"a": 8}, "a", patience=0.2)
    assert fence.asked >= 150


def test_wait_for_a_node_that_vanishes_ends_at_once() -> None:
    waits, _order, _fence = wait_for(lambda now: {} if now >= 5 else {"a": 0}, "a")
    assert (waits["a"].proven, waits["a"].unmet) == (False, [GONE])
    assert round(waits["a"].waited) == 5


def test_wait_begins_the_soak_anew_after_a_break() -> None:
    waits, _order, _fence = wait_for(lambda now: {"a": 0 if 20 <= now < 22 else 8}, "a")
    assert waits["a"].proven
    assert round(waits["a"].waited) == 52


def test_wait_begins_the_soak_anew_after_a_break_that_was_over_at_once() -> None:
    """Both changes arrive in one burst, after the connection was gone for a while."""
    clock = FakeClock()
    script = Script(clock, lambda _now: {"a": 8})
    wait = NodeWait(0.0, Timing(300, 30))
    bursts = [[NodeState("a", allocatable={GPU: amount}) for amount in (8, 0, 8)]]

    def serves(node: NodeState, pods: Sequence[PodState]) -> list[str]:
        if clock.seconds >= 20 and bursts:
            script.blips = bursts.pop()
        return serves_eight(node, pods)

    Waiter(script, Fence(), clock).wait({"a": wait}, {"a": serves}, lambda _name, _wait: None)
    assert (wait.proven, wait.breaks) == (True, 1)
    assert wait.waited >= 50


def test_wait_begins_the_soak_anew_when_nobody_saw_what_happened() -> None:
    clock = FakeClock()
    script = Script(clock, lambda _now: {"a": 8})

    def amounts(now: float) -> dict[str, int]:
        script.gap_count = int(now >= 20)
        return {"a": 8}

    script.amounts = amounts
    wait = NodeWait(0.0, Timing(300, 30))
    Waiter(script, Fence(), clock).wait({"a": wait}, {"a": serves_eight}, lambda _name, _wait: None)
    assert (wait.proven, wait.breaks) == (True, 1)
    assert wait.waited >= 50


def wait_while_blind(
    blind: tuple[float, float], amounts: Callable[[float], dict[str, int]] = lambda _now: {"a": 8}
) -> NodeWait:
    clock = FakeClock()
    script = Script(clock, amounts)
    script.blind_from, script.blind_to = blind
    wait = NodeWait(0.0, Timing(300, 30))
    Waiter(script, Fence(), clock).wait({"a": wait}, {"a": serves_eight}, lambda _name, _wait: None)
    return wait


def test_wait_proves_nothing_by_what_may_be_old() -> None:
    wait = wait_while_blind((10, 100))
    assert (wait.proven, wait.breaks, round(wait.waited)) == (True, 0, 100)
    assert round(wait_while_blind((0, 50)).waited) == 80  # nothing was seen to hold before


def test_wait_misses_no_node_by_what_may_be_old() -> None:
    wait = wait_while_blind((0, 20), lambda now: {} if now < 20 else {"a": 8})
    assert (wait.proven, round(wait.waited)) == (True, 50)


def test_wait_that_never_sees_how_it_is_fails_in_the_end() -> None:
    wait = wait_while_blind((10, 10_000))
    assert (wait.proven, wait.unmet, round(wait.waited)) == (False, [UNSEEN], 330)


def test_wait_ends_without_success_at_its_deadline() -> None:
    waits, _order, _fence = wait_for(lambda _now: {"a": 7}, "a")
    assert (waits["a"].proven, round(waits["a"].waited), waits["a"].unmet) == (False, 300, ["allocatable is 7"])


def test_selector_text_speaks_the_query_language() -> None:
    selector = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [
            {"key": "c", "operator": "In", "values": ["x", "y"]},
            {"key": "d", "operator": "NotIn", "values": ["z"]},
            {"key": "e", "operator": "Exists"},
            {"key": "f", "operator": "DoesNotExist"},
        ],
    }
    assert selector_text(selector) == "a=1,b=2,c in (x,y),d notin (z),e,!f"

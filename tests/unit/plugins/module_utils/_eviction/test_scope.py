# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who leaves a node and who stays."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import Chosen, Rules, Scope, count_staying
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import EvictionWish

from .conftest import GPU, Make

EMPTYDIR = {"volumes": [{"name": "scratch", "emptyDir": {}}]}
GOING = {"deletionTimestamp": "2026-03-01T12:00:30Z", "deletionGracePeriodSeconds": 30}
MIRROR = {"annotations": {"kubernetes.io/config.mirror": "abc"}}


@pytest.mark.parametrize(
    ("given", "rules", "expected"),
    [
        pytest.param({}, Rules(), ("evict", ""), id="with a controller"),
        pytest.param({"owner": None}, Rules(), ("blocked", "needs_force"), id="without a controller"),
        pytest.param({"owner": None}, Rules(force=True), ("evict", ""), id="forced"),
        pytest.param({"spec": EMPTYDIR}, Rules(), ("blocked", "needs_delete_emptydir_data"), id="emptyDir"),
        pytest.param({"spec": EMPTYDIR}, Rules(delete_emptydir_data=True), ("evict", ""), id="emptyDir agreed to"),
        pytest.param(
            {"owner": None, "spec": EMPTYDIR},
            Rules(delete_emptydir_data=True),
            ("blocked", "needs_force"),
            id="both apply, one given",
        ),
        pytest.param(
            {"owner": None, "spec": EMPTYDIR},
            Rules(force=True),
            ("blocked", "needs_delete_emptydir_data"),
            id="both apply, the other given",
        ),
        pytest.param({"owner": None, "spec": EMPTYDIR}, Rules(True, True), ("evict", ""), id="both apply, both given"),
        pytest.param({"owner": None, "metadata": GOING}, Rules(), ("evict", ""), id="terminating is awaited"),
        pytest.param({"owner": "DaemonSet"}, Rules(True, True), ("stay", "daemonset"), id="DaemonSet"),
        pytest.param({"owner": None, "metadata": MIRROR}, Rules(True, True), ("stay", "mirror"), id="static"),
        pytest.param({"phase": "Succeeded"}, Rules(), ("stay", "finished"), id="finished"),
    ],
)
def test_pods_are_sorted_as_kubectl_drain_sorts_them(
    pod: Make, given: dict[str, Any], rules: Rules, expected: tuple[str, str]
) -> None:
    (verdict,) = Scope(EvictionWish("all"), rules)([pod("a", **given)])
    assert (verdict.action, verdict.reason) == expected


@pytest.mark.parametrize(
    ("wish", "gpu_users", "leaving"),
    [
        (EvictionWish("none"), True, []),
        (EvictionWish("gpu_pods"), False, ["apart", "slot", "unknown", "whole"]),
        (EvictionWish("gpu_pods"), True, ["apart", "around", "slot", "unknown", "whole"]),
        (EvictionWish("affected", ("GPU-1",)), False, ["slot", "unknown"]),
        (EvictionWish("affected", ("GPU-1",)), True, ["around", "slot", "unknown"]),
        (EvictionWish("affected", ("GPU-1::1", "GPU-2")), False, ["unknown", "whole"]),
        (EvictionWish("all"), False, ["apart", "around", "slot", "unknown", "web", "whole"]),
    ],
)
def test_scopes(pod: Make, wish: EvictionWish, gpu_users: bool, leaving: list[str]) -> None:
    held = {"uid-slot": ((GPU, "GPU-1::0"),), "uid-whole": ((GPU, "GPU-2"),), "uid-apart": ((GPU, "GPU-3"),)}
    use = NodeUse(held=held, used={"uid-around": frozenset({"GPU-1"})}, gpus=3)
    pods = [pod(name) for name in ("slot", "whole", "apart", "unknown")] + [pod("around", gpus=0), pod("web", gpus=0)]
    verdicts = Scope(wish, use=use, gpu_users=gpu_users)(pods)
    assert sorted(one.pod.state.name for one in verdicts if one.action == "evict") == leaving
    assert [one.pod.state.name for one in verdicts if one.assumed] == (["unknown"] if wish.devices else [])
    assert count_staying(verdicts) == ({"out_of_scope": 6 - len(leaving)} if len(leaving) < 6 else {})


def surplus(scope: Scope, pods: list[Any], leaving: tuple[str, ...] = ()) -> list[str]:
    return sorted(one.pod.state.name for one in scope(pods, leaving) if one.action != "stay")


def test_surplus_prefers_vanishing_devices_then_low_priority_then_the_newest(pod: Make) -> None:
    pods = [
        pod("important", spec={"priority": 1000}),
        pod("old", created="2026-03-01T10:00:00Z"),
        pod("new", created="2026-03-01T11:00:00Z"),
        pod("vanishing", spec={"priority": 5000}),
        pod("bare", owner=None),
    ]
    use = NodeUse(held={"uid-vanishing": ((GPU, "GPU-1::7"),), "uid-old": ((GPU, "GPU-1::0"),)}, gpus=1)

    def scope(slots: int) -> Scope:
        return Scope(EvictionWish("affected", fit={GPU: slots}), use=use, expected={GPU: 4})

    assert surplus(scope(5), pods) == []
    assert surplus(scope(4), pods) == ["vanishing"]
    assert surplus(scope(3), pods) == ["new", "vanishing"]
    assert surplus(scope(2), pods) == ["new", "old", "vanishing"]
    # Only when nothing else is left is one chosen that needs the operator's word.
    assert surplus(scope(0), pods) == ["bare", "important", "new", "old", "vanishing"]


def test_surplus_stays_the_same_while_it_leaves(pod: Make) -> None:
    pods = [pod("a", created="2026-03-01T10:00:00Z"), pod("b", created="2026-03-01T11:00:00Z")]
    scope = Scope(EvictionWish("affected", fit={GPU: 1}))
    assert surplus(scope, pods) == ["b"]
    assert surplus(scope, pods, ("uid-b",)) == ["b"]
    assert surplus(scope, [pods[0], pod("b", metadata=GOING)]) == ["b"]
    assert surplus(scope, [pods[0]]) == []


def test_chosen_pods_go_and_no_others(pod: Make) -> None:
    verdicts = Chosen(frozenset({"uid-a", "uid-c"}))([pod("a"), pod("b"), pod("c", owner="DaemonSet")])
    assert [one.action for one in verdicts] == ["evict", "stay", "stay"]


@pytest.mark.parametrize(
    ("device", "expected", "lost"),
    [
        ("GPU-1", 2, False),
        ("GPU-1::0", 2, True),
        ("GPU-1", 8, True),
        ("GPU-1::3", 8, False),
        ("GPU-1::4", 8, True),
        ("GPU-1", 0, True),
    ],
)
def test_devices_that_vanish_are_told_by_their_number(device: str, expected: int, lost: bool) -> None:
    """On a node of two GPUs."""
    assert NodeUse(held={"uid": ((GPU, device),)}, gpus=2).loses("uid", {GPU: expected}) is lost


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert NodeUse().loses("uid", {GPU: 1}) is None
    assert NodeUse(held={"uid": ((GPU, "MIG-1"),)}, gpus=1).loses("uid", {GPU: 7}) is None
    assert NodeUse(held={"uid": ((GPU, "GPU-1"),)}, gpus=4).loses("uid", {GPU: 3}) is None
    assert NodeUse().holds("uid", ["GPU-1"]) is None

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each step from what the node bears: tables for what it decides, properties for the laws that all steps obey."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.assume import assume_steps_before
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import (
    DONE,
    HELD,
    PATCH,
    REFUSED,
    Decision,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.maintenance import Maintenance
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.mig import MigStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, Release
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import unmet_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.runtime import RuntimeStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import (
    RunContext,
    bears_target,
    decide_failure,
    decide_in_maintenance,
    decide_in_service,
    decide_serving,
    decide_withdrawn,
)

GPU = "nvidia.com/gpu"
KEY, REVISION = "nvidia.com/device-plugin.config", "kubegpu.sharing/revision"
MAINTENANCE, HOLD = "kubegpu.sharing/maintenance", "kubegpu.sharing/hold"
FOREIGN = {"nvidia-device-enable": "enable"}
NEW = "0a1b2c3d4e"
RUN = RunContext("run-1", "plan-1", since="2026-03-01T12:00:00.000Z", holder="run-1")
BY_LABEL = NodeTarget("gpu-1", "l20", NEW, {GPU: 8}, (GPU,), Release("label", "kube-system/ds", FOREIGN))
BY_AFFINITY = replace(BY_LABEL, release=Release("affinity", "kube-system/ds"))
OWN = replace(BY_LABEL, release=None)
#: Back to the plugin of somebody else, which is left by label or by affinity, and back to no plugin at all.
BACK = NodeTarget("gpu-1", None, None, {GPU: 1}, (GPU,), labels=FOREIGN, plugin="kube-system/ds", ids_change=True)
BACK_BY_AFFINITY = replace(BACK, key="old", labels={})
NOBODY = NodeTarget("gpu-1", None, None, {}, (GPU,))
AS_IS = NodeTarget("gpu-1", "l20", NEW, {GPU: 8}, as_is=True)
#: MIG instances come or go: with another config, and with the same one.
LAYOUT = {"schema_version": 1, "gpus": [{"uuid": "GPU-0", "mode": "disabled", "instances": []}]}
REPARTED = replace(OWN, mig=MigStep(True, {"mig_devices": {"1g.12gb": 7}}, before=LAYOUT))
#: Its container runtime is restarted, and nothing else.
RESTARTED = replace(OWN, runtime=RuntimeStep("containerd", "0" * 64))
TARGETS = [BY_LABEL, BY_AFFINITY, OWN, BACK, BACK_BY_AFFINITY, NOBODY, REPARTED, RESTARTED]
SCALE_DOWN, DISRUPT = "cluster-autoscaler.kubernetes.io/scale-down-disabled", "karpenter.sh/do-not-disrupt"
NOT_PROTECTED = {SCALE_DOWN: None, DISRUPT: None}
BARE = NodeState("gpu-1", labels=FOREIGN, allocatable={GPU: 1})


def noted(node: NodeState, run: str = "run-1", **fields: Any) -> NodeState:
    note = Maintenance(**{"run": run, "since": "2026-03-01T11:00:00.000Z", "plan": "plan-1", **fields})
    return replace(node, annotations={**node.annotations, MAINTENANCE: note.to_text()}, unschedulable=True)


def labelled(node: NodeState, key: str | None = "l20", revision: str | None = NEW) -> NodeState:
    labels = {name: value for name, value in {KEY: key, REVISION: revision}.items() if value}
    return replace(node, labels=labels)


def serving(node: NodeState) -> NodeState:
    return replace(labelled(node), allocatable={GPU: 8})


def test_in_maintenance_cordons_and_notes_how_it_was_in_one_patch() -> None:
    decision = decide_in_maintenance(BARE, BY_LABEL, RUN)
    after = BARE.patched(decision.patch)
    assert decision.verdict == PATCH
    assert decision.actions == ("patch node gpu-1: cordon and annotate",)
    assert after.unschedulable
    note = after.maintenance
    assert note is not None
    assert (note.run, note.plan, note.step, note.was_unschedulable) == ("run-1", "plan-1", "cordoned", False)
    assert note.restore == {
        "key": None,
        "revision": None,
        "labels": FOREIGN,
        "resources": {GPU: 1},
        "annotations": NOT_PROTECTED,
    }
    assert note.reason == "sharing change to l20 revision 0a1b2c3d4e by plan plan-1"


def test_in_maintenance_of_a_node_that_was_cordoned_before_remembers_it() -> None:
    decision = decide_in_maintenance(replace(BARE, unschedulable=True), BY_LABEL, RUN)
    note = BARE.patched(decision.patch).maintenance
    assert note is not None
    assert note.was_unschedulable
    assert decision.actions == ("patch node gpu-1: annotate (it was cordoned before)",)


def test_in_maintenance_takes_over_from_a_dead_run_and_keeps_what_it_knew() -> None:
    restore = {"key": "old", "revision": "ff", "labels": {}}
    dead = noted(BARE, "run-0", was_unschedulable=True, step="withdrawn", restore=restore)
    decision = decide_in_maintenance(dead, BY_LABEL, RUN)
    note = dead.patched(decision.patch).maintenance
    assert note is not None
    assert (note.run, note.was_unschedulable, note.step) == ("run-1", True, "cordoned")
    assert note.since == "2026-03-01T11:00:00.000Z"
    assert note.restore == {**restore, "annotations": NOT_PROTECTED}
    assert decision.reason == (
        "taken over from run run-0, which holds no lease (in maintenance since 2026-03-01T11:00:00.000Z)"
    )


@pytest.mark.parametrize(
    ("node", "verdict", "words"),
    [
        pytest.param(serving(BARE), DONE, "already serves", id="already there"),
        pytest.param(
            serving(replace(BARE, unschedulable=True)), DONE, "already serves", id="already there, cordoned by hand"
        ),
        pytest.param(noted(BARE), DONE, "already in maintenance", id="begun"),
        pytest.param(replace(noted(BARE), unschedulable=False), PATCH, "", id="begun, uncordoned by hand"),
        pytest.param(noted(BARE, "run-0"), PATCH, "taken over", id="a dead run's"),
        pytest.param(noted(serving(BARE), "run-0"), PATCH, "taken over", id="a dead run's, all but uncordoned"),
        pytest.param(
            replace(BARE, annotations={HOLD: "Ada tests"}),
            REFUSED,
            "held by the annotation kubegpu.sharing/hold: Ada tests",
            id="held",
        ),
        pytest.param(replace(BARE, annotations={HOLD: ""}), REFUSED, "no reason given", id="held without a word"),
        pytest.param(
            noted(replace(BARE, annotations={HOLD: "Ada tests"}), "run-0"),
            REFUSED,
            "hold: Ada tests. It stays in maintenance as run run-0 left it. Remove the annotation",
            id="a dead run's, held",
        ),
        pytest.param(noted(replace(BARE, annotations={HOLD: ""})), DONE, "already in maintenance", id="begun, held"),
        pytest.param(replace(BARE, annotations={MAINTENANCE: "?"}), REFUSED, "cannot be read: '?'", id="unreadable"),
        pytest.param(replace(labelled(BARE), allocatable={GPU: 0}), PATCH, "", id="bears the target, does not serve"),
        pytest.param(replace(serving(BARE), not_ready="x"), PATCH, "", id="bears the target, NotReady"),
    ],
)
def test_in_maintenance_decides(node: NodeState, verdict: str, words: str) -> None:
    decision = decide_in_maintenance(node, BY_LABEL, RUN)
    assert decision.verdict == verdict
    assert words in decision.reason


def test_in_maintenance_refuses_a_node_of_a_run_that_lives() -> None:
    decision = decide_in_maintenance(noted(BARE, "run-0"), BY_LABEL, replace(RUN, holder="run-0"))
    assert decision.verdict == REFUSED
    assert decision.reason == (
        "run run-0 has it in maintenance (since 2026-03-01T11:00:00.000Z) and holds a live lease. Wait for that run to end."
    )


@pytest.mark.parametrize("hold", [{}, {HOLD: "Ada repairs"}])
def test_in_maintenance_by_hand_is_not_taken_over_by_a_rollout(hold: dict[str, str]) -> None:
    """Its lease may have run out while the person is still at the machine."""
    node = noted(replace(BARE, annotations=hold), "repair-1", plan="")
    decision = decide_in_maintenance(node, BY_LABEL, RUN)
    assert decision.verdict == REFUSED
    assert decision.reason == (
        "it is in maintenance by run repair-1 (since 2026-03-01T11:00:00.000Z) for its own sake, without a plan: a person "
        "may be at work on it. When that is over, take the lock for run repair-1 and end it by node_maintenance with state "
        "in_service, or remove the annotation kubegpu.sharing/maintenance and uncordon the node. Then run again."
    )


def test_in_maintenance_by_hand_is_taken_over_by_another_one_by_hand() -> None:
    run = RunContext("repair-2", "", since="2026-03-01T12:00:00.000Z", holder="repair-2")
    node = noted(serving(BARE), "repair-1", plan="")
    decision = decide_in_maintenance(node, AS_IS, run)
    note = node.patched(decision.patch).maintenance
    assert (decision.verdict, note and note.run) == (PATCH, "repair-2")


def annotated(node: NodeState, **annotations: str) -> NodeState:
    return replace(node, annotations={**node.annotations, **annotations})


def test_a_node_is_kept_from_autoscalers_for_the_time_of_its_maintenance() -> None:
    before = annotated(BARE, **{DISRUPT: "false"})
    during = before.patched(decide_in_maintenance(before, BY_LABEL, RUN).patch)
    assert (during.annotations[SCALE_DOWN], during.annotations[DISRUPT]) == ("true", "true")
    after = during.patched(decide_in_service(during, BY_LABEL, RUN, []).patch)
    assert after.annotations == before.annotations


def test_a_node_that_was_kept_from_autoscalers_before_stays_so() -> None:
    before = annotated(BARE, **{SCALE_DOWN: "true", DISRUPT: "true"})
    during = before.patched(decide_in_maintenance(before, BY_LABEL, RUN).patch)
    after = during.patched(decide_in_service(during, BY_LABEL, RUN, []).patch)
    assert after.annotations == before.annotations


def test_what_somebody_else_told_autoscalers_meanwhile_stands() -> None:
    during = BARE.patched(decide_in_maintenance(BARE, BY_LABEL, RUN).patch)
    during = annotated(during, **{SCALE_DOWN: "false"})
    after = during.patched(decide_in_service(during, BY_LABEL, RUN, []).patch)
    assert after.annotations == {SCALE_DOWN: "false"}


def test_protection_of_a_dead_run_is_undone_by_the_one_that_takes_over() -> None:
    before = annotated(BARE, **{DISRUPT: "false"})
    during = before.patched(decide_in_maintenance(before, BY_LABEL, RUN).patch)
    second = RunContext("run-2", "plan-1", holder="run-2")
    during = during.patched(decide_in_maintenance(during, BY_LABEL, second).patch)
    after = during.patched(decide_in_service(during, BY_LABEL, second, []).patch)
    assert after.annotations == before.annotations


def test_a_node_whose_layout_changes_alone_is_taken_and_its_plugin_withdrawn_once() -> None:
    node = serving(BARE)
    assert decide_in_maintenance(node, OWN, RUN).settled
    taken = node.patched(decide_in_maintenance(node, REPARTED, RUN).patch)
    withdrawn = taken.patched(decide_withdrawn(taken, REPARTED, RUN).patch)
    note = withdrawn.maintenance
    assert note is not None
    assert (withdrawn.revision, note.step) == ("withdrawn", "withdrawn")
    served = withdrawn.patched(decide_serving(withdrawn, REPARTED, RUN).patch)
    assert decide_withdrawn(served, REPARTED, RUN).verdict == DONE
    # A way back within the run, after its failure, goes by a plan of its own.
    assert decide_withdrawn(served, REPARTED, replace(RUN, plan_id="plan-2")).verdict == PATCH


def test_a_node_whose_runtime_alone_changes_is_taken_and_keeps_its_plugin() -> None:
    node = serving(BARE)
    taken = node.patched(decide_in_maintenance(node, RESTARTED, RUN).patch)
    assert taken.unschedulable
    for decide in (decide_withdrawn, decide_serving):
        decision = decide(taken, RESTARTED, RUN)
        # Not settled: the proof is waited for, since a restart may take the kubelet along.
        assert (decision.verdict, decision.settled) == (DONE, False)
    assert taken.patched(decide_in_service(taken, RESTARTED, RUN, []).patch) == node


def test_a_node_whose_layout_only_is_confirmed_is_left_alone() -> None:
    confirmed = replace(REPARTED, mig=MigStep(False))
    assert decide_in_maintenance(serving(BARE), confirmed, RUN).settled
    assert decide_withdrawn(noted(serving(BARE), step="serving"), confirmed, RUN).verdict == DONE


def test_the_layout_before_is_noted_and_stays_noted_when_a_dead_run_is_taken_over() -> None:
    taken = BARE.patched(decide_in_maintenance(BARE, REPARTED, RUN).patch)
    note = taken.maintenance
    assert note is not None
    assert note.restore["mig"] == LAYOUT
    now = replace(REPARTED, mig=MigStep(True, before={"schema_version": 1, "gpus": []}))
    over = taken.patched(decide_in_maintenance(taken, now, replace(RUN, run="run-2", holder="run-2")).patch)
    note = over.maintenance
    assert note is not None
    assert (note.run, note.restore["mig"]) == ("run-2", LAYOUT)


def test_serving_dates_devices_that_are_new() -> None:
    node = noted(labelled(BARE, "l20", "withdrawn"))
    new = decide_serving(node, replace(OWN, ids_change=True), RUN).patch
    assert new.annotations["kubegpu.sharing/devices-since"] == RUN.since
    assert "kubegpu.sharing/devices-since" not in decide_serving(node, OWN, RUN).patch.annotations


def test_a_failure_is_noted_and_forgotten_with_the_next_step() -> None:
    node = BARE.patched(decide_in_maintenance(BARE, BY_LABEL, RUN).patch)
    failed = node.patched(decide_failure(node, RUN, f"withdrawn failed: {'x' * 600}").patch)
    note = failed.maintenance
    assert note is not None
    assert note.reason.startswith("withdrawn failed: xxx")
    assert len(note.reason) == 500
    assert replace(note, reason="") == replace(node.maintenance or note, reason="")
    assert decide_failure(failed, RUN, f"withdrawn failed: {'x' * 600}").verdict == DONE
    after = failed.patched(decide_withdrawn(failed, BY_LABEL, RUN).patch).maintenance
    assert after is not None
    assert after.reason == "sharing change to l20 revision 0a1b2c3d4e by plan plan-1"


@pytest.mark.parametrize("node", [BARE, noted(BARE, "run-0"), replace(BARE, annotations={MAINTENANCE: "?"})])
def test_a_failure_is_not_noted_on_a_node_that_the_run_does_not_have(node: NodeState) -> None:
    assert decide_failure(node, RUN, "x").verdict == DONE


def test_a_node_goes_back_to_a_foreign_plugin_in_one_patch() -> None:
    node = noted(replace(labelled(BARE), allocatable={GPU: 8}))
    node = node.patched(decide_withdrawn(node, BACK, RUN).patch)
    assert node.labels == {KEY: "l20", REVISION: "withdrawn"}
    decision = decide_serving(node, BACK, RUN)
    assert decision.patch.labels == {KEY: None, REVISION: None, **FOREIGN}
    assert node.patched(decision.patch).labels == FOREIGN
    assert decision.actions[0].startswith("patch node gpu-1: serve DaemonSet kube-system/ds (")


def test_a_plugin_that_came_back_too_early_is_withdrawn_first() -> None:
    """Its label is back while ours still serves: two plugins on one node end with no GPU at all."""
    node = noted(replace(labelled(BARE), labels={**labelled(BARE).labels, **FOREIGN}))
    assert decide_serving(node, BACK, RUN).verdict == REFUSED
    assert decide_withdrawn(node, BACK, RUN).patch.labels == {REVISION: "withdrawn", "nvidia-device-enable": None}


def test_a_node_as_it_is_is_cordoned_and_comes_back_with_its_labels_untouched() -> None:
    node = serving(BARE)
    during = node.patched(decide_in_maintenance(node, AS_IS, RUN).patch)
    assert during.unschedulable
    for decide in (decide_withdrawn, decide_serving):
        assert decide(during, AS_IS, RUN).verdict == DONE
    assert unmet_node(during, AS_IS) == []
    assert during.patched(decide_in_service(during, AS_IS, RUN, []).patch) == node


@pytest.mark.parametrize(
    ("node", "target", "labels"),
    [
        pytest.param(noted(BARE), BY_LABEL, {"nvidia-device-enable": None, REVISION: "withdrawn"}, id="by label"),
        pytest.param(noted(BARE), BY_AFFINITY, {REVISION: "withdrawn"}, id="by affinity"),
        pytest.param(noted(labelled(BARE, "old", "ff")), OWN, {REVISION: "withdrawn"}, id="ours, an older revision"),
        pytest.param(
            noted(replace(BARE, labels={**FOREIGN, REVISION: "withdrawn"})),
            BY_LABEL,
            {"nvidia-device-enable": None},
            id="the foreign label came back",
        ),
        pytest.param(
            noted(replace(BARE, labels={"nvidia-device-enable": "no"})),
            BY_LABEL,
            {REVISION: "withdrawn"},
            id="another value selects nothing",
        ),
        pytest.param(
            noted(replace(labelled(BARE), allocatable={GPU: 0}), step="cordoned"),
            BY_LABEL,
            {REVISION: "withdrawn"},
            id="bears its target and has lost its registration",
        ),
    ],
)
def test_withdrawn_takes_every_plugin_off(node: NodeState, target: NodeTarget, labels: dict[str, Any]) -> None:
    decision = decide_withdrawn(node, target, RUN)
    assert decision.verdict == PATCH
    assert decision.patch.labels == labels
    note = node.patched(decision.patch).maintenance
    assert note is not None
    assert note.step == "withdrawn"


@pytest.mark.parametrize(
    ("node", "verdict", "words"),
    [
        (noted(labelled(BARE, None, "withdrawn")), DONE, "already withdrawn"),
        (noted(serving(BARE), step="cordoned"), DONE, "already bears its new revision"),
        (noted(labelled(BARE), step="serving"), DONE, "already bears its new revision"),
        (noted(labelled(BARE), "run-0", step="cordoned"), DONE, "already bears its new revision"),
        (labelled(BARE), DONE, "already bears its new revision"),
        (serving(BARE), DONE, "already bears its new revision"),
        (replace(noted(labelled(BARE)), unschedulable=False), REFUSED, "uncordoned by somebody else meanwhile"),
        (BARE, REFUSED, "it is not in maintenance"),
        (noted(BARE, "run-0"), REFUSED, "it is in maintenance by run run-0"),
        (replace(noted(BARE), unschedulable=False), REFUSED, "uncordoned by somebody else meanwhile"),
    ],
)
def test_withdrawn_decides(node: NodeState, verdict: str, words: str) -> None:
    decision = decide_withdrawn(node, BY_LABEL, RUN)
    assert (decision.verdict, words in decision.reason) == (verdict, True)


def test_withdrawn_repairs_a_lost_registration_once_per_run() -> None:
    """A run that served the node itself waits; the next one may not know what the first one saw, and begins anew."""
    node = noted(replace(labelled(BARE), allocatable={GPU: 0}), step="cordoned")
    node = node.patched(decide_withdrawn(node, BY_LABEL, RUN).patch)
    assert node.revision == "withdrawn"
    node = node.patched(decide_serving(node, BY_LABEL, RUN).patch)
    assert bears_target(node, BY_LABEL)
    assert decide_withdrawn(node, BY_LABEL, RUN).verdict == DONE
    second = replace(RUN, run="run-2", holder="run-2")
    node = node.patched(decide_in_maintenance(node, BY_LABEL, second).patch)
    assert decide_withdrawn(node, BY_LABEL, second).patch.labels == {REVISION: "withdrawn"}


@pytest.mark.parametrize(
    ("node", "labels"),
    [
        (noted(labelled(BARE, None, "withdrawn")), {KEY: "l20", REVISION: NEW}),
        (noted(labelled(BARE, "l20", "withdrawn")), {REVISION: NEW}),
        (noted(labelled(BARE, "old", "withdrawn")), {KEY: "l20", REVISION: NEW}),
    ],
)
def test_serving_sets_key_and_revision_in_one_patch(node: NodeState, labels: dict[str, str]) -> None:
    decision = decide_serving(node, BY_LABEL, RUN)
    assert decision.patch.labels == labels
    assert bears_target(node.patched(decision.patch), BY_LABEL)


@pytest.mark.parametrize(
    ("node", "verdict", "words"),
    [
        (noted(labelled(BARE)), DONE, "already bears its new revision"),
        (serving(BARE), DONE, "already in service"),
        (noted(labelled(BARE, "old", "ff")), REFUSED, "its plugin has not been withdrawn"),
        (noted(replace(BARE, labels={**FOREIGN, REVISION: "withdrawn"})), REFUSED, "its plugin has not been withdrawn"),
        (labelled(BARE, None, "withdrawn"), REFUSED, "it is not in maintenance"),
        (
            replace(noted(labelled(BARE, None, "withdrawn")), unschedulable=False),
            REFUSED,
            "uncordoned by somebody else",
        ),
    ],
)
def test_serving_decides(node: NodeState, verdict: str, words: str) -> None:
    decision = decide_serving(node, BY_LABEL, RUN)
    assert (decision.verdict, words in decision.reason) == (verdict, True)


def test_in_service_uncordons_and_removes_the_note_in_one_patch() -> None:
    node = noted(serving(BARE))
    decision = decide_in_service(node, BY_LABEL, RUN, [])
    after = node.patched(decision.patch)
    assert (after.unschedulable, after.maintenance) == (False, None)
    assert decision.actions == ("patch node gpu-1: uncordon and remove the annotation",)


def test_in_service_leaves_a_node_cordoned_that_was_so_before() -> None:
    node = noted(serving(BARE), was_unschedulable=True)
    decision = decide_in_service(node, BY_LABEL, RUN, [])
    after = node.patched(decision.patch)
    assert (after.unschedulable, after.maintenance) == (True, None)
    assert decision.reason == "was cordoned before and stays so"


@pytest.mark.parametrize(
    ("node", "unmet", "verdict", "words"),
    [
        (noted(serving(BARE)), ["allocatable is 7"], REFUSED, "stays out of service: allocatable is 7. Look at"),
        (noted(serving(BARE), "run-0"), [], REFUSED, "by run run-0"),
        (serving(BARE), [], DONE, "already in service"),
        (serving(replace(BARE, unschedulable=True)), [], DONE, "was cordoned by somebody else and stays so"),
        (BARE, ["labels differ"], REFUSED, "it is in nobody's maintenance, yet labels differ"),
        (
            replace(noted(serving(BARE)), annotations={**noted(BARE).annotations, HOLD: "look"}),
            [],
            HELD,
            "hold: look. It stays cordoned",
        ),
        (
            replace(noted(serving(BARE)), annotations={**noted(BARE).annotations, HOLD: "look"}),
            ["x"],
            REFUSED,
            "stays out",
        ),
    ],
)
def test_in_service_decides(node: NodeState, unmet: list[str], verdict: str, words: str) -> None:
    decision = decide_in_service(node, BY_LABEL, RUN, unmet)
    assert (decision.verdict, words in decision.reason) == (verdict, True), decision


# Laws

Step = Callable[[NodeState, NodeTarget, RunContext], Decision]
STEPS: dict[str, Step] = {
    "in_maintenance": decide_in_maintenance,
    "withdrawn": decide_withdrawn,
    "serving": decide_serving,
    "in_service": lambda node, target, run: decide_in_service(node, target, run, unmet_node(node, target)),
}
STEP_NAMES = list(STEPS)


@st.composite
def nodes(draw: st.DrawFn) -> NodeState:
    """Any node that people and runs, alive or dead, may leave."""
    labels: dict[str, str] = draw(st.sampled_from([{}, FOREIGN, {"nvidia-device-enable": "no"}]))
    key = draw(st.sampled_from([None, "l20", "old"]))
    revision = draw(st.sampled_from([None, NEW, "ff", "withdrawn"]))
    labels = {**labels, **{name: value for name, value in {KEY: key, REVISION: revision}.items() if value}}
    node = NodeState(
        "gpu-1",
        labels=labels,
        unschedulable=draw(st.booleans()),
        allocatable={GPU: draw(st.sampled_from([0, 1, 8]))},
        not_ready=draw(st.sampled_from(["", "KubeletNotReady"])),
        annotations=draw(st.sampled_from([{}, {HOLD: "mine"}, {SCALE_DOWN: "true", DISRUPT: "false"}])),
    )
    run = draw(st.sampled_from([None, "run-1", "run-0", ""]))
    if run is None:
        return node
    plan = "plan-1" if run == RUN.run else draw(st.sampled_from(["", "plan-0"]))
    text = Maintenance(run, plan=plan, was_unschedulable=draw(st.booleans())).to_text() if run else "?"
    return replace(node, annotations={**node.annotations, MAINTENANCE: text})


@settings(max_examples=400, deadline=None)
@given(node=nodes(), target=st.sampled_from(TARGETS), step=st.sampled_from(STEP_NAMES))
def test_law_a_step_done_twice_writes_once(node: NodeState, target: NodeTarget, step: str) -> None:
    decision = STEPS[step](node, target, RUN)
    after = node.patched(decision.patch)
    again = STEPS[step](after, target, RUN)
    if decision.verdict == PATCH:
        assert again.verdict == DONE
        assert after != node
    else:
        assert again == decision


@settings(max_examples=400, deadline=None)
@given(node=nodes(), target=st.sampled_from(TARGETS), step=st.sampled_from(STEP_NAMES))
def test_law_labels_change_only_while_cordoned_by_this_run(node: NodeState, target: NodeTarget, step: str) -> None:
    patch = STEPS[step](node, target, RUN).patch
    if patch.labels:
        assert node.unschedulable
        assert node.maintenance is not None
        assert node.maintenance.run == RUN.run


@settings(max_examples=400, deadline=None)
@given(node=nodes(), target=st.sampled_from(TARGETS), step=st.sampled_from(STEP_NAMES))
def test_law_only_a_proven_node_that_this_run_cordoned_is_uncordoned(
    node: NodeState, target: NodeTarget, step: str
) -> None:
    decision = STEPS[step](node, target, RUN)
    after = node.patched(decision.patch)
    if node.unschedulable and not after.unschedulable:
        assert step == "in_service"
        assert unmet_node(node, target) == []
        assert node.hold is None
        assert node.maintenance is not None
        assert (node.maintenance.run, node.maintenance.was_unschedulable) == (RUN.run, False)


@settings(max_examples=400, deadline=None)
@given(node=nodes(), target=st.sampled_from(TARGETS))
def test_law_two_plugins_never_select_a_node(node: NodeState, target: NodeTarget) -> None:
    """Our revision is set only where the foreign label is gone and nothing else was recorded."""
    decision = decide_serving(node, target, RUN)
    if decision.verdict == PATCH:
        assert node.revision == "withdrawn"
        assert target not in (BY_LABEL, BACK) or node.labels.get("nvidia-device-enable") != "enable"


@settings(max_examples=400, deadline=None)
@given(node=nodes(), target=st.sampled_from(TARGETS))
def test_law_check_mode_decides_as_the_real_run(node: NodeState, target: NodeTarget) -> None:
    """Every step, with waits that end well, against the same step in check mode on the untouched node."""
    real = node
    for step, decide in STEPS.items():
        assumed = assume_steps_before(step, node, target, RUN)
        foreseen, done = decide(assumed, target, RUN), decide(real, target, RUN)
        assert (foreseen.verdict, foreseen.actions) == (done.verdict, done.actions)
        if done.verdict == PATCH:
            assert foreseen.patch.diff(assumed) == done.patch.diff(real)
        real = real.patched(done.patch)
        if step == "serving" and done.verdict in (DONE, PATCH) and real.maintenance is not None:
            real = replace(real, allocatable=target.wanted(), not_ready="")  # its wait ended well
        if done.verdict == REFUSED:
            break  # the rollout goes on without this node


@settings(max_examples=400, deadline=None)
@given(node=nodes(), target=st.sampled_from(TARGETS), stops=st.integers(0, 3))
def test_law_an_interrupted_rollout_finishes_when_started_again(
    node: NodeState, target: NodeTarget, stops: int
) -> None:
    """The first run dies after some step; the second one, of another name, ends as the first would have."""
    started = decide_in_maintenance(node, target, RUN)
    if started.verdict == REFUSED:
        return
    for step in STEP_NAMES[: stops + 1]:
        node = node.patched(STEPS[step](node, target, RUN).patch)
    second = RunContext("run-2", "plan-1", holder="run-2")
    for step in STEP_NAMES:
        decision = STEPS[step](node, target, second)
        if step == "in_service" and node.hold is not None and decision.verdict == HELD:
            return
        if step == "in_maintenance" and node.hold is not None and decision.verdict == REFUSED:
            return
        assert decision.verdict in (DONE, PATCH), (step, decision)
        node = node.patched(decision.patch)
        if step == "serving" and node.maintenance is not None:
            node = replace(node, allocatable=target.wanted(), not_ready="")
    assert bears_target(node, target)
    assert node.maintenance is None

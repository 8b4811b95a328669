# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pausing and resuming as decisions on one node: what is written, what is noted, and that every way back undoes it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.find import Found, Holder
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.methods import Method
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import DONE, PATCH, REFUSED
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.maintenance import Maintenance
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.mig import MigStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pausing import (
    decide_paused,
    decide_resumed,
    record_on,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import (
    RunContext,
    decide_in_maintenance,
    decide_in_service,
    decide_serving,
    decide_withdrawn,
)

GPU = "nvidia.com/gpu"
OPERATOR = "nvidia.com/gpu.deploy.dcgm-exporter"
OURS = {"key": "kubegpu.sharing/maintenance", "value": "nvml", "effect": "NoSchedule"}
OTHERS = {"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}
TARGET = NodeTarget("gpu-1", "h20", "0a1b2c3d4e", {GPU: 7}, (GPU,), mig=MigStep(True, {"state": "present"}))
RUN = RunContext("run-1", "plan-1", since="2026-03-01T12:00:00.000Z")
NODE = NodeState("gpu-1", labels={"metrics": "on", OPERATOR: "true"}, allocatable={GPU: 1}, taints=(OTHERS,))


def holder(name: str, method: Method) -> Holder:
    return Holder(f"m/{name}", f"uid-{name}", "dcgm_exporter", False, method)


ALL = Found(
    (
        holder("a", Method("label", "metrics")),
        holder("b", Method("label", OPERATOR, "paused-for-mig-change")),
        holder("c", Method("taint")),
        holder("d", Method("label", "kubegpu.sharing/nvml-paused", "true")),
    )
)


def begun(node: NodeState = NODE, target: NodeTarget = TARGET, run: RunContext = RUN) -> NodeState:
    return node.patched(decide_in_maintenance(node, target, run).patch)


def paused(node: NodeState | None = None, found: Found = ALL) -> NodeState:
    node = node or begun()
    return node.patched(decide_paused(node, found, "").patch)


def test_paused_writes_labels_taint_and_what_undoes_them_in_one_request() -> None:
    decision = decide_paused(begun(), ALL, "")
    assert decision.verdict == PATCH
    body = decision.patch.body("7")
    assert body["metadata"]["labels"] == {
        "metrics": None,
        OPERATOR: "paused-for-mig-change",
        "kubegpu.sharing/nvml-paused": "true",
    }
    assert body["spec"] == {"taints": [OTHERS, OURS]}
    note = Maintenance(**json.loads(body["metadata"]["annotations"]["kubegpu.sharing/maintenance"]))
    assert note.restore["paused"] == {
        "labels": {
            "kubegpu.sharing/nvml-paused": {"before": None, "value": "true"},
            "metrics": {"before": "on", "value": None},
            OPERATOR: {"before": "true", "value": "paused-for-mig-change"},
        },
        "taint": True,
        "daemonsets": ["m/a", "m/b", "m/c", "m/d"],
    }
    assert decision.actions == (
        "patch node gpu-1: pause m/a, m/b, m/c, m/d (kubegpu.sharing/nvml-paused=true, metrics-, "
        f"{OPERATOR}=paused-for-mig-change, taint kubegpu.sharing/maintenance)",
    )


def test_paused_again_writes_nothing_and_puts_right_what_somebody_put_back() -> None:
    node = paused()
    assert decide_paused(node, ALL, "").verdict == DONE
    meddled = replace(node, labels={**node.labels, OPERATOR: "true"}, taints=(OTHERS,))
    again = decide_paused(meddled, ALL, "")
    assert again.patch.labels == {OPERATOR: "paused-for-mig-change"}
    assert record_on(meddled.patched(again.patch)) == record_on(node)


def test_paused_by_a_run_that_takes_over_keeps_what_is_noted() -> None:
    second = RunContext("run-2", "plan-2", since="2026-03-01T13:00:00.000Z")
    node = begun(paused(), run=second)
    assert node.maintenance is not None
    assert node.maintenance.run == "run-2"
    assert decide_paused(node, Found(ALL.holders[:1]), "").verdict == DONE
    more = Found((*ALL.holders, holder("e", Method("taint"))))
    record = record_on(paused(node, more))
    assert record is not None
    assert record.daemonsets == ("m/a", "m/b", "m/c", "m/d", "m/e")
    assert record.labels["metrics"].before == "on"


def test_paused_is_refused_with_a_problem_and_without_maintenance() -> None:
    assert decide_paused(begun(), replace(ALL, problems=("One.", "Two.")), "").reason == "One. Two."
    assert decide_paused(NODE, ALL, "it is not in maintenance.").verdict == REFUSED


def test_paused_with_nothing_to_pause_writes_nothing() -> None:
    assert decide_paused(begun(), Found(), "").verdict == DONE


def test_resumed_undoes_just_that() -> None:
    node = paused()
    decision = decide_resumed(node, "")
    after = node.patched(decision.patch)
    assert (after.labels, after.taints) == (NODE.labels, (OTHERS,))
    assert after.maintenance == begun().maintenance
    assert decide_resumed(after, "").verdict == DONE
    assert decision.actions == (
        "patch node gpu-1: resume m/a, m/b, m/c, m/d (kubegpu.sharing/nvml-paused-, metrics=on, "
        f"{OPERATOR}=true, taint kubegpu.sharing/maintenance-)",
    )


def test_resumed_leaves_what_somebody_has_changed_meanwhile() -> None:
    node = paused()
    changed = {**node.labels, "metrics": "elsewhere", OPERATOR: "false"}
    after = replace(node, labels=changed, taints=(OTHERS,))
    decision = decide_resumed(after, "")
    assert decision.patch.labels == {"kubegpu.sharing/nvml-paused": None}
    assert decision.patch.taints is None


@pytest.mark.parametrize("node", [NODE, begun()], ids=["in service", "in maintenance"])
def test_resumed_where_nothing_is_paused_is_done_whoever_has_the_node(node: NodeState) -> None:
    assert decide_resumed(node, "it is another run's.").verdict == DONE


def test_resumed_of_another_runs_node_is_refused() -> None:
    assert decide_resumed(paused(), "it is another run's.").verdict == REFUSED


@pytest.mark.parametrize("before", [False, True], ids=["uncordoned", "stays cordoned"])
def test_in_service_never_leaves_a_node_with_something_paused(before: bool) -> None:
    start = replace(NODE, unschedulable=before)
    node = paused(begun(start))
    decision = decide_in_service(node, TARGET, RUN, [])
    after = node.patched(decision.patch)
    assert (after.labels, after.taints, after.annotations, after.unschedulable) == (NODE.labels, (OTHERS,), {}, before)


def test_serving_lifts_the_taint_as_no_plugin_need_tolerate_it() -> None:
    node = paused()
    node = node.patched(decide_withdrawn(node, TARGET, RUN).patch)
    decision = decide_serving(node, TARGET, RUN)
    after = node.patched(decision.patch)
    assert after.taints == (OTHERS,)
    assert record_on(after) == record_on(node)
    bare: Any = begun()
    without = decide_serving(bare.patched(decide_withdrawn(bare, TARGET, RUN).patch), TARGET, RUN)
    assert decision.patch.diff(node)[1] == without.patch.diff(node)[1]
    undone = after.patched(decide_resumed(after, "").patch)
    assert {label: undone.labels[label] for label in NODE.labels} == NODE.labels

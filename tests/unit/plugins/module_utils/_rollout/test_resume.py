# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.mig import MigStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.resume import judge_resume
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.runtime import RuntimeStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.snapshot import (
    SnapshotHead,
    build_snapshot,
    node_entry,
)

GPU = "nvidia.com/gpu"
TARGET = NodeTarget("gpu-1", "l20", "0a", {GPU: 8}, (GPU,))
HEAD = SnapshotHead("kubegpu-system", "run-1", "0123456789abcdef", "2026-03-01T12:00:00.000Z")
APPROVED = {name: replace(TARGET, name=name) for name in ("gpu-1", "gpu-2")}


def begun() -> list[dict[str, Any]]:
    entries = {name: node_entry(NodeState(name), target) for name, target in APPROVED.items()}
    return build_snapshot(HEAD, entries, [], [])


def remaining(*targets: NodeTarget) -> RolloutPlan:
    return RolloutPlan("another", "kubegpu-system", {target.name: target for target in targets})


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        pytest.param(remaining(*APPROVED.values()), "what is left (2 nodes) is", id="all of it"),
        pytest.param(remaining(APPROVED["gpu-2"]), "what is left (1 node) is", id="a part of it"),
        pytest.param(
            remaining(replace(TARGET, name="gpu-9", changed=False)),
            "what is left (nothing) is",
            id="others are as they were",
        ),
        pytest.param(remaining(), "what is left (nothing) is", id="empty"),
    ],
)
def test_judge_resume_accepts_what_is_left_of_the_approved_plan(plan: RolloutPlan, words: str) -> None:
    resume = judge_resume(begun(), "0123456789abcdef", plan)
    assert (resume.resumable, resume.snapshot) == (True, "kubegpu-snapshot-run-1")
    assert words in resume.reason


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (remaining(replace(TARGET, revision="ff")), "gpu-1: key l20 revision ff now, key l20 revision 0a then."),
        (remaining(replace(TARGET, key="t4")), "1 of 1 node is to become something else"),
        (remaining(*APPROVED.values(), replace(TARGET, name="gpu-9")), "1 of 3 nodes"),
        (remaining(replace(TARGET, name="gpu-9")), "gpu-9: key l20 revision 0a now, nothing then."),
    ],
)
def test_judge_resume_refuses_anything_else(plan: RolloutPlan, words: str) -> None:
    resume = judge_resume(begun(), "0123456789abcdef", plan)
    assert (resume.resumable, resume.snapshot) == (False, "kubegpu-snapshot-run-1")
    assert words in resume.reason


def layout(profiles: dict[int, str], mode: str = "enabled") -> dict[str, Any]:
    instances = [{"profile": profile, "start": start, "compute": []} for start, profile in profiles.items()]
    return {"schema_version": 1, "gpus": [{"uuid": "GPU-0", "mode": mode, "instances": instances}]}


@pytest.mark.parametrize(
    ("now", "resumable"),
    [
        pytest.param(layout({0: "3g.48gb", 4: "1g.12gb"}), True, id="the same"),
        pytest.param(layout({4: "3g.48gb", 0: "1g.12gb"}), True, id="the same at other places"),
        pytest.param(layout({0: "3g.48gb", 4: "2g.24gb"}), False, id="other devices"),
        pytest.param(layout({0: "3g.48gb"}), False, id="fewer devices"),
        pytest.param(layout({}, "disabled"), False, id="no devices"),
    ],
)
def test_judge_resume_asks_for_the_same_mig_devices_as_were_approved(now: dict[str, Any], resumable: bool) -> None:
    approved = replace(TARGET, mig=MigStep(True, after=layout({0: "3g.48gb", 4: "1g.12gb"})))
    maps = build_snapshot(HEAD, {"gpu-1": node_entry(NodeState("gpu-1"), approved)}, [], [])
    resume = judge_resume(maps, "0123456789abcdef", remaining(replace(TARGET, mig=MigStep(True, after=now))))
    assert (resume.resumable, "with other MIG devices" in resume.reason) == (resumable, not resumable)


@pytest.mark.parametrize(
    ("now", "resumable"),
    [
        pytest.param(RuntimeStep("containerd", "aa"), True, id="the same"),
        pytest.param(None, True, id="done already"),
        pytest.param(RuntimeStep("containerd", "bb"), False, id="another change"),
    ],
)
def test_judge_resume_asks_for_the_same_change_of_a_container_runtime(now: RuntimeStep | None, resumable: bool) -> None:
    approved = replace(TARGET, runtime=RuntimeStep("containerd", "aa"))
    maps = build_snapshot(HEAD, {"gpu-1": node_entry(NodeState("gpu-1"), approved)}, [], [])
    resume = judge_resume(maps, "0123456789abcdef", remaining(replace(TARGET, runtime=now)))
    assert (resume.resumable, "another change of its container runtime" in resume.reason) == (resumable, not resumable)
    # Approved was a plan that did nothing to it.
    if now:
        assert not judge_resume(begun(), "0123456789abcdef", remaining(replace(TARGET, runtime=now))).resumable


def test_judge_resume_needs_a_complete_snapshot_of_that_plan() -> None:
    plan = remaining(TARGET)
    assert judge_resume([], "0123456789abcdef", plan).snapshot is None
    assert judge_resume(begun(), "fedcba9876543210", plan).reason.startswith("No complete snapshot of plan fedcba98")
    assert not judge_resume(begun()[:-1], "0123456789abcdef", plan).resumable
    without_shard = judge_resume(begun()[1:], "0123456789abcdef", plan)
    assert (without_shard.resumable, "cannot be read" in without_shard.reason) == (False, True)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"schema_version": 2, "shards": []}'])
def test_judge_resume_does_not_trust_what_it_cannot_read(text: str) -> None:
    maps = begun()
    maps[-1]["data"]["snapshot.json"] = text
    resume = judge_resume(maps, "0123456789abcdef", remaining())
    assert (resume.resumable, "cannot be read" in resume.reason) == (False, True)

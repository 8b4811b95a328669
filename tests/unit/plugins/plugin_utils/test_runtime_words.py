# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What container_runtime says of a plan: for the rollout, and where it refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Candidate, Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import FileChange, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._runtime_words import (
    document_of,
    facts_of,
    failed_facts,
    other_change,
    refusal,
    told,
)

SEEN = Observation(
    engine="k3s",
    candidates=(Candidate("k3s", ("k3s.service is active.",), active=True, role="server"),),
    record={"wish": {"default": True, "name": "nvidia"}},
    live={"live_restore": False},
)
PLAN = RuntimePlan(
    "k3s",
    files=(FileChange("/etc/x", None, "ours\n"),),
    restart=True,
    actions=("write /etc/x", "restart k3s.service"),
    notes=("Another runtime is there: kata.",),
    units=("k3s.service",),
    version="v1.32.1+k3s1",
)
PRESENT = {"state": "present", "name": "nvidia", "default": True, "caller": "role"}


def test_refusal_has_all_problems_of_a_host_in_one_message() -> None:
    error = refusal("gpu-1", PLAN.refused("One.", "Another."), SEEN)
    assert error.msg.startswith("Container runtime of gpu-1 (k3s v1.32.1+k3s1): 2 problems, nothing was changed.\n")
    assert error.problems == ["One.", "Another."]
    assert error.facts["found"] == ["k3s.service is active.", "Another runtime is there: kata."]


def test_refusal_of_a_host_without_a_runtime_names_none() -> None:
    error = refusal("gpu-1", RuntimePlan("auto", problems=("There is none.",)), Observation())
    assert error.msg.startswith("Container runtime of gpu-1: 1 problem, ")


def test_facts_say_that_servers_go_one_at_a_time_and_what_was_the_default() -> None:
    facts = facts_of(PLAN, SEEN, PRESENT)
    assert (facts["one_at_a_time"], facts["was_default"], facts["would_change"]) == (True, True, True)
    assert facts["changed"] is False
    assert facts_of(PLAN.refused("No."), SEEN, PRESENT)["would_change"] is False


def test_document_of_a_host_is_what_the_rollout_reads() -> None:
    document: dict[str, Any] = document_of(PLAN, SEEN, "host/1", {**PRESENT, "node_name": "gpu-1"})
    expected = {"schema_version": 1, "kind": "runtime", "host": "host/1", "node": "gpu-1", "engine": "k3s"}
    assert {name: document[name] for name in expected} == expected
    assert document["digest"] == PLAN.digest
    assert (document["changed"], document["restart"], document["units"]) == (True, True, ["k3s.service"])
    assert (document["live_restore"], document["role"], document["problems"]) == (False, "server", [])
    assert document["state"] == "present"
    assert document_of(PLAN, SEEN, "host/1", {**PRESENT, "node_name": None, "state": "absent"})["node"] == "host/1"


def test_other_change_than_the_planned_one_says_what_it_would_be() -> None:
    error = other_change("gpu-1", PLAN)
    assert "differs from what was planned" in error.msg
    assert error.msg.endswith("  - write /etc/x\n  - restart k3s.service")


def test_end_of_a_default_is_told_with_what_is_done() -> None:
    assert facts_of(PLAN, SEEN, PRESENT)["actions"] == list(PLAN.actions)
    ending = facts_of(PLAN, SEEN, {**PRESENT, "default": False})
    assert ending["actions"] == ["let nvidia be the default runtime no longer", *PLAN.actions]
    assert ending["was_name"] == "nvidia"
    # A rollout shows no more than its file.
    document = document_of(PLAN, SEEN, "gpu-1", {**PRESENT, "default": False})
    assert (document["actions"], document["warnings"]) == (ending["actions"], ending["warnings"])
    (warning,) = ending["warnings"]
    assert "pods with GPUs that name no RuntimeClass get no GPU when they start again" in warning
    assert warning.endswith("or set kubegpu_runtime_default to true.")
    nothing = RuntimePlan("k3s")
    assert facts_of(nothing, SEEN, {**PRESENT, "default": False})["actions"] == []


def test_runtime_that_makes_way_for_one_of_another_name_is_told() -> None:
    assert facts_of(PLAN, SEEN, PRESENT)["warnings"] == []
    (warning,) = facts_of(PLAN, SEEN, {**PRESENT, "name": "gpu"})["warnings"]
    assert warning.startswith("The runtime nvidia goes, and gpu comes: pods whose RuntimeClass stands for nvidia")


@pytest.mark.parametrize(
    "line",
    [
        '  default_runtime_name = "nvidia"',
        "default_runtime_name='nvidia'",
        'default_runtime = "nvidia"',
        '  "default-runtime": "nvidia",',
        "default-runtime: nvidia",
    ],
)
def test_default_that_goes_is_known_without_a_record(line: str) -> None:
    lost, absent = replace(SEEN, record=None), {**PRESENT, "state": "absent", "default": False}

    def ends(before: str, after: str) -> bool:
        changed = replace(PLAN, diff=({"before": f"a = 1\n{before}\n", "after": f"a = 1\n{after}\n"},))
        return bool(facts_of(changed, lost, absent)["was_default"])

    assert ends(line, "")
    assert ends(line, line.replace("nvidia", "runc"))
    assert not ends(line, line)
    assert not ends("", line)
    assert not ends(line.replace("nvidia", "nvidia-cdi"), "")


def test_change_tells_in_one_line_what_was_restarted_and_where_the_old_files_are() -> None:
    done = {"restarted": True, "backups": ["/var/lib/x/backups/1/0"]}
    line = told(done, PLAN, PRESENT)
    assert line.startswith("k3s: k3s.service was restarted and answers. Old files: /var/lib/x/backups/1/0")
    assert line.endswith("To take it back: kubegpu_runtime_state absent")
    assert "take it back" not in told(done, PLAN, {**PRESENT, "state": "absent"})
    assert "nothing was restarted" in told({"restarted": False, "backups": []}, PLAN, PRESENT)


def test_change_that_was_taken_back_counts_and_one_that_was_refused_does_not() -> None:
    back = failed_facts(
        KubeGpuError("It went wrong.", restarted=True, rolled_back=True, restored=False, log_lines=["x"])
    )
    assert (back["changed"], back["restored"], back["msg"]) == (True, False, "It went wrong.")
    assert failed_facts(KubeGpuError("Files alone.", restarted=False, rolled_back=True))["changed"]
    # The message has them already, and Ansible shows it twice.
    refused = failed_facts(refusal("gpu-1", PLAN.refused("One."), SEEN))
    assert (refused["changed"], "problems" in refused, "found" in refused) == (False, False, False)

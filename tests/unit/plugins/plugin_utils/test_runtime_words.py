# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What container_runtime says of a plan: for the rollout, and where it refuses."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Candidate, Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import FileChange, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._runtime_words import (
    document_of,
    facts_of,
    other_change,
    refusal,
)

SEEN = Observation(
    engine="k3s",
    candidates=(Candidate("k3s", ("k3s.service is active.",), active=True, role="server"),),
    record={"wish": {"default": True}},
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


def test_refusal_has_all_problems_of_a_host_in_one_message() -> None:
    error = refusal("gpu-1", PLAN.refused("One.", "Another."), SEEN)
    assert error.msg.startswith("Container runtime of gpu-1 (k3s v1.32.1+k3s1): 2 problems, nothing was changed.\n")
    assert error.problems == ["One.", "Another."]
    assert error.facts["found"] == ["k3s.service is active.", "Another runtime is there: kata."]


def test_refusal_of_a_host_without_a_runtime_names_none() -> None:
    error = refusal("gpu-1", RuntimePlan("auto", problems=("There is none.",)), Observation())
    assert error.msg.startswith("Container runtime of gpu-1: 1 problem, ")


def test_facts_say_that_servers_go_one_at_a_time_and_what_was_the_default() -> None:
    facts = facts_of(PLAN, SEEN)
    assert (facts["one_at_a_time"], facts["was_default"], facts["would_change"]) == (True, True, True)
    assert facts["changed"] is False
    assert facts_of(PLAN.refused("No."), SEEN)["would_change"] is False


def test_document_of_a_host_is_what_the_rollout_reads() -> None:
    document: dict[str, Any] = document_of(PLAN, SEEN, "host/1", {"node_name": "gpu-1", "state": "present"})
    expected = {"schema_version": 1, "kind": "runtime", "host": "host/1", "node": "gpu-1", "engine": "k3s"}
    assert {name: document[name] for name in expected} == expected
    assert document["digest"] == PLAN.digest
    assert (document["changed"], document["restart"], document["units"]) == (True, True, ["k3s.service"])
    assert (document["live_restore"], document["role"], document["problems"]) == (False, "server", [])
    assert document["state"] == "present"
    assert document_of(PLAN, SEEN, "host/1", {"node_name": None, "state": "absent"})["node"] == "host/1"


def test_other_change_than_the_planned_one_says_what_it_would_be() -> None:
    error = other_change("gpu-1", PLAN)
    assert "differs from what was planned" in error.msg
    assert error.msg.endswith("  - write /etc/x\n  - restart k3s.service")

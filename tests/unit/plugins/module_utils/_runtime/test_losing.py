# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restart that would end pods, since the unit's KillMode is not the vendor's."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.plugins.module_utils._runtime.nodes import after, node

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Candidate, Observation, Unit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

CRIO = node("crio", {"/etc/crio/crio.conf": ""}, version="1.30.0", listings={"/etc/crio/crio.conf.d": []})


def killing(observation: Observation, *ending: str) -> Observation:
    units = tuple(replace(unit, kill_mode="control-group") for unit in observation.candidate.units)
    return replace(observation, candidates=(replace(observation.candidate, units=units),), ending=ending)


def test_restart_that_ends_pods_is_refused_with_their_names_and_the_cure() -> None:
    plan = plan_runtime(Wish(caller="role"), killing(CRIO, "nlp/trainer", "web/shop"))
    (problem,) = plan.problems
    assert "would end 2 pods: nlp/trainer, web/shop, because KillMode of crio.service is control-group" in problem
    assert "'systemctl edit crio.service', [Service], KillMode=process" in problem
    assert "kubegpu_runtime_permit_live_loss: true" in problem


def test_of_many_pods_the_first_ones_are_named() -> None:
    (problem,) = plan_runtime(Wish(), killing(CRIO, *(f"p{n}" for n in range(30)))).problems
    assert "30 pods: p0, " in problem
    assert "p19 and 10 more, because" in problem


def test_restart_that_is_permitted_is_planned_with_a_warning() -> None:
    plan = plan_runtime(Wish(permit_live_loss=True), killing(CRIO, "nlp/trainer"))
    assert (plan.problems, plan.restart) == ((), True)
    assert plan.warnings == (
        "Restarting crio ends 1 pod: nlp/trainer (KillMode of crio.service is control-group); that is permitted.",
    )


def test_nothing_is_said_where_nothing_ends_or_nothing_restarts() -> None:
    assert not plan_runtime(Wish(), killing(CRIO)).problems
    done = after(CRIO, plan_runtime(Wish(), CRIO))
    again = plan_runtime(Wish(), killing(done, "nlp/trainer"))
    assert (again.changed, again.problems, again.warnings) == (False, (), ())


def test_restart_that_an_interrupted_run_owes_is_looked_at_as_well() -> None:
    done = replace(after(CRIO, plan_runtime(Wish(), CRIO)), pending={"since": "noon", "owed": True, "files": {}})
    (problem,) = plan_runtime(Wish(), killing(done, "nlp/trainer")).problems
    assert "Restarting crio would end 1 pod: nlp/trainer" in problem


def test_docker_has_a_law_of_its_own() -> None:
    docker = node("docker", {"/etc/docker/daemon.json": "{}"}, live={"live_restore": True, "containers": ["db"]})
    assert not plan_runtime(Wish(), killing(docker, "x")).problems


@pytest.mark.parametrize("told", [{}, {"kill_mode": None}])
def test_kill_mode_that_is_not_told_is_not_known(told: dict[str, None]) -> None:
    unit = {"name": "crio.service", **told}
    seen = Observation.from_dict({"engine": "crio", "candidates": [{"engine": "crio", "units": [unit]}]})
    assert seen.candidates == (Candidate("crio", units=(Unit("crio.service"),)),)
    assert seen.candidate.units[0].kill_mode == ""

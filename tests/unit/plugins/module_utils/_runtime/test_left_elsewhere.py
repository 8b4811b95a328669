# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ours in files of an engine that was given other settings since: it is neither somebody else's, nor is nothing to be done about it."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import pytest
from unit.plugins.fakes.seen_runtime import after, seen_file, seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

MAIN, MOVED = "/etc/containerd/config.toml", "/opt/cd/c.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"
FULL = "version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd.runtimes.runc]\nruntime_type = 'io.containerd.runc.v2'\n"
DAEMON = "/etc/docker/daemon.json"


def plan(told: Mapping[str, Any], **options: Any) -> RuntimePlan:
    return plan_runtime(Wish(caller="role", **options), Observation.from_dict(told))


def ready(version: str, **options: Any) -> Dict[str, Any]:
    start = seen_runtime("containerd", {MAIN: FULL}, version=version, program="/usr/bin/containerd", config_path=MAIN)
    made = plan(start, **options)
    assert made.changed
    assert not made.problems
    return after(start, made.to_dict())


def moved(there: Mapping[str, Any]) -> Dict[str, Any]:
    """Its unit starts it with a copy of the main file."""
    files = {**there["files"], MOVED: there["files"][MAIN]}
    return {**there, "config_path": MOVED, "files": files}


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("take_over", [False, True])
def test_own_drop_in_that_a_moved_main_file_imports_is_refused_with_the_way_out(state: str, take_over: bool) -> None:
    told = plan(moved(ready("2.1.9")), state=state, take_over=take_over).problems
    assert len(told) == 2
    own, former = told if DROP_IN in told[0].partition(":")[2].partition(" has ")[0] else told[::-1]
    assert f"{DROP_IN} has some of it, by the record /var/lib/kubegpu-sharing/runtime/record.json" in own
    assert f"than those of now (its config is {MOVED})" in own
    assert "run with kubegpu_runtime_state: absent, and change them after that" in own
    assert f"by hand: remove it, take its name out of {MAIN} and {MOVED}, restart containerd" in own
    assert f"{MAIN} has some of it" in former
    assert "make it what it was, which that record has" in former


@pytest.mark.parametrize("state", ["present", "absent"])
def test_main_file_of_1_x_that_containerd_reads_no_more_is_refused(state: str) -> None:
    there = ready("1.7.24")
    there = {**there, "files": {**there["files"], MOVED: seen_file(FULL)}, "config_path": MOVED}
    (told,) = plan(there, state=state).problems
    assert f"{MAIN} has some of it" in told
    assert "make it what it was" in told


@pytest.mark.parametrize("version", ["1.7.24", "2.1.9"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_both_ways_out_lead_out(version: str, state: str) -> None:
    there = ready(version)
    # Back to the former settings, absent, and then the other ones.
    gone = plan(there, state="absent")
    assert gone.changed
    assert not gone.problems
    away = after(there, gone.to_dict())
    assert not plan({**moved(away), "record": None}, state=state).problems
    # By hand, as the sentence says.
    files = {**there["files"], MAIN: seen_file(FULL), MOVED: seen_file(FULL), DROP_IN: seen_file(None)}
    by_hand = {**there, "files": files, "config_path": MOVED, "listings": {"/opt/cd": ["c.toml"]}}
    done = plan(by_hand, state=state)
    assert not done.problems
    assert done.changed
    assert done.forgets is (state == "absent")
    assert (done.record is None) is (state == "absent")


@pytest.mark.parametrize("state", ["present", "absent"])
def test_daemon_json_that_docker_reads_no_more_is_refused(state: str) -> None:
    start = seen_runtime("docker", {DAEMON: "{}\n"}, version="26.1.5", config_path=DAEMON, live={"live_restore": True})
    made = plan(start)
    assert made.changed
    assert not made.problems
    there = after(start, made.to_dict())
    files = {**there["files"], "/srv/docker.json": seen_file("{}\n")}
    (told,) = plan({**there, "files": files, "config_path": "/srv/docker.json"}, state=state).problems
    assert f"{DAEMON} has some of it" in told


def test_file_that_was_taken_over_and_written_anew_elsewhere_is_its_owners() -> None:
    foreign = FULL.replace("runtimes.runc", "runtimes.nvidia")
    path = "/etc/containerd/conf.d/99-nvidia.toml"
    text = f'imports = ["{path[:-14]}*.toml"]\n{FULL}'
    start = seen_runtime(
        "containerd", {MAIN: text, path: foreign}, version="2.1.9", program="/usr/bin/containerd", config_path=MAIN
    )
    taken = after(start, plan(start, take_over=True).to_dict())
    files = {**taken["files"], path: seen_file(foreign)}
    anew = {**taken, "files": files, "listings": {**taken["listings"], path[:-15]: start["listings"][path[:-15]]}}
    (told,) = plan(anew).problems
    assert "nvidia-ctk) defines the runtime nvidia there, and would write it again" in told

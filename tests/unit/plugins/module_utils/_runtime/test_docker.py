# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Docker: daemon.json keeps every byte that is not ours, and no container ends unasked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._runtime.nodes import BINARY, after, node, sample, there_and_back, with_file
from unit.plugins.module_utils._runtime.test_json_text import LAYOUTS, OBJECTS, laid_out

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

PATH = "/etc/docker/daemon.json"
ABSENT = Wish(state="absent")
RESTORES: Mapping[str, Any] = MappingProxyType({"live_restore": True, "swarm": False, "containers": ["web"]})


def docker(
    text: str | None, live: Mapping[str, Any] | None = RESTORES, argv: tuple[str, ...] = (), **fields: Any
) -> Observation:
    units = {"docker.service": ("/usr/bin/dockerd", "-H", "fd://", *argv)}
    return node("docker", {PATH: text}, units=units, live=live, config_path=PATH, version="28.3.1", **fields)


def content(observation: Observation) -> Any:
    return json.loads(observation.text(PATH) or "null")


def test_present_in_a_persons_file_adds_one_member_and_keeps_every_line() -> None:
    text = sample("docker-daemon.json")
    configured, plan = there_and_back(docker(text), Wish())
    result = configured.text(PATH)
    assert result is not None
    assert result.startswith(text.rstrip("}\n"))
    assert content(configured) == {**json.loads(text), "runtimes": {"nvidia": {"path": BINARY}}}
    assert plan.units == ("docker.service",)
    assert plan.restart
    assert plan.probe is not None
    assert plan.probe.kind == "docker"


def test_runtime_that_somebody_made_the_default_is_not_taken_out() -> None:
    start = docker('{"a": 1}')
    configured = after(start, plan_runtime(Wish(), start))
    text = (configured.text(PATH) or "").replace('"a": 1', '"a": 1, "default-runtime": "nvidia"')
    (problem,) = plan_runtime(ABSENT, with_file(configured, PATH, text)).problems
    assert f"Taking nvidia out: {PATH} makes it the default runtime" in problem


def test_runtime_that_a_flag_makes_the_default_is_not_taken_out_unless_a_flag_describes_it_too() -> None:
    start = docker("{}", argv=("--default-runtime", "nvidia"))
    (problem,) = plan_runtime(ABSENT, after(start, plan_runtime(Wish(), start))).problems
    assert "Taking nvidia out: a flag of the unit (--default-runtime) makes it the default runtime" in problem
    for added in (("--add-runtime", f"nvidia={BINARY}"), (f"--add-runtime=nvidia={BINARY}",)):
        there_and_back(docker("{}", argv=("--default-runtime=nvidia", *added)), Wish())


def test_present_with_all_options_keeps_the_other_features() -> None:
    configured, _plan = there_and_back(docker(sample("docker-daemon.json")), Wish(default=True, cdi="true"))
    assert content(configured)["features"] == {"buildkit": True, "containerd-snapshotter": False, "cdi": True}
    assert content(configured)["default-runtime"] == "nvidia"


@pytest.mark.parametrize("text", [None, "", "\n", "\ufeff", "{}", "{ }\n"])
def test_present_without_a_file_or_with_an_empty_one_makes_one_and_takes_it_back(text: str | None) -> None:
    configured, _plan = there_and_back(docker(text), Wish(default=True))
    assert content(configured) == {"runtimes": {"nvidia": {"path": BINARY}}, "default-runtime": "nvidia"}


@settings(max_examples=80, deadline=None)
@given(
    value=OBJECTS,
    runtimes=st.dictionaries(st.text(), st.fixed_dictionaries({"path": st.text()}), max_size=2),
    features=st.dictionaries(st.text(), st.booleans(), max_size=3),
    layout=LAYOUTS,
    default=st.booleans(),
    cdi=st.sampled_from(["inherit", "true", "false"]),
)
def test_present_any_file_is_the_file_and_ours_and_goes_without_a_trace(
    value: dict[str, Any],
    runtimes: dict[str, Any],
    features: dict[str, bool],
    layout: tuple[Any, ...],
    default: bool,
    cdi: str,
) -> None:
    before = {**value, "runtimes": runtimes, "features": features}
    configured, _plan = there_and_back(docker(laid_out(before, layout)), Wish(default=default, cdi=cdi))
    wanted = {
        **before,
        "runtimes": {**runtimes, "nvidia": {**runtimes.get("nvidia", {}), "path": BINARY}},
        **({"default-runtime": "nvidia"} if default else {}),
        **({"features": {**features, "cdi": cdi == "true"}} if cdi != "inherit" else {}),
    }
    assert json.loads((configured.text(PATH) or "").lstrip("\ufeff")) == wanted


def test_other_options_are_absent_and_then_present() -> None:
    start = docker(sample("docker-daemon.json"))
    first = after(start, plan_runtime(Wish(default=True), start))
    second = after(first, plan_runtime(Wish(name="gpu"), first))
    direct = after(start, plan_runtime(Wish(name="gpu"), start))
    assert second.text(PATH) == direct.text(PATH)


def test_absent_after_somebody_else_edited_takes_out_ours_alone() -> None:
    start = docker(sample("docker-daemon.json"))
    configured = after(start, plan_runtime(Wish(default=True, cdi="true"), start))
    edited = with_file(configured, PATH, str(configured.text(PATH)).replace('"100m"', '"7m"'))
    assert not plan_runtime(Wish(default=True, cdi="true"), edited).changed
    back = after(edited, plan_runtime(ABSENT, edited))
    assert back.text(PATH) == sample("docker-daemon.json").replace('"100m"', '"7m"')


def test_absent_after_somebody_else_edited_gives_back_a_value_that_was_there_before() -> None:
    start = docker('{"runtimes": {"nvidia": {"path": "/opt/old"}}, "debug": false}')
    configured = after(start, plan_runtime(Wish(), start))
    assert content(configured)["runtimes"]["nvidia"]["path"] == BINARY
    edited = with_file(configured, PATH, str(configured.text(PATH)).replace("false", "true"))
    assert content(after(edited, plan_runtime(ABSENT, edited))) == {
        "runtimes": {"nvidia": {"path": "/opt/old"}},
        "debug": True,
    }


def test_absent_after_somebody_changed_ours_leaves_it_and_tells() -> None:
    start = docker(sample("docker-daemon.json"))
    configured = after(start, plan_runtime(Wish(default=True), start))
    edited = with_file(
        configured, PATH, str(configured.text(PATH)).replace('"default-runtime": "nvidia"', '"default-runtime": "kata"')
    )
    plan = plan_runtime(ABSENT, edited)
    assert content(after(edited, plan)) == {**json.loads(sample("docker-daemon.json")), "default-runtime": "kata"}
    assert any("default-runtime" in told and '"kata" now' in told for told in plan.warnings)


def test_absent_without_a_record_leaves_what_others_put_in() -> None:
    start = docker('{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}}}')
    plan = plan_runtime(ABSENT, start)
    assert not plan.changed
    assert any("was not put in from here" in note for note in plan.notes)


def test_present_that_nvidia_ctk_put_in_by_its_bare_name_is_left_and_no_container_ends() -> None:
    start = docker('{"runtimes": {"nvidia": {"path": "nvidia-container-runtime", "args": []}}}', live=None)
    plan = plan_runtime(Wish(), start)
    assert not plan.problems
    assert not plan.changed
    assert any("finds in PATH" in note for note in plan.notes)


@pytest.mark.parametrize(
    ("live", "words"),
    [
        (
            {"live_restore": False, "swarm": False, "containers": ["web", "db"]},
            ["2 containers: web, db", "live-restore is off"],
        ),
        ({"live_restore": False, "containers": None}, ["all of its containers"]),
        ({"live_restore": True, "swarm": True, "containers": ["web"]}, ["part of a swarm"]),
        ({"live_restore": False, "containers": [f"c{n}" for n in range(30)]}, ["30 containers", "c19 and 10 more"]),
        (None, ["all of its containers", "live-restore is off", "reload docker', then 'systemctl restart"]),
    ],
)
def test_restart_that_would_end_containers_is_refused_with_their_names(
    live: dict[str, Any] | None, words: list[str]
) -> None:
    plan = plan_runtime(Wish(), docker("{}", live=live))
    assert plan.problems
    for word in words:
        assert word in plan.problems[0]
    permitted = plan_runtime(Wish(permit_live_loss=True), docker("{}", live=live))
    assert not permitted.problems
    assert any(words[0] in warning and "permitted" in warning for warning in permitted.warnings)


def test_restart_that_an_interrupted_run_owes_ends_no_container_unasked() -> None:
    pending = {"run": "a", "since": "b", "phase": "restarting", "files": {}, "owed": True}
    live = {"live_restore": False, "containers": ["web"]}
    (problem,) = plan_runtime(ABSENT, docker("{}", live=live, pending=pending)).problems
    assert "would end 1 container: web" in problem
    assert plan_runtime(Wish(state="absent", permit_live_loss=True), docker("{}", live=live, pending=pending)).restart
    assert not plan_runtime(ABSENT, docker("{}", live=live, pending={**pending, "owed": False})).problems
    # A daemon that the interrupted run has left dead must not stay so.
    assert not plan_runtime(ABSENT, docker("{}", live=None, pending=pending)).problems


@pytest.mark.parametrize(
    "observation",
    [
        docker("{}", live={"live_restore": False, "containers": []}),
        docker('{"live-restore": true}', live=None),
        docker("{}", live=None, argv=("--live-restore",)),
        docker("{}", live=None, argv=("--live-restore=true",)),
        docker("{}", live=None, argv=("--live-restore", "--debug")),
    ],
    ids=["nothing runs", "file says so", "flag", "flag with a value", "flag before another"],
)
def test_restart_that_ends_nothing_is_planned(observation: Observation) -> None:
    assert not plan_runtime(Wish(), observation).problems


@pytest.mark.parametrize(
    ("running", "why"),
    [
        ({"runtimes": {"runc": {}}, "default_runtime": "runc"}, "it runs without the runtime nvidia"),
        ({"runtimes": {"runc": {}, "nvidia": {}}, "default_runtime": "runc"}, "its default runtime is runc"),
        ({"runtimes": {"runc": {}, "nvidia": {}}, "default_runtime": "nvidia"}, None),
        ({"runtimes": None}, None),
    ],
)
def test_daemon_that_was_started_before_its_file_said_so_is_restarted(running: dict[str, Any], why: str | None) -> None:
    text = json.dumps({"runtimes": {"nvidia": {"path": BINARY}}, "default-runtime": "nvidia"})
    plan = plan_runtime(Wish(default=True), docker(text, live={**RESTORES, **running}))
    assert not plan.problems
    assert not plan.files
    assert plan.restart is (why is not None)
    assert why is None or why in plan.actions[0]


def test_no_change_needs_no_live_restore() -> None:
    start = docker(json.dumps({"live-restore": False, "runtimes": {"nvidia": {"path": BINARY}}}), live=None)
    plan = plan_runtime(Wish(), start)
    assert not plan.changed
    assert not plan.problems


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "debug": true,\n}\n', f"Reading {PATH}:3:1: it is no JSON"),
        ("[]", f"Reading {PATH}:1:1: the file is no object"),
        ('{"runtimes": []}', f"Reading {PATH}:1:14: runtimes is no object"),
        ('{"features": ["cdi"]}', f"Reading {PATH}:1:14: features is no object"),
        ('{"runtimes": {}, "runtimes": {}}', "runtimes is given twice"),
        ('{"runtimes": {"nvidia": {"runtimeType": "io.containerd.runc.v2"}}}', "has a runtimeType"),
    ],
)
def test_unusable_file_is_refused_with_its_place_and_not_touched(text: str, message: str) -> None:
    plan = plan_runtime(Wish(), docker(text))
    assert any(message in problem for problem in plan.problems), plan.problems
    assert not plan.files


def test_flags_that_keep_docker_from_starting_are_refused() -> None:
    flags = ("--default-runtime", "runc", "--feature=cdi=true")
    problems = plan_runtime(Wish(default=True, cdi="true"), docker("{}", argv=flags)).problems
    assert len(problems) == 2
    assert "--default-runtime=runc" in problems[0]
    assert "--feature" in problems[1]


@pytest.mark.parametrize(("version", "known"), [("20.10.24+dfsg1", False), ("25.0.0", True), (None, True)])
def test_cdi_of_a_version_that_does_not_know_it_is_refused(version: str | None, known: bool) -> None:
    observation = replace(docker("{}"), version=version)
    assert bool(plan_runtime(Wish(cdi="true"), observation).problems) is not known
    assert not plan_runtime(Wish(cdi="false"), observation).problems


def test_options_that_docker_lacks_are_refused() -> None:
    problems = plan_runtime(Wish(privileged_without_host_devices="true"), docker("{}")).problems
    assert "Docker knows no such option" in problems[0]


def test_all_problems_are_told_at_once() -> None:
    wish = Wish(default=True, privileged_without_host_devices="true")
    observation = replace(docker("{}", argv=("--default-runtime=runc",)), binaries={BINARY: {"exists": False}})
    assert len(plan_runtime(wish, observation).problems) == 3


def test_cri_dockerd_is_noted() -> None:
    plan = plan_runtime(Wish(), docker("{}", kubelet_endpoint="unix:///run/cri-dockerd.sock"))
    assert any("cri-dockerd" in note for note in plan.notes)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MicroK8s: its template keeps its variables, and sed makes of it what containerd can read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tomlkit
from unit.plugins.module_utils._runtime.nodes import BINARY, after, node, sample, there_and_back, with_file

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

PATH = "/var/snap/microk8s/current/args/containerd-template.toml"
UNIT = "snap.microk8s.daemon-containerd.service"
CRI = "io.containerd.grpc.v1.cri"
TEXT = sample("microk8s-template.toml")
ABSENT = Wish(state="absent")
OPERATORS = (
    f'[plugins."{CRI}".containerd.runtimes.nvidia]\n  runtime_type = "io.containerd.runc.v2"\n'
    f'[plugins."{CRI}".containerd.runtimes.nvidia.options]\n  BinaryName = "/usr/local/nvidia/toolkit/nvidia-container-runtime"\n'
)


def microk8s(text: str | None = TEXT) -> Observation:
    return node("microk8s", {PATH: text}, units={UNIT: ()}, config_path=PATH, version="1.7.27")


def fill_in(text: str) -> str:
    """What the snap's start script makes of the template: sed puts values for its variables."""
    for name, value in {
        "SNAP_DATA": "/var/snap/microk8s/7180",
        "SNAPSHOTTER": "overlayfs",
        "RUNTIME_TYPE": "io.containerd.runc.v2",
        "RUNTIME": "runc",
        "SNAP": "/snap/microk8s/7180",
    }.items():
        text = text.replace("${" + name + "}", value)
    return text


def rendered(observation: Observation) -> dict[str, Any]:
    """The CRI plugin's table as containerd gets it."""
    cri: dict[str, Any] = tomlkit.parse(fill_in(observation.text(PATH) or "")).unwrap()["plugins"][CRI]
    return cri


@pytest.mark.parametrize(
    "text", [TEXT, TEXT.rstrip("\n"), TEXT.replace("\n", "\r\n"), TEXT.replace(f'"{CRI}"', f"'{CRI}'")]
)
def test_present_adds_a_runtime_like_runc_and_keeps_every_line(text: str) -> None:
    configured, plan = there_and_back(microk8s(text), Wish())
    assert (configured.text(PATH) or "").startswith(text)
    assert "${RUNTIME_TYPE}" in (configured.text(PATH) or "")[len(text) :]
    wanted = rendered(microk8s(text))
    wanted["containerd"]["runtimes"]["nvidia"] = {
        "runtime_type": "io.containerd.runc.v2",
        "options": {"BinaryName": BINARY},
    }
    assert rendered(configured) == wanted
    assert plan.units == (UNIT,)
    assert plan.probe is not None
    assert (plan.probe.kind, plan.probe.socket) == ("microk8s", "/var/snap/microk8s/common/run/containerd.sock")


def test_present_with_all_options_sets_them_in_the_tables_that_are_there() -> None:
    wish = Wish(default=True, cdi="true", privileged_without_host_devices="true")
    configured, _plan = there_and_back(microk8s(), wish)
    cri = rendered(configured)
    assert cri["enable_cdi"] is True
    assert cri["containerd"]["default_runtime_name"] == "nvidia"
    assert cri["containerd"]["runtimes"]["nvidia"]["privileged_without_host_devices"] is True
    assert (configured.text(PATH) or "").count("${RUNTIME}") == TEXT.count("${RUNTIME}") - 1


def test_present_where_a_table_is_not_spelled_out_declares_it() -> None:
    text = f'version = 2\n[plugins."{CRI}".containerd.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
    configured, _plan = there_and_back(microk8s(text), Wish(default=True, cdi="false"))
    assert rendered(configured)["enable_cdi"] is False
    assert rendered(configured)["containerd"]["default_runtime_name"] == "nvidia"


def test_options_of_runc_go_along() -> None:
    table = (
        f'[plugins."{CRI}".containerd.runtimes.runc.options]\n  SystemdCgroup = true # ours\n  BinaryName = "runc"\n'
    )
    configured, _plan = there_and_back(microk8s(TEXT + table), Wish())
    assert rendered(configured)["containerd"]["runtimes"]["nvidia"]["options"] == {
        "SystemdCgroup": True,
        "BinaryName": BINARY,
    }


def test_options_of_runc_within_braces_go_along_without_a_second_table_of_them() -> None:
    header = f'[plugins."{CRI}".containerd.runtimes.runc]\n'
    braces = '      options = { SystemdCgroup = true, BinaryName = "runc", "a b" = [1] }\n'
    configured, _plan = there_and_back(microk8s(TEXT.replace(header, header + braces)), Wish())
    assert rendered(configured)["containerd"]["runtimes"]["nvidia"]["options"] == {
        "SystemdCgroup": True,
        "BinaryName": BINARY,
        "a b": [1],
    }
    variable = braces.replace("true", "${CGROUP}")
    (problem,) = plan_runtime(Wish(), microk8s(TEXT.replace(header, header + variable))).problems
    assert problem.startswith("Reading the options of runc in the template:1:")


def test_options_of_runc_over_several_lines_go_along_as_a_whole() -> None:
    """The first line alone would be a template that containerd cannot read."""
    header = f'[plugins."{CRI}".containerd.runtimes.runc]\n'
    array = '      pod_annotations = [\n        "a.b/*", # one = 1 ]\n        "c",\n      ]\n'
    assert header in TEXT
    configured, _plan = there_and_back(microk8s(TEXT.replace(header, header + array)), Wish())
    assert rendered(configured)["containerd"]["runtimes"]["nvidia"]["pod_annotations"] == ["a.b/*", "c"]


def test_path_of_the_executable_with_letters_that_toml_escapes_is_the_same_path_to_containerd() -> None:
    wish = Wish(binary='/opt/the "best"\\nvidia')
    start = replace(microk8s(), binaries={wish.binary: {"exists": True, "executable": True}})
    configured, _plan = there_and_back(start, wish)
    assert rendered(configured)["containerd"]["runtimes"]["nvidia"]["options"]["BinaryName"] == wish.binary


def test_replaced_executable_of_runc_is_told_and_not_inherited() -> None:
    table = f'[plugins."{CRI}".containerd.runtimes.runc.options]\n  BinaryName = "/opt/nvidia-container-runtime"\n'
    configured, plan = there_and_back(microk8s(TEXT + table), Wish())
    assert any("The runtime runc in" in warning for warning in plan.warnings)
    assert rendered(configured)["containerd"]["runtimes"]["nvidia"]["options"] == {"BinaryName": BINARY}


def test_table_of_the_operator_is_refused_with_its_line_and_owner() -> None:
    (problem,) = plan_runtime(Wish(), microk8s(TEXT + OPERATORS)).problems
    assert f"line {TEXT.count(chr(10)) + 1} has a table" in problem
    assert "GPU Operator" in problem
    assert "microk8s disable gpu" in problem


def test_table_of_somebody_else_that_is_as_it_shall_be_stays_theirs() -> None:
    binary = "/usr/local/nvidia/toolkit/nvidia-container-runtime"
    start = replace(microk8s(TEXT + OPERATORS), binaries={binary: {"exists": True, "executable": True}})
    assert not plan_runtime(Wish(binary=binary), start).changed
    assert plan_runtime(Wish(binary=binary, privileged_without_host_devices="true"), start).problems
    configured, plan = there_and_back(start, Wish(binary=binary, default=True))
    assert rendered(configured)["containerd"]["default_runtime_name"] == "nvidia"
    assert any("not by us" in note for note in plan.notes)


def test_other_name_beside_the_operators() -> None:
    configured, _plan = there_and_back(microk8s(TEXT + OPERATORS), Wish(name="gpu"))
    assert {"nvidia", "gpu"} <= set(rendered(configured)["containerd"]["runtimes"])


def test_absent_after_the_snap_changed_the_file_takes_out_ours_alone() -> None:
    wish = Wish(default=True)
    configured = after(microk8s(), plan_runtime(wish, microk8s()))
    text = (configured.text(PATH) or "").replace("pause:3.7", "pause:3.9")
    edited = with_file(configured, PATH, text)
    assert not plan_runtime(wish, edited).changed
    assert after(edited, plan_runtime(ABSENT, edited)).text(PATH) == TEXT.replace("pause:3.7", "pause:3.9")


def test_default_that_somebody_changed_since_stays_and_is_told() -> None:
    configured = after(microk8s(), plan_runtime(Wish(default=True), microk8s()))
    edited = with_file(configured, PATH, (configured.text(PATH) or "").replace('name = "nvidia"', 'name = "kata"'))
    plan = plan_runtime(ABSENT, edited)
    assert after(edited, plan).text(PATH) == TEXT.replace('name = "${RUNTIME}"', 'name = "kata"')
    assert any("was changed since it was set here" in told for told in plan.warnings)


def test_block_without_a_record_is_ours_by_its_marks() -> None:
    configured = replace(after(microk8s(), plan_runtime(Wish(), microk8s())), record=None)
    assert after(configured, plan_runtime(ABSENT, configured)).text(PATH) == TEXT
    private = Wish(privileged_without_host_devices="true")
    changed = after(configured, plan_runtime(private, configured))
    assert changed.text(PATH) == after(microk8s(), plan_runtime(private, microk8s())).text(PATH)


def test_runtime_that_is_the_default_by_no_line_of_ours_is_not_taken_out() -> None:
    configured = after(microk8s(), plan_runtime(Wish(default=True), microk8s()))
    (problem,) = plan_runtime(ABSENT, replace(configured, record=None)).problems
    assert f"Taking nvidia out: {PATH} makes it the default runtime" in problem


def test_block_without_a_record_is_not_declared_twice() -> None:
    configured = after(microk8s(), plan_runtime(Wish(), microk8s()))
    plan = plan_runtime(Wish(), replace(configured, record=None))
    assert not plan.problems
    assert not plan.changed


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, f"Reading {PATH}: it is missing"),
        ("[plugins]\n  [plugins.cri]\n    [plugins.cri.containerd]\n", "without a version, which is version 1"),
    ],
)
def test_unusable_template_is_refused(text: str | None, message: str) -> None:
    plan = plan_runtime(Wish(), microk8s(text))
    assert message in plan.problems[0]
    assert not plan.files


def test_absent_where_nothing_is_changes_nothing() -> None:
    for text in (None, TEXT):
        plan = plan_runtime(ABSENT, microk8s(text))
        assert not plan.changed
        assert not plan.problems


@pytest.mark.parametrize("between", [(), (Wish(default=True),)], ids=["absent_at_once", "present_between"])
def test_edit_of_our_block_keeps_nothing_in_effect(between: tuple[Wish, ...]) -> None:
    configured = after(microk8s(), plan_runtime(Wish(), microk8s()))
    edited = with_file(configured, PATH, (configured.text(PATH) or "").replace(BINARY, "/usr/local/bin/by-hand"))
    for wish in between:
        plan = plan_runtime(wish, edited)
        assert any("that is undone" in told for told in plan.warnings)
        edited = after(edited, plan)
        assert rendered(edited)["containerd"]["runtimes"]["nvidia"]["options"]["BinaryName"] == BINARY
    assert after(edited, plan_runtime(ABSENT, edited)).text(PATH) == TEXT


def test_runtime_that_stays_is_not_said_to_be_taken_out() -> None:
    configured = after(microk8s(), plan_runtime(Wish(default=True), microk8s()))
    theirs = f'[plugins."{CRI}".containerd.runtimes.kata]\n  runtime_type = "io.containerd.kata.v2"\n# END'
    edited = with_file(configured, PATH, (configured.text(PATH) or "").replace("# END", theirs))
    edited = with_file(edited, PATH, (edited.text(PATH) or "").replace('name = "nvidia"', 'name = "runc"'))
    for _run in range(2):
        plan = plan_runtime(ABSENT, edited)
        assert not any("take nvidia out" in one for one in plan.actions)
        assert any("still defines the runtime nvidia" in note for note in plan.notes)
        edited = after(edited, plan)
        assert "runtimes.kata]" in (edited.text(PATH) or "")

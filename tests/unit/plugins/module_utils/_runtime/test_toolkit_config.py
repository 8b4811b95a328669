# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The toolkit's config.toml: our keys go in and out, and nothing else moves."""

from __future__ import annotations

import pytest
import tomlkit
from unit.plugins.module_utils._runtime.nodes import sample, seen

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import Draft
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Probe, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import (
    ENVIRONMENT,
    PATH,
    VOLUME_MOUNTS,
    add_toolkit_config,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

FILES = ["toolkit_1_14.toml", "toolkit_1_17.toml"]
HARDENED = Wish(visible_devices="volume_mounts")


def planned(text: str | None, wish: Wish, low_level: str = "", before: RuntimePlan | None = None) -> RuntimePlan:
    observation = Observation(engine="crio", files={PATH: seen(PATH, text)}, record=before.record if before else None)
    draft = Draft("crio", wish, observation)
    add_toolkit_config(draft, low_level)
    return draft.plan(Probe("crio"))


def result(plan: RuntimePlan) -> str | None:
    assert not plan.problems
    (change,) = plan.files
    return change.content


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("choice", "environment"), [("both", True), ("volume_mounts", False)])
@pytest.mark.parametrize("low_level", ["", "crun", "/usr/libexec/crio/crun"])
def test_present_then_absent_any_choice_adds_ours_alone_and_gives_back_every_byte(
    name: str, choice: str, environment: bool, low_level: str
) -> None:
    text, wish = sample(name), Wish(visible_devices=choice)
    plan = planned(text, wish, low_level)
    content = result(plan)
    assert content is not None
    wanted = tomlkit.parse(text).unwrap()
    wanted.update({VOLUME_MOUNTS: True, ENVIRONMENT: environment})
    if low_level:
        runtimes = wanted["nvidia-container-runtime"]["runtimes"]
        wanted["nvidia-container-runtime"]["runtimes"] = [low_level, *[one for one in runtimes if one != low_level]]
    assert tomlkit.parse(content).unwrap() == wanted
    assert [line for line in text.splitlines() if line not in content.splitlines()] == (
        [line for line in text.splitlines() if line.startswith("runtimes")] if low_level else []
    )
    assert not plan.restart
    assert not planned(content, wish, low_level, plan).changed
    assert result(planned(content, Wish(state="absent"), low_level, plan)) == text


def test_absent_of_a_file_that_was_made_removes_it() -> None:
    plan = planned(None, HARDENED)
    assert result(plan) == f"{VOLUME_MOUNTS} = true\n{ENVIRONMENT} = false\n"
    assert result(planned(result(plan), Wish(state="absent"), before=plan)) is None


def test_first_runtime_of_a_file_that_was_missing_keeps_what_the_toolkit_looks_for_by_itself() -> None:
    content = result(planned(None, Wish(), "crun"))
    assert content is not None
    assert tomlkit.parse(content).unwrap() == {
        "nvidia-container-runtime": {"runtimes": ["crun", "docker-runc", "runc"]}
    }


def test_first_runtime_already_first_is_left_alone() -> None:
    assert not planned('[nvidia-container-runtime]\nruntimes = ["crun"]\n', Wish(), "crun").changed


def test_first_runtime_of_a_list_with_comments_keeps_them() -> None:
    text = '[nvidia-container-runtime]\nruntimes = [\n  "docker-runc", # of Docker\n  "runc",\n]\n'
    content = result(planned(text, Wish(), "crun"))
    assert content is not None
    assert "# of Docker" in content
    assert tomlkit.parse(content).unwrap()["nvidia-container-runtime"]["runtimes"] == ["crun", "docker-runc", "runc"]


def test_absent_after_somebody_else_edited_takes_out_ours_alone() -> None:
    text = sample("toolkit_1_14.toml")
    plan = planned(text, HARDENED, "crun")
    content = result(plan)
    assert content is not None
    edited = content.replace('log-level = "info"', 'log-level = "debug"')
    gone = result(planned(edited, Wish(state="absent"), before=plan))
    assert gone is not None
    assert (
        tomlkit.parse(gone).unwrap()
        == tomlkit.parse(text.replace('log-level = "info"', 'log-level = "debug"')).unwrap()
    )


def test_absent_of_a_list_that_somebody_extended_leaves_what_was_in_it_before() -> None:
    plan = planned(sample("toolkit_1_17.toml"), Wish(), "crun")
    edited = str(result(plan)).replace('["crun", "runc"]', '["crun", "runc", "kata"]')
    back = planned(edited, Wish(state="absent"), before=plan)
    assert not back.changed
    assert any("The list of runtimes" in told for told in back.warnings)


def test_absent_after_somebody_changed_our_value_leaves_it_and_tells() -> None:
    plan = planned(sample("toolkit_1_14.toml"), HARDENED)
    content = result(plan)
    assert content is not None
    back = planned(
        content.replace(f"{ENVIRONMENT} = false", f"{ENVIRONMENT} = true"), Wish(state="absent"), before=plan
    )
    assert f"{ENVIRONMENT} = true" in str(result(back))
    assert f"\n{VOLUME_MOUNTS}" not in str(result(back))
    assert any(f"{ENVIRONMENT} in {PATH} was changed since it was set here to false" in told for told in back.warnings)


def test_edit_of_our_value_that_is_set_anew_is_told_as_undone() -> None:
    plan = planned(sample("toolkit_1_14.toml"), HARDENED)
    edited = str(result(plan)).replace(f"{ENVIRONMENT} = false", f"{ENVIRONMENT} = true")
    again = planned(edited, HARDENED, before=plan)
    assert ["was changed since it was set here to false; that is undone." in told for told in again.warnings] == [True]


def test_absent_of_switches_warns_of_pods_that_lose_their_gpus() -> None:
    plan = planned(sample("toolkit_1_14.toml"), HARDENED)
    back = planned(result(plan), Wish(state="absent"), before=plan)
    assert any("lose their GPUs at their next start" in warning for warning in back.warnings)


def test_present_beside_a_later_edit_writes_nothing() -> None:
    plan = planned(sample("toolkit_1_14.toml"), HARDENED)
    edited = f"{result(plan)}\n# a remark\n"
    assert not planned(edited, HARDENED, before=plan).changed


def test_windows_line_ends_and_byte_order_mark_stay() -> None:
    text = "\ufeff" + sample("toolkit_1_14.toml").replace("\n", "\r\n")
    content = result(planned(text, HARDENED, "crun"))
    assert content is not None
    assert content.startswith("\ufeff")
    assert content.count("\n") == content.count("\r\n")


def test_broken_toml_is_a_problem_with_its_place() -> None:
    plan = planned("a = 1\nb = = 2\n", HARDENED)
    assert not plan.files
    (problem,) = plan.problems
    assert problem.startswith(f"Reading {PATH}:2:5")


@pytest.mark.parametrize("text", ["nvidia-container-runtime = 1\n", '[nvidia-container-runtime]\nruntimes = "runc"\n'])
def test_list_that_is_none_is_a_problem_and_not_cut_into_letters(text: str) -> None:
    plan = planned(text, Wish(), "crun")
    assert not plan.files
    assert "runtimes there is no list" in plan.problems[0]


def test_operators_toolkit_reads_another_file_and_is_refused() -> None:
    wish = Wish(visible_devices="volume_mounts", binary="/usr/local/nvidia/toolkit/nvidia-container-runtime")
    plan = planned(sample("toolkit_1_14.toml"), wish)
    assert not plan.files
    assert "ClusterPolicy" in plan.problems[0]


def test_unchanged_without_a_record_does_not_even_look() -> None:
    plan = planned("this is = = no toml", Wish())
    assert not plan.changed
    assert not plan.problems


def test_absent_without_a_record_bears_a_broken_file() -> None:
    plan = planned("this is = = no toml", Wish(state="absent", visible_devices="volume_mounts"), "crun")
    assert not plan.changed
    assert not plan.problems

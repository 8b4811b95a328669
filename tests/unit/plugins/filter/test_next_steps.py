# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be typed after a wave that failed leads somewhere, on the cluster that it is about."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter.next_steps import next_steps

RUN: dict[str, Any] = {"kind": "sharing", "plan_id": "abc", "snapshot_run": "", "undo": "r1", "limit": ""}
CRASHED = [{"pod": "nlp/web-1", "container": "app"}]
TYPED = "ansible-playbook kubegpu.sharing.rollout -i mine --limit gpu-1 -e kubegpu_plan_id=abc -e kubegpu_wave=1 -e token=hush"


@pytest.fixture(autouse=True)
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", shlex.split(TYPED))


def commands(failures: dict[str, str], **changes: Any) -> list[str]:
    return [
        command.removeprefix("ansible-playbook ")
        for step in next_steps(failures, {**RUN, **changes})
        for command in step["commands"]
    ]


def test_commands_repeat_the_inventory_the_limit_and_the_variables_that_were_typed() -> None:
    assert commands({"gpu-1": "no plugin"}) == [
        "kubectl describe node gpu-1",
        "kubegpu.sharing.rollout -i mine --limit gpu-1 -e kubegpu_wave=1 -e token=... -e kubegpu_plan_id=abc",
        "kubegpu.sharing.rollback -i mine --limit gpu-1 -e kubegpu_wave=1 -e token=... -e kubegpu_rollback_run=r1",
    ]


def test_to_go_on_is_not_offered_where_all_that_failed_is_as_planned() -> None:
    found = commands({"gpu-1": "2 restarts"}, unwell=["gpu-1"], crashed=CRASHED)
    assert [command.split()[0:2] for command in found] == [
        ["kubectl", "-n"],
        ["kubegpu.sharing.plan", "-i"],
        ["kubegpu.sharing.rollback", "-i"],
    ]
    assert found[0] == "kubectl -n nlp logs web-1 -c app --previous"
    assert "kubegpu_plan_id" not in " ".join(found)
    # As the heading above a command, a line is never broken.
    steps = next_steps({"gpu-1": "2 restarts"}, {**RUN, "unwell": ["gpu-1"], "crashed": CRASHED})
    assert max(len(step["words"]) for step in steps) <= 120


def test_going_on_with_later_waves_says_that_the_node_is_not_watched_again() -> None:
    run = {**RUN, "unwell": ["gpu-1"], "waves_left": True, "not_well_path": "/var/not well.json"}
    step = next_steps({"gpu-1": "2 restarts"}, run)[1]
    assert step["words"] == "To go on with what is left, once gpu-1 is seen to; nothing watches it again:"
    assert step["commands"][0] == "rm '/var/not well.json'"
    assert "kubegpu.sharing.rollout -i mine" in step["commands"][1]


def test_node_without_a_crashed_container_is_described() -> None:
    assert commands({"gpu-1": "Xid 31"}, unwell=["gpu-1"])[0] == "kubectl describe node gpu-1"


def test_kubectl_is_told_the_cluster() -> None:
    found = commands({"gpu-1": "no"}, kubectl=["--context", "prod"])
    assert found[0] == "kubectl --context prod describe node gpu-1"


def test_rollback_goes_on_with_the_run_it_goes_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "sys.argv", shlex.split("ansible-playbook kubegpu.sharing.rollback -i mine -e kubegpu_rollback_run=r0")
    )
    found = commands({"gpu-1": "no"}, kind="rollback", snapshot_run="r0", undo="r2")
    assert found[1:] == [
        "kubegpu.sharing.rollback -i mine -e kubegpu_rollback_run=r0",
        "kubegpu.sharing.rollback -i mine -e kubegpu_rollback_run=r2",
    ]


def test_limit_is_kept_where_the_line_cannot_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ansible-playbook", "site.yml"])
    assert commands({"gpu-1": "no"}, limit="gpu-1,gpu-2")[1] == (
        "kubegpu.sharing.rollout -e kubegpu_plan_id=abc --limit gpu-1,gpu-2"
    )

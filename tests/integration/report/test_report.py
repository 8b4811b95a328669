# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""report by ansible-playbook, on files as the other modules write them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.plugins.module_utils._report.measured_story import FIRST, SECOND, MeasuredStory, measure_l20, measure_t4
from unit.plugins.module_utils._report.memory_story import MemoryStory
from unit.plugins.module_utils._report.story import Story

# printing and templating differ between versions of ansible-core
pytestmark = pytest.mark.oldest

ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"


def write(directory: Path, story: Story) -> dict[str, str]:
    """The files of a run; returns the options that name them."""
    (directory / "facts").mkdir(parents=True)
    documents = {"cluster": story.before, "cluster_after": story.after, "plan": story.plan}
    documents.update(
        {
            f"facts/{node}": {"schema_version": 1, "host": node, "node": node, "facts": facts}
            for node, facts in story.facts.items()
        }
    )
    for name, document in documents.items():
        (directory / f"{name}.json").write_text(json.dumps(document), encoding="utf-8")
    lines = "".join(json.dumps(entry) + "\n" for entry in story.journal)
    (directory / "journal.jsonl").write_text(lines, encoding="utf-8")
    return {
        "cluster_path": str(directory / "cluster.json"),
        "cluster_after_path": str(directory / "cluster_after.json"),
        "plan_path": str(directory / "plan.json"),
        "journal_path": str(directory / "journal.jsonl"),
        "facts_dir": str(directory / "facts"),
        "dest_dir": str(directory / "report"),
    }


def play(
    directory: Path, tasks: list[dict[str, Any]], *arguments: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    plays = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    plays[0]["vars"] = {"ansible_python_interpreter": sys.executable}
    (directory / "play.yml").write_text(yaml.safe_dump(plays), encoding="utf-8")
    command = [str(ANSIBLE_PLAYBOOK), "-i", "localhost,", str(directory / "play.yml"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=100, check=False, env={**os.environ, **environment}
    )


def show(view: str, options: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"kubegpu.sharing.report": {"view": view, **options, **more}, "register": view}


def keep(directory: Path, *names: str) -> list[dict[str, Any]]:
    """Tasks that keep registered results as files."""
    return [
        {
            "ansible.builtin.copy": {
                "content": f"{{{{ {name} | to_json }}}}",
                "dest": str(directory / f"{name}.out"),
                "mode": "0644",
            },
            "check_mode": False,
        }
        for name in names
    ]


def result(directory: Path, name: str) -> dict[str, Any]:
    return json.loads((directory / f"{name}.out").read_text(encoding="utf-8"))


def test_report_shows_every_view_and_writes_the_report_once(tmp_path: Path) -> None:
    options = write(tmp_path, Story())
    views = ("inspection", "plan", "verification", "summary")
    extra = {"cluster": "{{ 'reference' }}", "second_run_writes": 0}
    again = {**show("summary", options, extra=extra), "register": "again"}
    tasks = [*(show(view, options, extra=extra) for view in views), again, *keep(tmp_path, *views, "again")]
    ended = play(tmp_path, tasks, COLUMNS="120")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for words in (
        "2 GPU slots, 0 free; 1 GPU pod pending",
        "floor(0.9 x 46068 / 4621) = 8",
        "✓ as planned",
        "GPU slots 2 → 11",
    ):
        assert words in ended.stdout
    for view in views:
        # printed as it is, neither escaped nor indented
        assert result(tmp_path, view)["text"] in ended.stdout
        assert max(len(line) for line in result(tmp_path, view)["text"].splitlines()) <= 120
    assert [result(tmp_path, name)["changed"] for name in (*views, "again")] == [False, False, False, True, False]
    figures = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert (figures["slots_before"], figures["slots_after"], figures["second_run_writes"], figures["cluster"]) == (
        2,
        11,
        0,
        "reference",
    )
    assert result(tmp_path, "summary")["paths"] == {
        kind: str(tmp_path / f"report/report.{kind}") for kind in ("json", "html")
    }
    assert "Cluster reference" in (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "[WARNING]" not in ended.stdout + ended.stderr


def test_report_in_check_mode_prints_and_writes_nothing(tmp_path: Path) -> None:
    options = write(tmp_path, Story())
    ended = play(tmp_path, [show("summary", options), *keep(tmp_path, "summary")], "--check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Report on plan 0123456789abcdef (check mode: nothing was changed)\nGPU slots 2 → 11" in ended.stdout
    assert result(tmp_path, "summary")["changed"] is True
    assert not (tmp_path / "report").exists()


def test_report_of_a_rollout_draws_who_held_each_card_before_and_after(tmp_path: Path) -> None:
    story = MemoryStory()
    options = write(tmp_path, story)
    (tmp_path / "facts_after").mkdir()
    for node, facts in story.facts_after.items():
        document = {"schema_version": 1, "host": node, "node": node, "facts": facts}
        (tmp_path / f"facts_after/{node}.json").write_text(json.dumps(document), encoding="utf-8")
    ended = play(tmp_path, [show("summary", options, facts_after_dir=str(tmp_path / "facts_after"))])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    figures = json.loads((tmp_path / "report/report.json").read_text(encoding="utf-8"))
    assert [(card["node"], card["before"]["used_mib"], card["after"]["used_mib"]) for card in figures["cards"]] == [
        ("gpu-l20", 4640, 9733),
        ("gpu-t4", 4401, 8301),
    ]
    text = (tmp_path / "report/report.html").read_text(encoding="utf-8")
    assert "Who holds the memory of each card" in text
    # the table of pods is for those who cannot point
    assert "By card and pod" in text
    assert "By card and pod" not in ended.stdout


def write_measured(directory: Path, story: MeasuredStory) -> dict[str, Any]:
    """The files of a measurement; returns the options that name them."""
    later = {"started": "2026-03-03T08:00:00Z", "ended": "2026-03-03T08:10:00Z"}
    documents = {
        "proposal": story.proposal,
        "plan": story.plan,
        "plan_proposed": story.proposed,
        "cluster": story.clusters[0],
        f"measurements/{FIRST}/gpu-l20": measure_l20(),
        f"measurements/{FIRST}/gpu-t4": measure_t4(),
        f"measurements/{FIRST}/run": {"id": FIRST},
        f"measurements/{SECOND}/gpu-l20": measure_l20(SECOND, 4300, **later),
    }
    for name, document in documents.items():
        path = directory / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
    return {
        **{
            f"{name}_path": str(directory / f"{name}.json") for name in ("proposal", "plan", "plan_proposed", "cluster")
        },
        "measurements_dir": str(directory / "measurements"),
        "fragment_path": str(directory / "proposal.yml"),
        # where a playbook has it: beside the hosts' files, of which it must not be taken for one
        "dest_dir": str(directory / "measurements" / FIRST),
        "next_playbook": "plan",
    }


def test_report_shows_a_measurement_and_writes_its_page_once(tmp_path: Path) -> None:
    options = write_measured(tmp_path, MeasuredStory())
    again = {**show("measurement", options), "register": "again"}
    first = {
        **show("measurement", options, measurement_ids=[FIRST], dest_dir=str(tmp_path / "first")),
        "register": "first",
    }
    tasks = [show("measurement", options), again, first, *keep(tmp_path, "measurement", "again", "first")]
    ended = play(tmp_path, tasks, COLUMNS="120")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "[WARNING]" not in ended.stdout + ended.stderr
    shown = result(tmp_path, "measurement")
    assert shown["text"] in ended.stdout
    for words in ("2 measurements\n2 GPU slots now, 11 as configured, 14 with the proposal.", "kubegpu.sharing.plan\n"):
        assert words in shown["text"]
    assert f"Fragment: {tmp_path}/proposal.yml" in shown["text"]
    assert "kubegpu_plan_id" not in shown["text"]
    assert [result(tmp_path, name)["changed"] for name in ("measurement", "again", "first")] == [True, False, True]
    assert result(tmp_path, "first")["text"].startswith(f"Measurement {FIRST}\n")
    figures = json.loads((tmp_path / f"measurements/{FIRST}/report.json").read_text(encoding="utf-8"))
    assert figures["samplings"] == [FIRST, SECOND]
    assert [len(course["parts"]) for course in figures["courses"]] == [2, 1]
    text = (tmp_path / f"measurements/{FIRST}/report.html").read_text(encoding="utf-8")
    for words in ("Memory of each card over time", "By card and pod", "14 with the proposal"):
        assert words in text


def test_report_of_a_measurement_in_check_mode_writes_nothing_and_needs_no_plans(tmp_path: Path) -> None:
    options = write_measured(tmp_path, MeasuredStory())
    given = {name: options[name] for name in ("proposal_path", "dest_dir")}
    ended = play(tmp_path, [show("measurement", given), *keep(tmp_path, "measurement")], "--check")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "A size is proposed for configs l20, t4" in ended.stdout
    assert not (tmp_path / f"measurements/{FIRST}/report.json").exists()


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "no_plan": ("plan", {"plan_path": "{dir}/none.json"}, "Reading {dir}/none.json failed: No such file or directory."),
    "no_json": ("plan", {"plan_path": "{dir}/journal.jsonl"}, "Reading {dir}/journal.jsonl failed: it is not JSON"),
    "no_directory": (
        "summary",
        {"dest_dir": "{dir}/plan.json"},
        "Writing {dir}/plan.json/report.json on the control node failed",
    ),
    "missing_option": ("summary", {"dest_dir": None}, "view is summary but all of the following are missing: dest_dir"),
    "no_proposal": ("measurement", {}, "view is measurement but all of the following are missing: proposal_path"),
    "unknown_view": (
        "story",
        {},
        "value of view must be one of: inspection, plan, check, verification, summary, stop, measurement, got: story",
    ),
}


def test_report_refuses_with_a_message_that_says_what_is_wrong(tmp_path: Path) -> None:
    options = write(tmp_path, Story())
    tasks = []
    for name, (view, changes, _message) in REFUSED.items():
        changed = {**options, **{option: value and value.format(dir=tmp_path) for option, value in changes.items()}}
        given = {option: value for option, value in changed.items() if value is not None}
        tasks.append({**show(view, given), "register": name, "ignore_errors": True})
    ended = play(tmp_path, [*tasks, *keep(tmp_path, *REFUSED)])
    assert ended.returncode == 0, ended.stdout + ended.stderr
    for name, (_view, _changes, message) in REFUSED.items():
        assert message.format(dir=tmp_path) in result(tmp_path, name)["msg"]

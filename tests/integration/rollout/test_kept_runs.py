# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders of old runs are removed from the control node, and nothing else is."""

from __future__ import annotations

import os
import time
from pathlib import Path

from .operator import Operator


def make_run(runs: Path, name: str, *, hours: float = 48, facts: bool = True) -> Path:
    """A folder as a run leaves it two days ago, with a journal that was written to so many hours ago."""
    folder = runs / name
    (folder / "facts" if facts else folder).mkdir(parents=True)
    for name_of_file in ("plan.json", "journal.jsonl"):
        (folder / name_of_file).write_text("{}", encoding="utf-8")
    for path in (*folder.iterdir(), folder):
        age = hours if path.name == "journal.jsonl" else 48
        os.utime(path, (time.time() - age * 3600,) * 2)
    return folder


def test_rollout_removes_the_oldest_runs_but_no_other_folder_and_not_the_last_rollout(operator: Operator) -> None:
    runs = operator.work_dir / "runs"
    last = make_run(runs, "20200101-000000-0a1b2c")
    old = [make_run(runs, f"20200102-00000{n}-0a1b2c") for n in range(3)]
    alive = make_run(runs, "20200103-000000-0a1b2c", hours=20)
    newest = make_run(runs, "20200104-000000-0a1b2c")
    foreign = [make_run(runs, "notes"), make_run(runs, "20200101-000000-ffffff", facts=False)]
    outside = make_run(operator.work_dir / "elsewhere", "20200101-000000-0a1b2c")
    linked = runs / "20190101-000000-0a1b2c"
    linked.symlink_to(outside)
    (operator.work_dir / "last_rollout").symlink_to(last)

    operator.must_play("plan", kubegpu_keep_runs=1)
    operator.must_play("rollout", "--check", kubegpu_keep_runs=1)
    assert all(folder.exists() for folder in (*old, newest)), "what changes nothing removes nothing"
    operator.must_play("rollout", kubegpu_keep_runs=0)
    assert all(folder.exists() for folder in (*old, newest)), "0 keeps all"
    (operator.work_dir / "last_rollout").unlink()
    (operator.work_dir / "last_rollout").symlink_to(last)
    operator.must_play("rollout", kubegpu_keep_runs=5)
    made = [folder for folder in runs.iterdir() if folder.name > "20200105" and folder != foreign[0]]
    assert len(made) == 4
    # Kept by number are the four that have just run and the newest of the others.
    assert [folder.exists() for folder in old] == [False, False, False]
    assert all(folder.exists() for folder in (last, alive, newest, outside, linked, *foreign, *made))

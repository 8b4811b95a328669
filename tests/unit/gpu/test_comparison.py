# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What ``make test-gpu`` says: of a simulated library, read as a real one is, and of cards that differ from the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gpu.__main__ import report
from gpu.comparison import compare
from simulator.nvml.state import NodeGpus, install

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = "libnvidia-ml.so.1"


def ask(library: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gpu", str(library)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)


def card(**changes: Any) -> dict[str, Any]:
    """An A30 as gpu_info tells it, with all that the table knows."""
    sizes = {"1g.6gb": (14, 1, 1, (0, 1, 2, 3), 4), "2g.12gb": (5, 2, 2, (0, 2), 2), "4g.24gb": (0, 4, 4, (0,), 1)}
    sizes.update({"1g.6gb+me": (21, 1, 1, (0, 1, 2, 3), 1), "2g.12gb+me": (6, 2, 2, (0, 2), 1)})
    profiles = [
        {
            "name": name,
            "id": number,
            "memory_mib": {1: 5949, 2: 11970, 4: 24002}[slices],
            "max_instances": most,
            "compute_slices": slices,
            "placements": [{"start": start, "size": size} for start in starts],
        }
        for name, (number, slices, size, starts, most) in sizes.items()
    ]
    mig = {"capable": True, "mode": "enabled", "pending": "enabled", "profiles": profiles}
    return {
        "index": 0,
        "uuid": "GPU-0",
        "product": "NVIDIA A30",
        "memory_total_mib": 24576,
        "state": "ok",
        "mig": mig,
        **changes,
    }


def last_cells(facts: dict[str, Any]) -> dict[str, str]:
    return {row[0]: row[-1] for row in compare(facts).rows}


def test_cards_of_the_simulated_library_are_read_compared_and_left_as_they_are(tmp_path: Path) -> None:
    library = install(tmp_path)
    NodeGpus.of("node", ["H20", "L20", "H20"]).write(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = ask(library)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "GPU 0 (NVIDIA H20), 97871 MiB, MIG mode disabled: the table's entry is H20-96GB" in done.stdout
    assert "1g.12gb     19    1         1       0,1,2,3,4,5,6  7       12160  the same" in done.stdout
    assert "GPU 1 (NVIDIA L20) has no MIG." in done.stdout
    assert "all as for GPU 0 (NVIDIA H20)" in done.stdout
    assert "GPUs compared: 2 of 3. Profiles that differ from the table: 0." in done.stdout
    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_machine_without_gpu_gets_one_line(tmp_path: Path) -> None:
    done = ask(tmp_path / LIBRARY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("No GPU to compare the table of MIG profiles with: ")
    assert done.stdout.count("\n") == 1


def test_card_as_in_the_table_is_the_same_in_every_line() -> None:
    assert set(last_cells(card()).values()) == {"the same"}
    assert compare(card()).differences == 0


def test_every_kind_of_difference_is_named_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    facts = card()
    by_name = {profile["name"]: profile for profile in facts["mig"]["profiles"]}
    by_name["1g.6gb"].update(id=19, max_instances=3)
    by_name["2g.12gb"]["placements"] = [{"start": 0, "size": 2}]
    by_name["4g.24gb"]["name"] = "4g.23gb"
    by_name["2g.12gb+me"]["compute_profiles"] = [{"slices": 2, "starts": [0]}]
    cells = last_cells(facts)
    assert cells == {
        "1g.6gb": "! id 14, most 4",
        "2g.12gb": "! starts 0,2",
        "4g.23gb": "! nothing",
        "4g.24gb": "! 0, 4, 4, 0, 1: the card does not have it",
        "1g.6gb+me": "the same",
        "2g.12gb+me": "! compute slices 1,2 for 2",
    }
    assert report({"nvml_available": True, "driver_version": "580.65.06", "gpus": [facts]}) == 1
    assert "Profiles that differ from the table: 5." in capsys.readouterr().out


def test_memory_that_another_driver_reports_is_shown_and_not_counted() -> None:
    facts = card()
    facts["mig"]["profiles"][0]["memory_mib"] = 5888
    assert last_cells(facts)["1g.6gb"] == "MiB 5949"
    assert compare(facts).differences == 0


@pytest.mark.parametrize(
    ("facts", "title"),
    [
        (
            card(mig={"capable": True, "mode": "disabled", "pending": "disabled", "profiles": []}),
            "GPU 0 (NVIDIA A30) tells no profiles while its MIG mode is disabled; "
            "drivers before 550 tell them with the mode on only.",
        ),
        (card(mig={"capable": False}), "GPU 0 (NVIDIA A30) has no MIG."),
        ({"index": 3, "state": "lost", "reason": "GPU 3 is lost."}, "GPU 3 does not answer: GPU 3 is lost."),
    ],
    ids=["mode_off", "no_mig", "lost"],
)
def test_card_that_tells_nothing_is_named_with_the_reason(facts: dict[str, Any], title: str) -> None:
    assert compare(facts).show() == title


def test_card_that_the_table_does_not_know_is_listed_whole() -> None:
    facts = json.loads(json.dumps(card(product="NVIDIA A31")))
    found = compare(facts)
    assert "the table has no entry for it" in found.title
    assert [row[-1] for row in found.rows] == ["! nothing"] * 5

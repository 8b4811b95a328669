# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Molecule scenarios: what their sequences name is there, and "make test" runs every one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from contract.repository import ROOT, load, name, text

SCENARIOS = sorted(path.parent for path in (ROOT / "molecule").glob("*/molecule.yml"))


def steps(scenario: Path) -> list[list[str]]:
    """Words of each step of "molecule test"."""
    return [step.split() for step in load(scenario / "molecule.yml")["scenario"]["test_sequence"]]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name)
def test_scenario_runs_the_role_twice_and_looks_at_what_it_did(scenario: Path) -> None:
    kinds = [words[0] for words in steps(scenario)]
    expected = ["create", "check", "converge", "idempotence", "verify", "destroy"]
    assert [kind for kind in dict.fromkeys(kinds[1:]) if kind in expected] == expected


@pytest.mark.parametrize("scenario", SCENARIOS, ids=name)
def test_scenario_has_what_its_steps_name(scenario: Path) -> None:
    # molecule passes over a step of which it finds nothing.
    for kind, *places in steps(scenario):
        for place in places:
            found = [scenario / place] if kind == "side_effect" else list((scenario / place).rglob("test_*.py"))
            assert found, place
            assert all(path.is_file() for path in found), place
    if any(kind == "side_effect" for kind, *_places in steps(scenario)):
        assert load(scenario / "molecule.yml")["provisioner"]["playbooks"]["side_effect"]


def test_every_scenario_on_hosts_is_known_to_the_check_that_runs_them() -> None:
    on_hosts = {scenario.name for scenario in SCENARIOS if re.search(r"hosts,? up", text(scenario / "create.yml"))}
    (listed,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(text(ROOT / "noxfile.py")).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SCENARIOS_ON_HOSTS"
    )
    assert set(listed) == on_hosts

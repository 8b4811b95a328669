from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from simulator.scenario import SCENARIOS, Scenario, ScenarioError, generate
from simulator.scenario_check import parse_age


@pytest.mark.parametrize("name", sorted(path.stem for path in SCENARIOS.glob("*.yml")))
def test_scenario_that_comes_along_is_valid(name: str) -> None:
    assert Scenario.load(name).name == name


@pytest.mark.parametrize(
    ("text", "expected"),
    [("28d", timedelta(days=28)), ("1d12h", timedelta(hours=36)), ("90m", timedelta(minutes=90)), ("0s", timedelta(0))],
)
def test_age_is_read(text: str, expected: timedelta) -> None:
    assert parse_age(text) == expected


@pytest.mark.parametrize("text", ["", "28", "d", "2w", "1d x"])
def test_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is none like 28d"):
        parse_age(text)


def test_all_problems_are_told_at_once() -> None:
    bad: dict[str, Any] = {
        "name": "bad",
        "sped": 3,
        "speed": 0,
        "nodes": [
            {"name": "Upper", "gpus": [{"card": "T5"}]},
            {"name": "twins", "count": 2},
            {"name": "x", "cgroup_version": 3, "gpus": [{"card": "T4", "count": "one"}]},
            {"name": "x", "label": {}},
        ],
        "history": [{"age": "1d", "apply": [{"kind": "Pod"}]}, {"age": "2d"}, {"apply": []}, {"age": "soon"}],
    }
    with pytest.raises(ScenarioError) as refused:
        Scenario.load(bad)
    text = "\n".join(refused.value.problems)
    for part in (
        "unknown key 'sped'",
        "speed: must be positive",
        "'Upper' is no legal node name",
        "no card 'T5'",
        "nodes[1]: with count the name must hold {n}",
        "two nodes named twins",
        "cgroup_version must be one of 1, 2",
        "count must be a int, not 'one'",
        "two nodes named x",
        "nodes[3]: unknown key 'label'",
        "history[0].apply[0]: needs apiVersion",
        "history[1]: age 2d is before the step above it",
        "history[2]: age is missing",
        "age 'soon' is none like 28d",
    ):
        assert part in text


def test_missing_file_names_the_scenarios_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="reference"):
        Scenario.load(tmp_path / "none.yml")


def test_count_makes_numbered_nodes_with_their_own_addresses() -> None:
    scenario = Scenario.load(
        {"name": "n", "nodes": [{"name": "gpu-{n}", "count": 3, "gpus": [{"card": "T4", "count": 2}]}]}
    )
    assert [node.name for node in scenario.nodes] == ["gpu-1", "gpu-2", "gpu-3"]
    assert len({node.address for node in scenario.nodes}) == 3
    assert scenario.nodes[0].cards == ("T4", "T4")


def test_generated_fleet_is_a_valid_scenario_without_heartbeats_and_files() -> None:
    scenario = Scenario.load(generate(250, models=("L20", "T4", "A30"), gpus_per_node=8))
    assert len(scenario.nodes) == 250
    assert {node.cards[0] for node in scenario.nodes} == {"L20", "T4", "A30"}
    assert not scenario.heartbeats
    assert not scenario.files

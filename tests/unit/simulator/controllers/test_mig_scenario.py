from __future__ import annotations

import pytest

from simulator.scenario import Scenario, ScenarioError


@pytest.mark.parametrize(
    ("gpu", "problem"),
    [
        ({"card": "T4", "mig": {"mode": "enabled"}}, r"nodes\[0\].gpus\[0\].mig: T4 knows no MIG"),
        ({"card": "H20", "mig": {"devices": {}}}, "mig: mode is missing"),
        ({"card": "H20", "mig": {"mode": "on"}}, "mode must be one of enabled, disabled"),
        ({"card": "H20", "mig": {"mode": "disabled", "devices": {"1g.12gb": 1}}}, "devices need mode: enabled"),
        ({"card": "H20", "mig": {"mode": "enabled", "devices": {"1g.12gb": 0}}}, "counts of at least 1"),
        (
            {"card": "H20", "mig": {"mode": "enabled", "devices": {"1g.5gb": 1}}},
            "no MIG profile 1g.5gb; there are 1g.12gb",
        ),
        ({"card": "H20", "mig": {"mode": "enabled", "devices": {"1g.12gb": 8}}}, "no room for"),
        (
            {"card": "H20", "mig": {"mode": "enabled", "devices": {"3g.48gb": 2, "1g.12gb": 1}}},
            "no room for",
        ),
    ],
)
def test_scenario_with_impossible_mig_is_refused(gpu: dict[str, object], problem: str) -> None:
    with pytest.raises(ScenarioError, match=problem):
        Scenario.load({"name": "s", "nodes": [{"name": "gpu-1", "gpus": [gpu]}]})


def test_every_card_of_an_entry_is_cut_alike() -> None:
    cut = {"card": "H20", "count": 2, "mig": {"mode": "enabled", "devices": {"3g.48gb": 1}}}
    (spec,) = Scenario.load({"name": "s", "nodes": [{"name": "n", "gpus": [{"card": "L20"}, cut]}]}).nodes
    assert [item.enabled for item in spec.mig] == [False, True, True]
    assert [item.devices for item in spec.mig] == [{}, {"3g.48gb": 1}, {"3g.48gb": 1}]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of MIG profiles: the product's module is made from its YAML, and the simulated cards are the same cards."""

from __future__ import annotations

from typing import Any

import yaml

from contract.repository import ROOT, load
from tools import mig_profiles

CONFIDENCES = {
    "observed",
    "ids_observed_placements_derived",
    "names_documented_rest_derived",
    "names_from_config_rest_derived",
    "names_documented_only",
    "conflicting_docs",
}


def models() -> list[dict[str, Any]]:
    return list(load(mig_profiles.SOURCE)["models"])


def test_module_is_what_its_source_makes() -> None:
    source = mig_profiles.SOURCE.read_text(encoding="utf-8")
    assert mig_profiles.TARGET.read_text(encoding="utf-8") == mig_profiles.render(source)


def test_every_model_says_how_sure_it_is() -> None:
    assert {model["confidence"] for model in models()} <= CONFIDENCES


def test_places_of_every_profile_are_within_the_card_and_as_many_as_fit() -> None:
    for model in models():
        placed = [profile for profile in model["profiles"] if profile["starts"]]
        units = max((profile["starts"][-1] + profile["size"] for profile in placed), default=0)
        for profile in placed:
            assert profile["starts"] == sorted(set(profile["starts"])), (model["key"], profile["name"])
            assert profile["max"] <= len(profile["starts"])
            assert profile["max"] * profile["size"] <= units
        names = [profile["name"] for profile in model["profiles"]]
        assert len(names) == len(set(names))


def test_simulated_cards_have_the_profiles_of_the_table() -> None:
    simulated = yaml.safe_load((ROOT / "tests/simulator/nvml/mig_profiles.yaml").read_text(encoding="utf-8"))["models"]
    known = {model["key"]: model for model in models()}
    for model in simulated:
        mine = known[model["key"]]["profiles"]
        theirs = [
            {
                "name": one["name"],
                "id": one["id"],
                "enum": one["enum"],
                "slices": one["slices"],
                "starts": one["starts"],
                "size": one["size"],
                "max": one["instances"],
                "gib": one["gib"],
            }
            for one in model["profiles"]
        ]
        assert theirs == mine, model["key"]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can stand on a card, against brute force, for every table."""

from __future__ import annotations

from typing import Iterable

import pytest
from unit.plugins.module_utils._mig import cards
from unit.plugins.module_utils._mig.brute_force import Bag, BruteForce, models

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.geometry import (
    Card,
    Counts,
    broken_limits,
    can_stand,
    legal_layouts,
    maximal_layouts,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import plan


def bags(card: Card, layouts: Iterable[Counts]) -> list[Bag]:
    return sorted(tuple(sorted(card.named(counts).items())) for counts in layouts)


@pytest.mark.parametrize("key", models())
def test_legal_layouts_of_every_table_are_those_of_brute_force(key: str) -> None:
    card = Card.of(cards.model(key).profiles)
    assert bags(card, legal_layouts(card)) == sorted(BruteForce(key).by_bag())


@pytest.mark.parametrize("key", models())
def test_maximal_layouts_of_every_table_can_be_made_from_nothing(key: str) -> None:
    card, brute = Card.of(cards.model(key).profiles), BruteForce(key)
    found = bags(card, maximal_layouts(card))
    known = brute.by_bag()
    assert found
    for bag in found:
        counts = dict(bag)
        assert not any(
            tuple(sorted({**counts, name: counts.get(name, 0) + 1}.items())) in known for name in brute.profiles
        )
        made = plan((), counts, cards.model(key).profiles)
        standing = frozenset((one.profile.name, one.place.start) for one in made.create)
        assert standing in known[bag]


@pytest.mark.parametrize("key", models())
def test_no_layout_has_more_compute_slices_than_the_card(key: str) -> None:
    # Nothing counts them: places see to it.
    brute = BruteForce(key)
    most = max(profile["slices"] for profile in brute.profiles.values())
    for standing in brute.standings():
        assert sum(brute.profiles[name]["slices"] for name, _start in standing) <= most


@pytest.mark.parametrize(("key", "units"), [(cards.A30, 4), (cards.A100, 8), (cards.H20, 8), (cards.RTX, 12)], ids=str)
def test_units_of_a_card(key: str, units: int) -> None:
    assert Card.of(cards.model(key).profiles).units == units


@pytest.mark.parametrize(
    ("key", "wanted", "legal"),
    [
        (cards.A100, {"3g.20gb": 2, "1g.5gb": 1}, False),
        (cards.A100, {"3g.20gb": 1, "1g.5gb": 4}, True),
        (cards.A100, {"3g.20gb": 7}, False),
        (cards.A100, {"1g.5gb": 7}, True),
        (cards.A100, {"1g.5gb": 8}, False),
        (cards.A100, {"4g.20gb": 1, "3g.20gb": 1}, True),
        (cards.A100, {"4g.20gb": 2}, False),
        (cards.A100, {"2g.10gb": 3, "1g.10gb": 1}, True),
        (cards.A100, {"2g.10gb": 3, "1g.5gb": 2}, False),
        (cards.A30, {"1g.6gb+me": 1, "2g.12gb": 1, "1g.6gb": 1}, True),
        (cards.A30, {"1g.6gb+me": 1, "2g.12gb+me": 1}, False),
        (cards.RTX, {"1g.24gb+me.all": 1, "1g.24gb-me": 3}, True),
        (cards.RTX, {"1g.24gb+me.all": 1, "2g.48gb-me": 1, "1g.24gb-me": 1}, True),
        (cards.RTX, {"1g.24gb+me.all": 1, "1g.24gb": 1}, False),
        (cards.RTX, {"2g.48gb+me.all": 1, "2g.48gb+gfx": 1}, False),
        (cards.RTX, {"1g.24gb+me": 1, "1g.24gb+me.all": 1}, False),
        (cards.RTX, {"1g.24gb": 1, "1g.24gb+gfx": 1, "1g.24gb-me": 1, "1g.24gb+me": 1}, True),
        (cards.RTX, {"2g.48gb": 1, "1g.24gb": 3}, False),
    ],
)
def test_known_layout_is_or_is_not_legal(key: str, wanted: dict[str, int], legal: bool) -> None:
    card = Card.of(cards.model(key).profiles)
    assert can_stand(card, card.counts(wanted)) is legal


def test_limits_are_told_apart() -> None:
    card = Card.of(cards.model(cards.RTX).profiles)
    wanted = {"1g.24gb+me.all": 2, "1g.24gb+me": 1, "2g.48gb": 1}
    assert broken_limits(card, card.counts(wanted)) == [
        "1g.24gb+me.all fits at most once",
        "15 of 12 memory units are asked for",
        "of the profiles with media engines of their own (1g.24gb+me, 1g.24gb+me.all) at most 1 can be there",
        "1g.24gb+me.all takes every media engine, so that only -me profiles fit beside it, not 2g.48gb, 1g.24gb+me",
    ]


def test_profile_without_places_is_not_placed() -> None:
    assert Card.of(cards.model("RTX-PRO-4500-32GB").profiles).profiles == ()


@pytest.mark.parametrize("key", models())
def test_every_profile_can_be_there_as_often_as_the_card_says(key: str) -> None:
    card = Card.of(cards.model(key).profiles)
    for profile in card.profiles:
        assert can_stand(card, card.counts({profile.name: profile.max_instances}))
        assert not can_stand(card, card.counts({profile.name: profile.max_instances + 1}))


@pytest.mark.parametrize("key", models())
def test_balanced_layout_that_nvidia_ships_for_every_card_is_legal(key: str) -> None:
    card = Card.of(cards.model(key).profiles)
    # The smallest plain profile of each number of slices: two of one, one of two, and one of three where there is such a one.
    plain = {
        profile.slices: profile.name for profile in card.profiles if "+" not in profile.name and "-" not in profile.name
    }
    wanted = {plain[slices]: count for slices, count in ((1, 2), (2, 1), (3, 1)) if slices in plain}
    assert can_stand(card, card.counts(wanted))

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which MIG layouts the cards allow: all that their tables do, and nothing else."""

from __future__ import annotations

import random
from typing import Any

import pytest
from unit.simulator.nvml.migs import Migs

from simulator.nvml.cards import CARDS
from simulator.nvml.mig_layouts import Layout, fits, is_maximal, legal_layouts, place

CAPABLE = [key for key, card in CARDS.items() if card.mig]
# One of each geometry: the other cards differ in names and numbers only.
GEOMETRIES = ["A30", "A100-40", "RTX-PRO-6000"]


def maximal(key: str) -> list[Layout]:
    mig = CARDS[key].mig
    assert mig is not None
    return [layout for layout in legal_layouts(mig) if is_maximal(mig, layout)]


def names(layout: Layout) -> set[tuple[str, int]]:
    return {(profile.name, start) for profile, start in layout}


@pytest.mark.parametrize("key", CAPABLE)
def test_every_maximal_layout_can_be_created_in_any_order(key: str, make_node: Any) -> None:
    migs = Migs(make_node([key]))
    order = random.Random(key)
    layouts = maximal(key)
    assert len(layouts) > 10
    for layout in layouts:
        for profile, start in order.sample(layout, len(layout)):
            migs.create(profile.name, start)
        assert migs.layout() == names(layout)
        migs.clear()


@pytest.mark.parametrize("key", GEOMETRIES)
def test_nothing_can_be_added_to_a_maximal_layout(key: str, make_node: Any) -> None:
    migs = Migs(make_node([key]))
    layouts = random.Random(key).sample(maximal(key), 12)
    for layout in layouts:
        for profile, start in layout:
            migs.create(profile.name, start)
        for profile in migs.card.mig.profiles:
            assert migs.nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(migs.gpu, profile.id) == 0
            for start in (None, *profile.starts):
                with pytest.raises(migs.nvml.NVMLError_InsufficientResources):
                    migs.create(profile.name, start)
        assert migs.layout() == names(layout)
        migs.clear()


@pytest.mark.parametrize("key", GEOMETRIES)
def test_capacity_of_any_layout_is_what_can_then_be_created(key: str, make_node: Any) -> None:
    migs = Migs(make_node([key]))
    mig = migs.card.mig
    for layout in random.Random(key).sample(list(legal_layouts(mig)), 25):
        for profile, start in layout:
            migs.create(profile.name, start)
        for profile in mig.profiles:
            room: Layout = layout
            for start in profile.starts:
                room = (*room, (profile, start)) if fits(room, profile, start) else room
            left = migs.nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(migs.gpu, profile.id)
            assert left == len(room) - len(layout), (profile.name, names(layout))
        migs.clear()


def test_halves_leave_no_room_for_an_eighth(make_node: Any) -> None:
    migs = Migs(make_node(["H20"]))
    migs.create("3g.48gb", 0)
    migs.create("3g.48gb", 4)
    with pytest.raises(migs.nvml.NVMLError_InsufficientResources):
        migs.create("1g.12gb")


def test_half_and_four_eighths_need_the_half_at_the_end(make_node: Any) -> None:
    mig = CARDS["H20"].mig
    assert mig is not None
    assert ("3g.48gb", 4) in names(place(mig, {"1g.12gb": 4, "3g.48gb": 1}))
    migs = Migs(make_node(["H20"]))
    migs.create("3g.48gb", 0)
    for start in (4, 5, 6):
        migs.create("1g.12gb", start)
    with pytest.raises(migs.nvml.NVMLError_InsufficientResources):
        migs.create("1g.12gb")


def test_without_placement_the_order_decides_what_fits(make_node: Any) -> None:
    migs = Migs(make_node(["A100-40"]))
    migs.create("3g.20gb")
    for _unused in range(4):
        migs.create("1g.5gb")
    migs.clear()
    for _unused in range(4):
        migs.create("1g.5gb")
    with pytest.raises(migs.nvml.NVMLError_InsufficientResources):
        migs.create("3g.20gb")


@pytest.mark.parametrize(
    ("key", "first", "then", "fits_too"),
    [
        ("A30", "1g.6gb+me", "2g.12gb+me", False),
        ("A30", "1g.6gb+me", "2g.12gb", True),
        ("H20", "1g.12gb+me", "1g.12gb+me", False),
        ("RTX-PRO-6000", "1g.24gb+me.all", "1g.24gb", False),
        ("RTX-PRO-6000", "1g.24gb", "1g.24gb+me.all", False),
        ("RTX-PRO-6000", "1g.24gb+gfx", "2g.48gb+me.all", False),
        ("RTX-PRO-6000", "1g.24gb+me", "1g.24gb+me.all", False),
        ("RTX-PRO-6000", "2g.48gb+me.all", "1g.24gb-me", True),
        ("RTX-PRO-6000", "1g.24gb-me", "2g.48gb+me.all", True),
        ("RTX-PRO-6000", "1g.24gb+me", "2g.48gb+gfx", True),
    ],
)
def test_media_engines_are_given_out_once(key: str, first: str, then: str, fits_too: bool, make_node: Any) -> None:
    migs = Migs(make_node([key]))
    migs.create(first, 0)
    if fits_too:
        migs.create(then)
        return
    with pytest.raises(migs.nvml.NVMLError_InsufficientResources):
        migs.create(then)


def test_layout_without_room_is_none() -> None:
    mig = CARDS["A100-40"].mig
    assert mig is not None
    with pytest.raises(ValueError, match="no room for"):
        place(mig, {"3g.20gb": 2, "1g.5gb": 1})

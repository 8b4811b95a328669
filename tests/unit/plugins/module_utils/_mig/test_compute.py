# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute instances: parts of GPU instances."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Tuple

import pytest
from unit.plugins.module_utils._mig import cards

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import (
    ComputeInstance,
    ComputeProfile,
    Instance,
    InUse,
    Place,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan

pytestmark = pytest.mark.node_side

PROFILES = cards.model(cards.A100).profiles


def three(number: int, start: int, *compute: Tuple[int, int]) -> Instance:
    """A 3g.20gb with compute instances as (slices, start)."""
    parts = tuple(ComputeInstance(index, slices, at) for index, (slices, at) in enumerate(compute))
    return Instance(number, "3g.20gb", Place(start, 4), parts)


def after(found: GpuPlan) -> List[Tuple[int, List[int]]]:
    return [(one.place.start, sorted(part.slices for part in one.compute)) for one in found.after().instances]


def test_plan_parts_take_as_few_gpu_instances_as_possible() -> None:
    found = plan((), {"1c.3g.20gb": 3}, PROFILES)
    assert [len(one.compute) for one in found.create] == [3]
    assert sum(len(one.compute) for one in plan((), {"1c.3g.20gb": 6}, PROFILES).create) == 6


def test_plan_layout_of_parts_stays_as_it_is() -> None:
    # Counted by device both are the same as three in one and one in the other.
    current = (three(1, 0, (1, 0), (1, 1)), three(2, 4, (1, 0), (1, 2)))
    assert plan(current, {"1c.3g.20gb": 4}, PROFILES).is_empty


def test_plan_parts_in_use_stay_where_they_are() -> None:
    current = (three(1, 0, (1, 0)), three(2, 4, (1, 0)))
    in_use: InUse = {(1, 0): (cards.NOTEBOOK,), (2, 0): (cards.TRAINER,)}
    found = plan(current, {"1c.3g.20gb": 4}, PROFILES, in_use)
    assert not found.refused
    assert sum(len(parts) for _start, parts in after(found)) == 4


def test_plan_change_of_parts_keeps_the_gpu_instance_and_those_in_use() -> None:
    current = (three(1, 0, (1, 0), (1, 1), (1, 2)),)
    in_use: InUse = {(1, 2): (cards.TRAINER,)}
    found = plan(current, {"1c.3g.20gb": 1, "2c.3g.20gb": 1}, PROFILES, in_use)
    assert [(step["step"], step.get("compute_instance_id"), step.get("device")) for step in found.steps()] == [
        ("destroy_compute_instance", 0, None),
        ("destroy_compute_instance", 1, None),
        ("create_compute_instance", None, "2c.3g.20gb"),
    ]
    assert not found.refused


def test_plan_part_in_use_in_the_middle_is_in_the_way() -> None:
    current = (three(1, 0, (1, 1)),)
    wanted = {"1c.3g.20gb": 1, "2c.3g.20gb": 1}
    held: InUse = {(1, 0): (cards.TRAINER,)}
    # With one GPU instance only the second one would have room for 2c; there is one.
    found = plan(current, wanted, PROFILES, held)
    assert not found.refused
    assert after(found) == [(0, [1]), (4, [2])]
    crowded = (*current, *cards.instances(cards.A100, [("2g.10gb", 4), ("1g.5gb", 6)]))
    refused = plan(crowded, {**wanted, "2g.10gb": 1, "1g.5gb": 1}, PROFILES, held)
    assert refused.refused
    assert refused.losses[0].device == "1c.3g.20gb at 0"


def test_plan_whole_instance_beside_parts() -> None:
    found = plan((), {"3g.20gb": 1, "1c.3g.20gb": 2}, PROFILES)
    assert sorted(tuple(size for size, _start in one.compute) for one in found.create) == [(1, 1), (3,)]


def test_plan_holder_of_whom_only_the_gpu_instance_is_known_counts_for_all_parts() -> None:
    current = (three(1, 0, (1, 0), (1, 1)),)
    found = plan(current, {"1c.3g.20gb": 1}, PROFILES, {(1, None): (cards.TRAINER,)})
    assert found.refused
    assert [loss.holders for loss in found.losses] == [(cards.TRAINER,)]


def test_plan_places_of_parts_that_the_card_tells_are_kept_to() -> None:
    told = tuple(
        replace(one, compute=(ComputeProfile(1, (0, 1, 2)), ComputeProfile(2, (0,)), ComputeProfile(3, (0,))))
        if one.name == "3g.20gb"
        else one
        for one in PROFILES
    )
    current = (three(1, 0, (1, 0)),)
    found = plan(current, {"1c.3g.20gb": 1, "2c.3g.20gb": 1}, told)
    # Two slices fit beside it only from 1, which this card does not have.
    assert [(new.place.start, new.compute) for new in found.create] == [(4, ((2, 0),))]
    assert [change.keep for _instance, change in found.keep] == [current[0].compute]


def test_plan_parts_of_unknown_places_are_left_to_the_driver() -> None:
    unknown = Instance(1, "3g.20gb", Place(0, 4), (ComputeInstance(0, 1), ComputeInstance(1, 1)))
    found = plan((unknown,), {"1c.3g.20gb": 3}, PROFILES)
    assert [change.create for _instance, change in found.keep] == [((1, None),)]

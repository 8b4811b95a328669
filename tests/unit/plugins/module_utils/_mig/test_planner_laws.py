# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of MIG plans, on generated cards, users and wishes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, product
from typing import Any, Dict, FrozenSet, Iterator, List, Optional, Tuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._mig import cards
from unit.plugins.module_utils._mig.brute_force import BruteForce, Standing, bag_of, carry_out

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import (
    ComputeInstance,
    Holder,
    Instance,
    InUse,
    Place,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import Rules, plan, plan_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import Wish, read_wishes

SOMEBODY = (Holder(pid=1),)
KEYS = (cards.A30, cards.A100, cards.RTX)

# A GPU instance with compute instances as (slices, start), at its place.
Divided = Tuple[str, int, Tuple[Tuple[int, int], ...]]


@st.composite
def changes(draw: Any) -> Tuple[BruteForce, Standing, Standing, Dict[str, int]]:
    """A card, what stands on it, what of that is in use, and a legal wish."""
    brute = BruteForce(draw(st.sampled_from(KEYS)))
    current = draw(st.sampled_from(brute.standings()))
    used = frozenset(draw(st.lists(st.sampled_from(sorted(current)), unique=True))) if current else current
    wanted = draw(st.sampled_from(sorted(brute.by_bag())))
    return brute, current, used, dict(wanted)


@given(changes())
@settings(max_examples=400, deadline=None)
def test_law_those_in_use_stay_if_any_layout_lets_them(
    change: Tuple[BruteForce, Standing, Standing, Dict[str, int]],
) -> None:
    brute, current, used, wanted = change
    instances = cards.instances(brute.key, current)
    in_use: InUse = {(one.id, 0): SOMEBODY for one in instances if (one.profile, one.place.start) in used}
    found = plan(instances, wanted, cards.model(brute.key).profiles, in_use)
    kept = {(one.profile, one.place.start) for one, _change in found.keep}
    best = brute.best_kept(current, used, tuple(sorted(wanted.items())))
    assert (len(kept & used), len(kept)) == best
    assert found.refused == (best[0] < len(used))
    assert len(found.losses) == len(used) - best[0]
    # Nothing in use is touched by a plan that may be carried out.
    touched = {step.get("gpu_instance_id") for step in found.steps()}
    assert found.refused or not touched & {number for number, _compute in in_use}


@given(changes())
@settings(max_examples=200, deadline=None)
def test_law_plan_is_the_same_for_the_same_input_in_any_order(
    change: Tuple[BruteForce, Standing, Standing, Dict[str, int]],
) -> None:
    brute, current, _used, wanted = change
    instances = cards.instances(brute.key, current)
    profiles = cards.model(brute.key).profiles
    found = plan(instances, wanted, profiles)
    backwards = plan(instances[::-1], dict(reversed(wanted.items())), profiles[::-1])
    assert backwards.decision() == found.decision()
    assert backwards.steps() == found.steps()


@given(changes(), st.booleans(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_law_planning_on_the_result_is_empty_and_the_steps_lead_there(
    change: Tuple[BruteForce, Standing, Standing, Dict[str, int]], enabled: bool, wish_enabled: bool
) -> None:
    brute, current, used, wanted = change
    mode = "enabled" if enabled else "disabled"
    gpu = cards.gpu(brute.key, current if enabled else (), mode=mode, pending=mode)
    in_use: InUse = {(one.id, 0): SOMEBODY for one in gpu.instances if (one.profile, one.place.start) in used}
    wish = Wish("w", wish_enabled, tuple(wanted.items()) if wish_enabled else ())
    found = plan_gpu(replace(gpu, in_use=in_use), wish, Rules(assume_idle=True))
    before = current if enabled else frozenset()
    passed = [before, *carry_out(before, found.steps())]
    assert all(map(brute.is_legal, passed))
    standing = passed[-1]
    after = found.after()
    assert {(one.profile, one.place.start) for one in after.instances} == set(standing)
    assert bag_of(standing) == (tuple(sorted(wanted.items())) if wish_enabled else ())
    assert plan_gpu(after, wish).is_empty
    assert found.is_empty == (found.to_dict()["before"] == found.to_dict()["after"])


@given(st.sampled_from(KEYS), st.data())
@settings(max_examples=150, deadline=None)
def test_law_wish_is_refused_if_and_only_if_no_layout_satisfies_it(key: str, data: st.DataObject) -> None:
    brute = BruteForce(key)
    names = sorted(brute.profiles)
    wanted = data.draw(st.dictionaries(st.sampled_from(names), st.integers(1, 4), min_size=1, max_size=3))
    legal = tuple(sorted(wanted.items())) in brute.by_bag()
    if legal:
        assert len(plan((), wanted, cards.model(key).profiles).create) == sum(wanted.values())
    else:
        with pytest.raises(InputError, match="Nearest legal layouts: "):
            plan((), wanted, cards.model(key).profiles)


def ways(slices: int, sizes: Tuple[int, ...]) -> Iterator[Tuple[Tuple[int, int], ...]]:
    """Every way to fill an instance's slices, or some of them, with compute instances as (slices, start)."""
    pairs = [(size, start) for size in sizes for start in range(slices - size + 1)]
    for count in range(slices + 1):
        for chosen in combinations(pairs, count):
            cells = [cell for size, start in chosen for cell in range(start, start + size)]
            if len(cells) == len(set(cells)):
                yield tuple(sorted(chosen, key=lambda one: one[1]))


@lru_cache(maxsize=None)
def divided(key: str) -> Tuple[FrozenSet[Divided], ...]:
    """Everything that can stand on a card, with every way to place compute instances."""
    brute = BruteForce(key)
    sizes = {1: (1,), 2: (1, 2), 4: (1, 2, 4)}
    options = {name: tuple(ways(one["slices"], sizes[one["slices"]])) for name, one in brute.profiles.items()}
    found = []
    for standing in brute.standings():
        ordered = sorted(standing)
        for choice in product(*(options[name] for name, _start in ordered)):
            found.append(frozenset((name, start, parts) for (name, start), parts in zip(ordered, choice)))
    return tuple(found)


def devices(state: FrozenSet[Divided]) -> Tuple[Tuple[Tuple[str, int], int], ...]:
    """MIG devices by profile and slices."""
    counts = Counter((name, size) for name, _start, parts in state for size, _at in parts)
    return tuple(sorted(counts.items()))


@lru_cache(maxsize=None)
def by_devices(key: str) -> Dict[Any, List[FrozenSet[Divided]]]:
    found: Dict[Any, List[FrozenSet[Divided]]] = {}
    for state in divided(key):
        # A GPU instance without compute instance is nobody's wish.
        if all(parts for _name, _start, parts in state):
            found.setdefault(devices(state), []).append(state)
    return found


def value(current: FrozenSet[Divided], final: FrozenSet[Divided], used: FrozenSet[Any]) -> Tuple[int, int, int]:
    """Compute instances in use, GPU instances, and compute instances that stay from one to the other."""
    there = {(name, start): set(parts) for name, start, parts in final}
    stay = [
        (name, start, part) for name, start, parts in current for part in parts if part in there.get((name, start), ())
    ]
    instances = sum((name, start) in there for name, start, _parts in current)
    return sum(one in used for one in stay), instances, len(stay)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_law_compute_instances_stay_as_many_as_brute_force_finds(data: st.DataObject) -> None:
    current = data.draw(st.sampled_from(divided(cards.A30)))
    wanted = data.draw(st.sampled_from(sorted(by_devices(cards.A30))))
    parts = [(name, start, part) for name, start, all_parts in sorted(current) for part in all_parts]
    used = frozenset(data.draw(st.lists(st.sampled_from(parts), unique=True))) if parts else frozenset()
    instances: List[Instance] = []
    in_use: Dict[Tuple[Optional[int], Optional[int]], Tuple[Holder, ...]] = {}
    for number, (name, start, all_parts) in enumerate(sorted(current), start=1):
        compute = tuple(ComputeInstance(index, size, at) for index, (size, at) in enumerate(all_parts))
        instances.append(Instance(number, name, Place(start, BruteForce(cards.A30).profiles[name]["size"]), compute))
        for index, part in enumerate(all_parts):
            if (name, start, part) in used:
                in_use[number, index] = SOMEBODY
    counts = {
        name if size == BruteForce(cards.A30).profiles[name]["slices"] else f"{size}c.{name}": count
        for (name, size), count in wanted
    }
    profiles = cards.model(cards.A30).profiles
    found = plan(instances, counts, profiles, in_use)
    kept = (
        sum((one.id, part.id) in in_use for one, change in found.keep for part in change.keep),
        len(found.keep),
        sum(len(change.keep) for _one, change in found.keep),
    )
    assert kept == max(value(current, final, used) for final in by_devices(cards.A30)[wanted])
    assert found.refused == (kept[0] < len(used))
    after = found.after().instances
    assert Counter((one.profile, part.slices) for one in after for part in one.compute) == dict(wanted)
    assert plan(found.after().instances, counts, profiles).is_empty


SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
WORDS = st.text(max_size=8) | st.sampled_from(["gpus", "devices", "1g.5gb"])


@given(
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=8,
    )
)
@settings(max_examples=300, deadline=None)
def test_law_whatever_is_given_becomes_wishes_or_problems(devices: Any) -> None:
    gpus = (cards.gpu(cards.A100),)
    wishes = read_wishes("mig_devices", devices, gpus)
    assert wishes.problems or wishes.by_gpu


def test_law_what_is_legal_stays_legal_without_one_of_its_instances() -> None:
    # So that every order of destroying first and then creating is legal at every step.
    for key in KEYS:
        brute = BruteForce(key)
        for standing in brute.standings():
            assert all(brute.is_legal(standing - {one}) for one in standing)

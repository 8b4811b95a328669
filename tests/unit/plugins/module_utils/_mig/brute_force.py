# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG by brute force, from the YAML alone: what can stand on a card, and what a change could keep at most.

It shares nothing with the planner, so that it cannot repeat its mistakes: units are sets of numbers, and everything is tried.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, List, Tuple

import yaml

SOURCE = Path(__file__).resolve().parents[5] / "plugins" / "module_utils" / "_mig" / "profiles.yaml"

# (profile, start) of every instance on a card.
Standing = FrozenSet[Tuple[str, int]]
# How often each profile occurs, by name.
Bag = Tuple[Tuple[str, int], ...]


@lru_cache(maxsize=None)
def models() -> Dict[str, Dict[str, Any]]:
    """The table by key; only cards whose places are known."""
    listed = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))["models"]
    return {
        model["key"]: model for model in listed if model["profiles"] and all(p["starts"] for p in model["profiles"])
    }


def bag_of(standing: Standing) -> Bag:
    """Counts by profile."""
    return tuple(sorted(Counter(name for name, _start in standing).items()))


@dataclass(frozen=True)
class BruteForce:
    """One card of the table."""

    key: str

    @property
    def profiles(self) -> Dict[str, Dict[str, Any]]:
        return {profile["name"]: profile for profile in models()[self.key]["profiles"]}

    def units(self, name: str, start: int) -> FrozenSet[int]:
        return frozenset(range(start, start + self.profiles[name]["size"]))

    def is_legal(self, standing: Standing) -> bool:
        """Whether hardware would let these stand together."""
        taken: set[int] = set()
        for name, start in standing:
            if start not in self.profiles[name]["starts"] or taken & self.units(name, start):
                return False
            taken |= self.units(name, start)
        names = [name for name, _start in standing]
        if any(names.count(name) > self.profiles[name]["max"] for name in names):
            return False
        if sum("+me" in name for name in names) > 1:
            return False
        greedy = [name for name in names if name.endswith("+me.all")]
        return not greedy or all(name.endswith("-me") for name in names if name not in greedy)

    def standings(self) -> Tuple[Standing, ...]:
        """Everything that can stand on the card, the empty card included."""
        return _standings(self.key)

    def by_bag(self) -> Dict[Bag, List[Standing]]:
        """The same by counts."""
        return _by_bag(self.key)

    def most_kept(self, current: Standing, wanted: Bag) -> int:
        """How many instances can stay where they are."""
        return max(len(current & final) for final in self.by_bag()[wanted])

    def best_kept(self, current: Standing, used: Standing, wanted: Bag) -> Tuple[int, int]:
        """How many in use can stay, and then how many in all."""
        return max((len(used & final), len(current & final)) for final in self.by_bag()[wanted])


@lru_cache(maxsize=None)
def _standings(key: str) -> Tuple[Standing, ...]:
    card = BruteForce(key)
    pairs = [(name, start) for name, profile in card.profiles.items() for start in profile["starts"]]
    found: set[Standing] = {frozenset()}
    waiting: List[Standing] = [frozenset()]
    while waiting:
        standing = waiting.pop()
        for pair in pairs:
            more = standing | {pair}
            if pair not in standing and more not in found and card.is_legal(more):
                found.add(more)
                waiting.append(more)
    return tuple(sorted(found, key=sorted))


@lru_cache(maxsize=None)
def _by_bag(key: str) -> Dict[Bag, List[Standing]]:
    found: Dict[Bag, List[Standing]] = {}
    for standing in _standings(key):
        found.setdefault(bag_of(standing), []).append(standing)
    return found


def carry_out(current: Standing, steps: List[Dict[str, Any]]) -> Iterator[Standing]:
    """What stands after each step on GPU instances; the steps must fit what stands."""
    standing = set(current)
    for step in steps:
        if step["step"] == "destroy_gpu_instance":
            standing.remove((step["profile"], step["start"]))
            yield frozenset(standing)
        elif step["step"] == "create_gpu_instance":
            assert (step["profile"], step["start"]) not in standing
            standing.add((step["profile"], step["start"]))
            yield frozenset(standing)

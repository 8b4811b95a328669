# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where GPU instances stand in the end: the layout that satisfies a wish and disturbs least. PRIVATE to the collection."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Dict, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.compute import (
    ComputeChange,
    Divided,
    Division,
    change_compute,
    holders_of,
    ways_to_divide,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.geometry import Card, can_stand, mask_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Instance, InUse, Place, Profile
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.nearest import explain_impossible
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.search import (
    Arrangement,
    Demand,
    Gain,
    Piece,
    arrange,
)


class ImpossibleError(Exception):
    """The wish cannot stand on the card. The message says why and what could be asked for instead."""


@dataclass(frozen=True)
class Layout:
    """The end of a change.

    :param keep: instances that stay, with what becomes of their compute instances.
    :param create: new ones: profile, place and division, largest first.
    """

    keep: Tuple[Tuple[Instance, ComputeChange], ...]
    destroy: Tuple[Instance, ...]
    create: Tuple[Tuple[Profile, Place, Division], ...]


def find_layout(
    card: Card, instances: Tuple[Instance, ...], wished: Mapping[Tuple[Profile, int], int], in_use: InUse
) -> Layout:
    """Of all legal layouts that satisfy the wish, the one that keeps the most instances in use, then the most GPU instances,
    then the most compute instances; of these the one with the fewest GPU instances, then with the most room for more,
    then the first by place.

    :param wished: how many compute instances, by profile and slices; those as large as their GPU instance are whole.
    :raises ImpossibleError: there is none.
    """
    best: Optional[Tuple[Tuple[Gain, int, Tuple[int, ...], Tuple[int, ...]], _Kinds, Arrangement]] = None
    fewest: Optional[Mapping[str, int]] = None
    for divided in ways_to_divide(wished):
        named = _count_instances(divided)
        fewest = fewest or named
        if not can_stand(card, card.counts(named)):
            continue
        kinds = _Kinds(card, divided, instances, in_use)
        found = kinds.arrange()
        if found is None:
            continue
        value = (found.gain, -sum(named.values()), found.room, found.order)
        if best is None or value > best[0]:
            best = (value, kinds, found)
    if best is None:
        raise ImpossibleError(explain_impossible(card, fewest or _least_instances(wished)))
    return best[1].layout(best[2])


def _count_instances(divided: Divided) -> Mapping[str, int]:
    counts: Dict[str, int] = Counter()
    for (name, _division), count in divided.items():
        counts[name] += count
    return counts


def _least_instances(wished: Mapping[Tuple[Profile, int], int]) -> Mapping[str, int]:
    """GPU instances that a wish needs at least, where its parts find no room at all."""
    slices: Dict[Profile, int] = Counter()
    for (profile, size), count in wished.items():
        slices[profile] += size * count
    return {profile.name: -(-count // profile.slices) for profile, count in slices.items()}


class _Kinds:
    """The search's pieces and demands for one way to divide."""

    def __init__(self, card: Card, divided: Divided, instances: Tuple[Instance, ...], in_use: InUse) -> None:
        order = {profile.name: number for number, profile in enumerate(card.profiles)}
        self.kinds = sorted(divided, key=lambda kind: (order[kind[0]], [-size for size in kind[1]]))
        self.profiles = [card.profiles[order[name]] for name, _division in self.kinds]
        self.card, self.divided, self.instances, self.in_use = card, divided, instances, in_use
        self.changes: Dict[Tuple[int, int], ComputeChange] = {}

    def arrange(self) -> Optional[Arrangement]:
        """The best arrangement of these."""
        demands = [
            Demand(self.divided[kind], tuple(mask_of(place) for place in profile.places))
            for kind, profile in zip(self.kinds, self.profiles)
        ]
        pieces = [Piece(mask_of(one.place), self._gains(number, one)) for number, one in enumerate(self.instances)]
        places = _distinct_places(self.card)
        rooms: Dict[int, Tuple[int, ...]] = {}

        def room(mask: int) -> Tuple[int, ...]:
            if mask not in rooms:
                rooms[mask] = tuple(sum(not mask & one for one in masks) for masks in places)
            return rooms[mask]

        return arrange(pieces, demands, room, width=3)

    def _gains(self, number: int, instance: Instance) -> Dict[int, Gain]:
        """What keeping an instance is worth as each kind that it can be."""
        gains: Dict[int, Gain] = {}
        for kind, (name, division) in enumerate(self.kinds):
            if name == instance.profile:
                change = change_compute(instance, division, self.profiles[kind], self.in_use)
                self.changes[number, kind] = change
                # Nothing is known to stand in it, and yet somebody holds it.
                held = not instance.compute and bool(holders_of(self.in_use, instance.id, None))
                gains[kind] = (change.in_use + held, 1, len(change.keep))
        return gains

    def layout(self, found: Arrangement) -> Layout:
        """The arrangement in terms of instances."""
        keep = [(self.instances[number], self.changes[number, kind]) for number, kind in found.kept.items()]
        create = [
            (self.profiles[kind], _place_of(self.profiles[kind], mask), self.kinds[kind][1])
            for kind, mask in found.placed
        ]
        return Layout(
            keep=tuple(sorted(keep, key=lambda entry: entry[0].place)),
            destroy=tuple(
                sorted(
                    (one for number, one in enumerate(self.instances) if number not in found.kept),
                    key=lambda one: one.place,
                )
            ),
            create=tuple(create),
        )


def _place_of(profile: Profile, mask: int) -> Place:
    return next(place for place in profile.places if mask_of(place) == mask)


@lru_cache(maxsize=32)
def _distinct_places(card: Card) -> Tuple[Tuple[int, ...], ...]:
    """Places of every shape that the card has, the largest shape first."""
    shapes: List[Tuple[int, ...]] = []
    for profile in card.profiles:
        masks = tuple(mask_of(place) for place in profile.places)
        if masks not in shapes:
            shapes.append(masks)
    return tuple(shapes)

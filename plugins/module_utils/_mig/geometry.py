# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPU instances can stand side by side on a card. PRIVATE to the collection.

Two things limit them: what a card has only so many of (how often a profile may occur, media engines), and places, which must not
overlap. Whatever is legal stays legal when an instance goes, so that every order of destroying and then creating is legal too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import FrozenSet, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Place, Profile
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import parse_name

# How often each profile of a card occurs, in the card's order.
Counts = Tuple[int, ...]

# Compute instances by slices of their GPU instance, as nvidia-smi mig -lcip lists them; a card that was asked beats this.
_COMPUTE_SLICES = {4: (1, 2, 4), 7: (1, 2, 3, 4, 7)}


def mask_of(place: Place) -> int:
    """The units that a place takes, as bits."""
    return ((1 << place.size) - 1) << place.start


def show_counts(counts: Mapping[str, int]) -> str:
    """2 x 3g.20gb, 1 x 1g.5gb; "nothing" for an empty layout."""
    return ", ".join(f"{count} x {name}" for name, count in counts.items() if count) or "nothing"


def show_times(count: int) -> str:
    """Once, or 7 times."""
    return "once" if count == 1 else f"{count} times"


def compute_slices(profile: Profile) -> Tuple[int, ...]:
    """Sizes of the compute instances that a GPU instance can hold, ascending."""
    if profile.compute:
        return tuple(sorted(one.slices for one in profile.compute))
    return _COMPUTE_SLICES.get(profile.slices, tuple(range(1, profile.slices + 1)))


def compute_starts(profile: Profile, slices: int) -> Tuple[int, ...]:
    """Where a compute instance can begin within its GPU instance; wherever it fits, unless the card told."""
    for one in profile.compute:
        if one.slices == slices:
            return one.starts
    return tuple(range(profile.slices - slices + 1))


@dataclass(frozen=True)
class Card:
    """The profiles of one card, largest first, and only those whose places are known."""

    profiles: Tuple[Profile, ...]

    @classmethod
    def of(cls, profiles: Tuple[Profile, ...]) -> Card:
        """A card with these profiles; of two with one name, which could not be told apart, the first."""
        known = {profile.name: profile for profile in reversed(profiles) if profile.places}
        return cls(tuple(sorted(known.values(), key=lambda one: (-one.places[0].size, -one.slices, one.name))))

    @property
    def units(self) -> int:
        """Memory units of the card."""
        return max((place.start + place.size for one in self.profiles for place in one.places), default=0)

    def find(self, name: str) -> Optional[Profile]:
        """The profile of that name."""
        return next((profile for profile in self.profiles if profile.name == name), None)

    def counts(self, named: Mapping[str, int]) -> Counts:
        """Counts by name, in the card's order."""
        return tuple(named.get(profile.name, 0) for profile in self.profiles)

    def named(self, counts: Counts) -> dict[str, int]:
        """Counts by name, without those that are 0."""
        return {profile.name: count for profile, count in zip(self.profiles, counts) if count}


def broken_limits(card: Card, counts: Counts) -> list[str]:
    """What a card has too little of, wherever the instances stand; one clause each."""
    problems = []
    for profile, count in zip(card.profiles, counts):
        if count > profile.max_instances:
            problems.append(f"{profile.name} fits at most {show_times(profile.max_instances)}")
    units = sum(profile.places[0].size * count for profile, count in zip(card.profiles, counts))
    if units > card.units:
        problems.append(f"{units} of {card.units} memory units are asked for")
    return problems + _broken_media_limits(card, counts)


def _broken_media_limits(card: Card, counts: Counts) -> list[str]:
    """+me holds engines that a card has once, whatever the instance's size, and +me.all leaves no engine to any other."""
    problems = []
    media = [entry for entry in zip(card.profiles, counts) if _media(entry[0].name) in ("+me", "+me.all")]
    limit = max((profile.max_instances for profile, _count in media), default=0)
    wanted = [profile.name for profile, count in media if count]
    if len(wanted) > 1 and sum(count for _profile, count in media) > limit:
        names = ", ".join(wanted)
        problems.append(f"of the profiles with media engines of their own ({names}) at most {limit} can be there")
    takers = [profile.name for profile, count in media if count and _media(profile.name) == "+me.all"]
    if takers:
        beside = [
            profile.name
            for profile, count in zip(card.profiles, counts)
            if count and profile.name not in takers and _media(profile.name) != "-me"
        ]
        if beside:
            problems.append(
                f"{takers[0]} takes every media engine, so that only -me profiles fit beside it, not {', '.join(beside)}"
            )
    return problems


@lru_cache(maxsize=None)
def _media(name: str) -> str:
    """What a profile says about media engines: +me, +me.all, -me, or nothing."""
    attributes = parse_name(name).attributes
    return next((one for one in attributes if one in ("+me", "+me.all", "-me")), "")


def can_stand(card: Card, counts: Counts) -> bool:
    """Whether such a layout is legal."""
    return not broken_limits(card, counts) and bool(_occupied(card, counts))


def _occupied(card: Card, counts: Counts) -> FrozenSet[int]:
    """Every set of units that such a layout can take; empty if there is no room for it."""
    masks = frozenset((0,))
    for profile, count in zip(card.profiles, counts):
        for _one in range(count):
            masks = _grow(masks, profile)
    return masks


def _grow(masks: FrozenSet[int], profile: Profile) -> FrozenSet[int]:
    return frozenset(mask | place for mask in masks for place in map(mask_of, profile.places) if not mask & place)


@lru_cache(maxsize=32)
def legal_layouts(card: Card) -> Tuple[Counts, ...]:
    """Every layout that can stand on a card, the empty one included, each as counts."""
    found: list[Counts] = []

    def extend(counts: Counts, masks: FrozenSet[int], first: int) -> None:
        found.append(counts)
        for number in range(first, len(card.profiles)):
            more = (*counts[:number], counts[number] + 1, *counts[number + 1 :])
            larger = _grow(masks, card.profiles[number])
            if larger and not broken_limits(card, more):
                extend(more, larger, number)

    extend((0,) * len(card.profiles), frozenset((0,)), 0)
    return tuple(sorted(found, reverse=True))


def maximal_layouts(card: Card) -> Tuple[Counts, ...]:
    """Layouts to which nothing can be added."""
    legal = set(legal_layouts(card))
    return tuple(
        counts
        for counts in legal_layouts(card)
        if not any((*counts[:n], counts[n] + 1, *counts[n + 1 :]) in legal for n in range(len(counts)))
    )

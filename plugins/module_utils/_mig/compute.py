# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compute instances within GPU instances: how wished parts are spread, and what of an instance's parts stays. PRIVATE to the collection.

A wish such as {1c.3g.20gb: 4} names MIG devices, not GPU instances: two instances with two parts each satisfy it, and so do
one with three and one with one. All ways are offered; which one disturbs least is the search's to find.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import product
from typing import FrozenSet, Iterator, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.geometry import (
    compute_slices,
    compute_starts,
    mask_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import (
    ComputeInstance,
    Holder,
    Instance,
    InUse,
    Place,
    Profile,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.search import Demand, Gain, Piece, arrange

# Slices of the compute instances of one GPU instance, largest first: (3,) is whole, (2, 1) is two parts.
Division = Tuple[int, ...]
# How many GPU instances of a profile have which division.
Divided = Mapping[Tuple[str, Division], int]


@dataclass(frozen=True)
class ComputeChange:
    """What becomes of a GPU instance's compute instances.

    :param create: (slices, start); start is None where the card did not tell its places, and the driver chooses.
    :param in_use: how many that are kept are in use.
    """

    keep: Tuple[ComputeInstance, ...] = ()
    destroy: Tuple[ComputeInstance, ...] = ()
    create: Tuple[Tuple[int, Optional[int]], ...] = ()
    in_use: int = 0


def holders_of(in_use: InUse, instance: int, compute: Optional[int]) -> Tuple[Holder, ...]:
    """Who holds a compute instance, or may: somebody of whom only the GPU instance is known counts for all its parts."""
    whole = in_use.get((instance, None), ())
    return whole if compute is None else (*in_use.get((instance, compute), ()), *whole)


def change_compute(instance: Instance, division: Division, profile: Profile, in_use: InUse) -> ComputeChange:
    """Turn an instance's compute instances into these, keeping those in use before others, and as many as possible."""
    sizes = sorted(set(division), reverse=True)
    demands = [
        Demand(division.count(size), tuple(mask_of(Place(start, size)) for start in compute_starts(profile, size)))
        for size in sizes
    ]
    pieces = [
        Piece(mask, {sizes.index(one.slices): _worth(in_use, instance, one)} if one.slices in sizes else {})
        for one, mask in zip(instance.compute, _masks(instance.compute))
    ]
    best = arrange(pieces, demands, lambda mask: (), width=2)
    kept = best.kept if best else {}
    placed = best.placed if best else ()
    return ComputeChange(
        keep=tuple(one for number, one in enumerate(instance.compute) if number in kept),
        destroy=tuple(one for number, one in enumerate(instance.compute) if number not in kept),
        create=create_compute(profile, [(sizes[number], mask) for number, mask in placed]),
        in_use=best.gain[0] if best else 0,
    )


def _worth(in_use: InUse, instance: Instance, compute: ComputeInstance) -> Gain:
    return (1 if holders_of(in_use, instance.id, compute.id) else 0, 1)


def _masks(compute: Tuple[ComputeInstance, ...]) -> List[int]:
    """Slices that compute instances take; where that is not known they are taken to stand side by side."""
    masks, end = [], 0
    for one in compute:
        start = end if one.start is None else one.start
        masks.append(mask_of(Place(start, one.slices)))
        end = start + one.slices
    return masks


def create_compute(profile: Profile, placed: List[Tuple[int, int]]) -> Tuple[Tuple[int, Optional[int]], ...]:
    """Compute instances to create, from (slices, mask); their places only if the card told what places there are."""
    known = {one.slices for one in profile.compute}
    return tuple((slices, (mask & -mask).bit_length() - 1 if slices in known else None) for slices, mask in placed)


def place_compute(profile: Profile, division: Division) -> Tuple[Tuple[int, Optional[int]], ...]:
    """Compute instances of a new GPU instance."""
    return change_compute(Instance(-1, profile.name, profile.places[0]), division, profile, {}).create


def ways_to_divide(wished: Mapping[Tuple[Profile, int], int]) -> Iterator[Divided]:
    """Every way to spread wished compute instances over GPU instances, those with the fewest GPU instances first.

    :param wished: how many, by profile and slices.
    """
    profiles = sorted({profile for profile, _slices in wished}, key=lambda one: one.name)
    offers: List[List[Divided]] = []
    for profile in profiles:
        parts = [
            slices
            for (one, slices), count in sorted(wished.items(), key=lambda entry: -entry[0][1])
            # More than there can ever be is as impossible as one too many.
            for _number in range(min(count, profile.slices * profile.max_instances + 1))
            if one == profile and slices != profile.slices
        ]
        whole = wished.get((profile, profile.slices), 0)
        offers.append(
            [
                Counter({**_count(profile, way), (profile.name, (profile.slices,)): whole})
                for way in sorted(_spread(tuple(parts), profile), key=lambda way: (len(way), way))
            ]
        )
    for ways in product(*offers):
        yield {division: count for way in ways for division, count in way.items() if count}


def _count(profile: Profile, way: Tuple[Division, ...]) -> Mapping[Tuple[str, Division], int]:
    return Counter((profile.name, division) for division in way)


def _spread(parts: Tuple[int, ...], profile: Profile) -> FrozenSet[Tuple[Division, ...]]:
    """Every way to put parts into GPU instances, each as divisions in ascending order."""
    ways: FrozenSet[Tuple[Division, ...]] = frozenset(((),))
    for part in parts:
        ways = frozenset(more for way in ways for more in _put(part, way, profile))
    return frozenset(way for way in ways if all(_fits(profile, division) for division in way))


def _put(part: int, way: Tuple[Division, ...], profile: Profile) -> Iterator[Tuple[Division, ...]]:
    """Put one more part into one of the GPU instances, or into a new one."""
    for index, division in enumerate(way):
        if sum(division) + part <= profile.slices:
            yield tuple(sorted((*way[:index], (*division, part), *way[index + 1 :])))
    if len(way) < profile.max_instances:
        yield tuple(sorted((*way, (part,))))


def _fits(profile: Profile, division: Division) -> bool:
    """Whether the parts find places beside each other."""
    sizes = sorted(set(division), reverse=True)
    demands = [
        Demand(division.count(size), tuple(mask_of(Place(start, size)) for start in compute_starts(profile, size)))
        for size in sizes
    ]
    return arrange((), demands, lambda mask: (), width=0) is not None


def knows_compute(profile: Profile, slices: int) -> bool:
    """Whether there are compute instances of that size."""
    return slices in compute_slices(profile)

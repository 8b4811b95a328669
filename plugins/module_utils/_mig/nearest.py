# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a layout is impossible, in terms of places, and which legal layouts come nearest. PRIVATE to the collection."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.geometry import (
    Card,
    Counts,
    broken_limits,
    legal_layouts,
    mask_of,
    show_counts,
    show_times,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Profile
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.search import Demand, arrange

_SUGGESTIONS = 3


def explain_impossible(card: Card, wanted: Mapping[str, int]) -> str:
    """Why these GPU instances cannot stand side by side, where each could, and what could be asked for instead."""
    counts = card.counts(wanted)
    reasons = broken_limits(card, counts) or ["no choice of these places is free of overlap"]
    where = "; ".join(_show_places(profile) for profile, count in zip(card.profiles, counts) if count)
    nearest = " | ".join(show_placed(card, layout) for layout in nearest_layouts(card, counts))
    return (
        f"{show_counts(card.named(counts))} cannot stand side by side on {card.units} memory units: {', and '.join(reasons)} "
        f"({where}). Nearest legal layouts: {nearest}."
    )


def _show_places(profile: Profile) -> str:
    starts = show_numbers([place.start for place in profile.places])
    return f"{profile.name} takes {profile.places[0].size} from {starts}, at most {show_times(profile.max_instances)}"


def show_numbers(numbers: Sequence[int]) -> str:
    """Ascending numbers, runs of at least three as such: 0-6, or 0, 4."""
    runs: List[List[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] + 1 == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs)


def nearest_layouts(card: Card, wanted: Counts) -> List[Counts]:
    """Legal layouts, the nearest first; not the empty one."""
    # Beyond what the card holds, more makes no difference.
    capped = tuple(min(count, card.units + 1) for count in wanted)
    layouts = [layout for layout in legal_layouts(card) if any(layout)]
    chosen: List[Counts] = []
    for layout in sorted(layouts, key=lambda layout: (*_distance(card, capped, layout), [-one for one in layout])):
        # What is only a part of one that is nearer helps nobody.
        if not any(all(a <= b for a, b in zip(layout, other)) for other in chosen):
            chosen.append(layout)
    return chosen[:_SUGGESTIONS]


def _distance(card: Card, wanted: Counts, layout: Counts) -> Tuple[int, int]:
    """How far a layout is from the wish: what is missing is paired with what is there instead, the largest with the largest.

    Nobody who asked for none wants attributes, and who asked for some wants them more than the rest.
    """
    missing, instead = _spares(card, wanted, layout), _spares(card, layout, wanted)
    paired = min(len(missing), len(instead))
    distance = sum(1 + 2 * abs(_weight(a) - _weight(b)) for a, b in zip(missing, instead))
    distance += sum(2 * _weight(one) for one in (*missing[paired:], *instead[paired:]))
    return distance + 4 * sum("+" in one.name for one in instead), sum("+" in one.name for one in missing)


def _weight(profile: Profile) -> int:
    return profile.slices + profile.places[0].size


def _spares(card: Card, one: Counts, other: Counts) -> List[Profile]:
    """Instances that ``one`` has beyond ``other``, largest first."""
    return [profile for profile, a, b in zip(card.profiles, one, other) for _number in range(a - b)]


def show_placed(card: Card, counts: Counts) -> str:
    """A legal layout with places: 2 x 3g.20gb at 0, 4."""
    demands = [
        Demand(count, tuple(mask_of(place) for place in profile.places))
        for profile, count in zip(card.profiles, counts)
    ]
    best = arrange((), demands, lambda mask: (), width=0)
    starts: Dict[int, List[int]] = {}
    for number, mask in best.placed if best else ():
        starts.setdefault(number, []).append((mask & -mask).bit_length() - 1)
    return ", ".join(
        f"{count} x {card.profiles[number].name} at {show_numbers(starts[number])}"
        for number, count in enumerate(counts)
        if count
    )

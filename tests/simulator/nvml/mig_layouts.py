# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which MIG layouts a simulated card can have: for scenarios that begin with one, and to hold the library against."""

from __future__ import annotations

from typing import Iterator, Mapping, Sequence

from simulator.nvml.cards import Mig, MigProfile

# GPU instances as they stand: profile and first memory unit.
Layout = tuple[tuple[MigProfile, int], ...]


def _media(profile: MigProfile) -> str:
    return next((end for end in ("+me.all", "+me", "-me") if profile.name.endswith(end)), "")


def _media_agree(one: str, other: str) -> bool:
    if "+me.all" in (one, other):
        return "-me" in (one, other)
    return "+me" not in (one, other) or one != other


def fits(layout: Sequence[tuple[MigProfile, int]], profile: MigProfile, start: int) -> bool:
    """Whether an instance can be added there: free units, no more of its kind than fit, and media engines for it."""
    apart = all(start + profile.size <= begin or begin + one.size <= start for one, begin in layout)
    alike = sum(one.name == profile.name for one, _begin in layout)
    media = all(_media_agree(_media(profile), _media(one)) for one, _begin in layout)
    return apart and alike < profile.max_instances and media


def place(mig: Mig, devices: Mapping[str, int]) -> Layout:
    """A legal layout with that many instances of each profile; ValueError if there is none."""
    wanted = [mig.profile(name) for name, count in devices.items() for _unused in range(count)]
    wanted.sort(key=lambda profile: -profile.size)
    found = _place(wanted, ())
    if found is None:
        raise ValueError(f"no room for {dict(devices)}")
    return found


def _place(wanted: Sequence[MigProfile], layout: Layout) -> Layout | None:
    if not wanted:
        return layout
    for start in wanted[0].starts:
        if fits(layout, wanted[0], start):
            found = _place(wanted[1:], (*layout, (wanted[0], start)))
            if found is not None:
                return found
    return None


def legal_layouts(mig: Mig) -> Iterator[Layout]:
    """Every legal layout of a card, the empty one included."""
    places = [(profile, start) for profile in mig.profiles for start in profile.starts]

    def extend(layout: Layout, rest: int) -> Iterator[Layout]:
        yield layout
        for position in range(rest, len(places)):
            if fits(layout, *places[position]):
                yield from extend((*layout, places[position]), position + 1)

    return extend((), 0)


def is_maximal(mig: Mig, layout: Layout) -> bool:
    """Whether nothing can be added."""
    return not any(fits(layout, profile, start) for profile in mig.profiles for start in profile.starts)

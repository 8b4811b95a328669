# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search itself, on rows of units that are no cards."""

from __future__ import annotations

from itertools import combinations
from typing import Any, Dict, List, Tuple

from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.search import Demand, Piece, arrange

UNITS = 8


def mask(start: int, size: int) -> int:
    return sum(1 << unit for unit in range(start, start + size))


def free_units(taken: int) -> Tuple[int, ...]:
    """Room, as an example: free units at the right end."""
    return (next((unit for unit in range(UNITS) if taken >> (UNITS - 1 - unit) & 1), UNITS),)


@st.composite
def rows(draw: Any) -> Tuple[List[Tuple[int, int]], Dict[int, List[int]], Dict[int, int], List[int]]:
    """Pieces as (start, size) side by side, starts by size, counts by size, and what each piece is worth."""
    starts = {
        size: sorted(draw(st.sets(st.integers(0, UNITS - size), min_size=1)))
        for size in draw(st.sets(st.integers(1, 4), min_size=1))
    }
    pieces: List[Tuple[int, int]] = []
    for size in draw(st.lists(st.sampled_from(sorted(starts)), max_size=5)):
        taken = 0
        for start, other in pieces:
            taken |= mask(start, other)
        free = [start for start in starts[size] if not taken & mask(start, size)]
        if free:
            pieces.append((draw(st.sampled_from(free)), size))
    counts = {size: draw(st.integers(0, 3)) for size in starts}
    return pieces, starts, counts, [draw(st.integers(0, 1)) for _piece in pieces]


def best_by_hand(
    pieces: List[Tuple[int, int]], starts: Dict[int, List[int]], counts: Dict[int, int], worth: List[int]
) -> Any:
    """The greatest value and room of all ways to place so many of each size; None if there is none."""
    ways: List[Tuple[Tuple[int, int], ...]] = [()]
    for size, count in counts.items():
        ways = [
            (*way, *((start, size) for start in chosen)) for way in ways for chosen in combinations(starts[size], count)
        ]
    values = []
    for way in ways:
        cells = [unit for start, size in way for unit in range(start, start + size)]
        if len(cells) == len(set(cells)):
            stay = [number for number, piece in enumerate(pieces) if piece in way]
            values.append(
                ((sum(worth[number] for number in stay), len(stay)), free_units(sum(1 << cell for cell in cells)))
            )
    return max(values, default=None)


@given(rows())
@settings(max_examples=400, deadline=None)
def test_law_arrange_finds_the_best_value_and_then_the_most_room(row: Any) -> None:
    pieces, starts, counts, worth = row
    sizes = sorted(starts, reverse=True)
    found = arrange(
        [Piece(mask(start, size), {sizes.index(size): (value, 1)}) for (start, size), value in zip(pieces, worth)],
        [Demand(counts[size], tuple(mask(start, size) for start in starts[size])) for size in sizes],
        free_units,
        width=2,
    )
    expected = best_by_hand(pieces, starts, counts, worth)
    assert (found and (found.gain, found.room)) == expected
    if found:
        assert len(found.kept) + len(found.placed) == sum(counts.values())
        everything = [mask(*pieces[number]) for number in found.kept] + [one for _demand, one in found.placed]
        assert sum(everything).bit_count() == sum(one.bit_count() for one in everything)


def test_arrange_nothing_demanded_keeps_nothing() -> None:
    found = arrange([Piece(1, {})], [], free_units)
    assert found is not None
    assert (found.kept, found.placed) == ({}, ())

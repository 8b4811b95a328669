# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exact search for where things stand, given where they stand now. PRIVATE to the collection.

It knows nothing of GPUs: pieces lie on a row of units, each may be kept as one of the things that are demanded, and what is missing
is placed into the gaps. Nothing is greedy: ways of keeping are tried from the most valuable down, and those of equal value are all
compared. A row is so short (at most 12 units) that this takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

Gain = Tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """What lies there.

    :param gains: what keeping it is worth as each demand that it satisfies, by the demand's number; compared as tuples.
    """

    mask: int
    gains: Mapping[int, Gain]


@dataclass(frozen=True)
class Demand:
    """What is wanted: so many of one kind, each at one of these places (bits of units, from the left)."""

    count: int
    masks: Tuple[int, ...]


class Arrangement(NamedTuple):
    """One way to satisfy all demands; the larger one, by comparison as a tuple, is the better one.

    :param room: how much room for more it leaves.
    :param order: settles ties: what lies more to the left, the largest things first.
    :param kept: the demand that each kept piece satisfies, by the piece's number.
    :param placed: (demand, mask) of what is to be made.
    """

    gain: Gain
    room: Tuple[int, ...]
    order: Tuple[int, ...]
    kept: Mapping[int, int]
    placed: Tuple[Tuple[int, int], ...]


class _Choice(NamedTuple):
    """A way of keeping: its value, the units then taken, and what is still missing of each demand."""

    gain: Gain
    mask: int
    missing: Tuple[int, ...]
    kept: Tuple[Tuple[int, int], ...]


def arrange(
    pieces: Sequence[Piece], demands: Sequence[Demand], room: Callable[[int], Tuple[int, ...]], width: int = 1
) -> Optional[Arrangement]:
    """The best arrangement, or None if the demands have no room together.

    :param room: values the room that is left beside units that are taken.
    :param width: length of the gains.
    """
    choices: List[_Choice] = []
    start = _Choice((0,) * width, 0, tuple(demand.count for demand in demands), ())
    _choose(pieces, 0, start, choices)
    choices.sort(key=lambda choice: choice.gain, reverse=True)
    best: Optional[Arrangement] = None
    for choice in choices:
        if best is not None and choice.gain < best.gain:
            break
        for found in _fill(choice, demands, room, pieces):
            if best is None or found[:3] > best[:3]:
                best = found
    return best


def _choose(pieces: Sequence[Piece], number: int, choice: _Choice, choices: List[_Choice]) -> None:
    """Every way to keep some of the pieces from ``number`` on."""
    if number == len(pieces):
        choices.append(choice)
        return
    piece = pieces[number]
    for demand, gain in piece.gains.items():
        if choice.missing[demand]:
            kept = _Choice(
                tuple(a + b for a, b in zip(choice.gain, gain)),
                choice.mask | piece.mask,
                _less(choice.missing, demand),
                (*choice.kept, (number, demand)),
            )
            _choose(pieces, number + 1, kept, choices)
    _choose(pieces, number + 1, choice, choices)


def _less(missing: Tuple[int, ...], demand: int) -> Tuple[int, ...]:
    return (*missing[:demand], missing[demand] - 1, *missing[demand + 1 :])


def _fill(
    choice: _Choice, demands: Sequence[Demand], room: Callable[[int], Tuple[int, ...]], pieces: Sequence[Piece]
) -> Iterator[Arrangement]:
    """Every arrangement that keeps just this."""
    kept = tuple((demand, pieces[number].mask) for number, demand in choice.kept)
    for mask, placed in _place(choice.mask, 0, choice.missing, demands):
        order = tuple(-one for _demand, one in sorted((*kept, *placed)))
        yield Arrangement(choice.gain, room(mask), order, dict(choice.kept), placed)


def _place(
    taken: int, number: int, missing: Tuple[int, ...], demands: Sequence[Demand]
) -> Iterator[Tuple[int, Tuple[Tuple[int, int], ...]]]:
    """Every way to place what is missing of the demands from ``number`` on. Things of one kind are alike: they go from left to right."""
    if number == len(demands):
        yield taken, ()
        return
    for mask, places in _combine(taken, demands[number].masks, 0, missing[number]):
        for final, rest in _place(mask, number + 1, missing, demands):
            yield final, (*((number, place) for place in places), *rest)


def _combine(taken: int, masks: Tuple[int, ...], first: int, count: int) -> Iterator[Tuple[int, Tuple[int, ...]]]:
    if not count:
        yield taken, ()
        return
    for index in range(first, len(masks)):
        if not taken & masks[index]:
            for final, rest in _combine(taken | masks[index], masks, index + 1, count - 1):
                yield final, (masks[index], *rest)

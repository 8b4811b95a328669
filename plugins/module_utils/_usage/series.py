# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was highest over time, in little memory however long that is. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Dict, List

MOST_POINTS = 120


class Series:
    """The highest value of each stretch of time; the stretches double when there would be more than 120 of them.

    :param width: seconds of a stretch to begin with.
    """

    __slots__ = ("_bins", "width")

    def __init__(self, width: float) -> None:
        self.width = width
        self._bins: Dict[int, int] = {}

    def add(self, offset: float, value: int) -> None:
        """A value.

        :param offset: seconds since the beginning, 0 or more.
        """
        number = int(offset / self.width)
        while number >= MOST_POINTS:
            self._double()
            number //= 2
        self._bins[number] = max(value, self._bins.get(number, value))

    def points(self) -> List[List[float]]:
        """(seconds since the beginning at which a stretch begins, highest value in it); stretches without a value are left out."""
        return [[round(number * self.width, 3), self._bins[number]] for number in sorted(self._bins)]

    def _double(self) -> None:
        self.width *= 2
        halved: Dict[int, int] = {}
        for number, value in self._bins.items():
            halved[number // 2] = max(value, halved.get(number // 2, value))
        self._bins = halved

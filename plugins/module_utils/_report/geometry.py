# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the report's figures have in common: scales, rows, labels. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Text

#: Nodes that a figure shows at most.
MAX_NODES = 40
#: Thickness of a bar, space between rows, and height of a label above its bars.
BAR = 12
ROW_GAP = 14
LABEL = 18
# From so many nodes on, rows are set closely.
_MANY = 8


@dataclass(frozen=True)
class Scale:
    """A drawing's width, and what it stands for (slots, MiB or seconds)."""

    width: float
    stands_for: float

    def length(self, amount: float) -> float:
        return self.width * amount / self.stands_for


@dataclass(frozen=True)
class Rows:
    """Where the rows of a figure have their label and their bars.

    :param width: of the whole figure.
    :param left: where bars begin.
    :param height: from one row to the next.
    :param thickness: of a bar.
    :param drop: from the row's top to the first bar's.
    :param scale: of the bars.
    """

    width: float
    left: float
    height: float
    thickness: float
    drop: float
    scale: Scale

    @classmethod
    def above(cls, width: float, bars: int, stands_for: float, margin: float = 0) -> Rows:
        """Labels above the bars, for a few rows.

        :param bars: in each row.
        :param stands_for: what the longest bar stands for.
        :param margin: kept free to the right of the longest bar.
        """
        height = LABEL + 2 + bars * (BAR + 3) + ROW_GAP - 3
        return cls(width, 0, height, BAR, LABEL + 2, Scale(width - margin, stands_for))

    @classmethod
    def beside(cls, width: float, bars: int, stands_for: float, margin: float = 0) -> Rows:
        """Labels beside the bars, so that many rows fill fewer screens."""
        left = min(width * 0.46, 300)
        return cls(width, left, 18, 12 / bars - 1, 3, Scale(width - left - margin, stands_for))

    def label(self, name: str, number: int) -> Text:
        """The label of a row."""
        return Text(0, number * self.height + 13, shorten(name, self.left - 8 if self.left else self.width), "label")

    def top(self, number: int) -> float:
        """Upper edge of a row's first bar."""
        return number * self.height + self.drop


def are_many(rows: int) -> bool:
    """Whether so many rows have to be set closely."""
    return rows > _MANY


def describe_left_out(count: int, noun: str) -> Optional[str]:
    return (
        f"The first {MAX_NODES} of {count} {noun} are drawn; report.json has all of them."
        if count > MAX_NODES
        else None
    )


def shorten(text: str, width: float, per_character: float = 8) -> str:
    """Text that fits into the width; names are cut in the middle, where they differ least."""
    room = int(width / per_character)
    if len(text) <= room:
        return text
    head = (room - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"

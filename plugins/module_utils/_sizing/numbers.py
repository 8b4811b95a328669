# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as people and AWX write them: whole numbers, decimals, percentages, also as text. PRIVATE to the collection.

AWX sends every survey answer as a string, YAML sends 0.9 as a float; nothing here ever calculates with a float.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")


def read_whole(value: Any) -> int:
    """A whole number from an int or its text.

    :raises ValueError: the value is anything else; booleans and 4621.0 are no whole numbers.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value)
    raise ValueError(f"{value!r} is not a whole number")


def read_decimal(value: Any) -> Decimal:
    """A decimal number from an int, a float or text. A float counts as what it is written as: 0.9 is nine tenths.

    :raises ValueError: the value is no finite number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str, Decimal)):
        raise ValueError(f"{value!r} is not a number")
    text = value.strip() if isinstance(value, str) else repr(value) if isinstance(value, float) else str(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{value!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{value!r} is not a finite number")
    return number


def show_decimal(number: Decimal) -> str:
    """The shortest plain notation: 0.90 becomes "0.9", 1E+2 becomes "100"."""
    return format(number.normalize(), "f")


@dataclass(frozen=True)
class Share:
    """So many of a whole: a number, or a percentage of it.

    Exactly one of the two is set.
    """

    count: int | None = None
    percent: Decimal | None = None

    def of(self, total: int) -> int:
        """How many of ``total``: a percentage is rounded down, and nothing is ever less than 1."""
        if self.percent is not None:
            return max(1, int(self.percent * total // 100))
        return max(1, self.count or 0)

    def __str__(self) -> str:
        return str(self.count) if self.percent is None else f"{show_decimal(self.percent)}%"


def read_share(value: Any) -> Share:
    """A share from 3, "3" or "25%".

    :raises ValueError: the value is none of these, or not above 0, or above 100%.
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        percent = read_decimal(value.strip()[:-1])
        if not 0 < percent <= 100:
            raise ValueError(f"{value!r} is not above 0% and at most 100%")
        return Share(percent=percent)
    count = read_whole(value)
    if count < 1:
        raise ValueError(f"{value!r} is less than 1")
    return Share(count=count)

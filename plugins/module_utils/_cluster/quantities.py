# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts of devices as Kubernetes writes them. PRIVATE to the collection."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Mapping

_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def parse_count(quantity: Any) -> int:
    """A number of devices: 8 from "8", 1000 from "1k", 2 from "2000m".

    :raises ValueError: no quantity, or not a whole number. The API server takes whole numbers only for extended resources.
    """
    found = _QUANTITY.fullmatch(str(quantity).strip())
    if not found:
        raise ValueError(f"{quantity!r} is not a quantity")
    number, suffix = Decimal(found.group(1)), found.group(2) or ""
    if suffix in _BINARY:
        value = number * 1024 ** _BINARY[suffix]
    elif suffix in _DECIMAL:
        value = number.scaleb(_DECIMAL[suffix])
    else:
        value = number.scaleb(int(suffix[1:]))
    if value != int(value):
        raise ValueError(f"{quantity!r} is not a whole number of devices")
    return int(value)


def counts_with_prefix(quantities: Mapping[str, Any] | None, prefix: str) -> dict[str, int]:
    """The counts of the resources whose name begins with the prefix; those of 0 are left out, as 0 equals absent."""
    if not quantities:
        return {}
    counts = {name: parse_count(value) for name, value in quantities.items() if name.startswith(prefix)}
    return {name: count for name, count in counts.items() if count}


def add_counts(*many: Mapping[str, int]) -> dict[str, int]:
    """The sum for each name."""
    total: dict[str, int] = {}
    for counts in many:
        for name, count in counts.items():
            total[name] = total.get(name, 0) + count
    return total


def larger_counts(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The larger number for each name."""
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {**one, **other}}

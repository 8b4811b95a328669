# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures and lists in words. PRIVATE to the collection."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Iterable, Mapping, Optional, Sequence

UNKNOWN = "unknown"
NOTHING = "-"

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


def describe_duration(seconds: Optional[float]) -> str:
    """Such as "28 days", "3 hours", "5 minutes", "43 s": the largest unit of which there are at least two, rounded down."""
    if seconds is None:
        return UNKNOWN
    for size, name in _UNITS:
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {name}s"
    return f"{int(seconds)} s"


def describe_seconds(seconds: float) -> str:
    """Length of a step: "4.2 s" or "3 min 05 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def describe_time(moment: str) -> str:
    """RFC 3339 as "2026-03-01 12:00 UTC"; what is none stays as it is."""
    found = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(?::[\d.]+)?Z$", moment)
    return f"{found[1]} {found[2]} UTC" if found else moment


def describe_share(fraction: Any) -> str:
    """0.8025 as "80.2 %"."""
    if fraction is None:
        return NOTHING
    return f"{Decimal(str(fraction)) * 100:.1f} %"


def describe_count(count: int, noun: str, plural: str = "") -> str:
    """Such as "1 pod" or "2 pods"."""
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def describe_left_alone(count: int) -> str:
    """What a headline adds where not every node took part, as "; 2 nodes left alone"; empty if all did."""
    return f"; {describe_count(count, 'node')} left alone" if count else ""


def describe_amounts(amounts: Mapping[str, Any]) -> str:
    """Amounts by resource; the name is left out for nvidia.com/gpu alone, which is what everybody means."""
    if not amounts:
        return "0"
    if set(amounts) == {"nvidia.com/gpu"}:
        return str(amounts["nvidia.com/gpu"])
    return "\n".join(f"{name.replace('nvidia.com/', '')}: {amount}" for name, amount in sorted(amounts.items()))


def describe_value(value: Any) -> str:
    """A value that may be missing."""
    return NOTHING if value is None or value == "" else str(value)


def join_some(names: Sequence[str], limit: int = 3) -> str:
    """The first names, and how many more there are."""
    listed = ", ".join(names[:limit])
    return listed + (f" and {len(names) - limit} more" if len(names) > limit else "")


def natural(name: str) -> list[tuple[int, int, str]]:
    """Sorting key that puts gpu-2 before gpu-10."""
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", name) if part]


def in_order(names: Iterable[str]) -> list[str]:
    """Names as people count."""
    return sorted(names, key=natural)

"""Numbers that may be percentages."""

from __future__ import annotations

import math


def resolve(value: int | str | None, total: int, *, round_up: bool) -> int:
    """``2`` or ``"25%"`` of ``total``."""
    if isinstance(value, str) and value.endswith("%"):
        share = int(value[:-1]) * total / 100
        return math.ceil(share) if round_up else math.floor(share)
    return int(value or 0)

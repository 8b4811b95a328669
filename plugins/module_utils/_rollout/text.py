# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Text that goes where there is little room. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterable

_MORE = " …"


def shorten(text: str, limit: int) -> str:
    """The text on one line, in at most so many characters."""
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - len(_MORE)].rstrip() + _MORE


def some_names(names: Iterable[str], limit: int = 10) -> str:
    """The first of the names in order, and how many there are besides: "a, b and 3 more"."""
    listed = sorted(names)
    more = len(listed) - limit
    return ", ".join(listed[:limit]) + (f" and {more} more" if more > 0 else "")

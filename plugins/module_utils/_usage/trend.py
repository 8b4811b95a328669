# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast memory grows. Pure. PRIVATE to the collection.

The median of the slopes between all pairs of points (Theil and Sen): what a process takes while it starts, or a single burst, is no
trend as long as it lasts less than about 29 % of the time.
"""

from __future__ import annotations

from statistics import median
from typing import List, Optional, Sequence, Tuple

SHORTEST_SPAN_SECONDS = 60
_FEWEST_POINTS = 6
# 496 pairs: a trend of 512 users is written every few seconds on the node
_MOST_POINTS = 32


def slope_per_hour(points: Sequence[Sequence[float]]) -> Optional[float]:
    """MiB that are added in an hour; negative if they become fewer. None if the points are too few or too close to tell.

    :param points: (seconds, MiB), the earliest first.
    """
    if len(points) < _FEWEST_POINTS or span(points) < SHORTEST_SPAN_SECONDS:
        return None
    kept = _thin(points)
    if all(value == kept[0][1] for _offset, value in kept):
        return 0.0
    slopes = [
        (later[1] - earlier[1]) / (later[0] - earlier[0])
        for number, earlier in enumerate(kept)
        for later in kept[number + 1 :]
    ]
    return round(median(slopes) * 3600, 1)


def span(points: Sequence[Sequence[float]]) -> float:
    """Seconds from the first point to the last."""
    return points[-1][0] - points[0][0] if points else 0.0


def _thin(points: Sequence[Sequence[float]]) -> List[Tuple[float, float]]:
    """At most 32 points: of each group of neighbours when it begins and the highest."""
    size = -(-len(points) // _MOST_POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[0][0], max(point[1] for point in group)) for group in groups]

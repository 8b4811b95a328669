# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of a card's memory over time, by pod. PRIVATE to the collection."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.geometry import LABEL, Scale, shorten
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_bars import name_card
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.palette import (
    Palette,
    name_user,
    name_users_workload,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Area, Figure, Line, Shape, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline_figure import tick_label, tick_step
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_duration, describe_time

Course = Mapping[str, Any]
Part = Mapping[str, Any]

_HEIGHT, _AXIS, _GAP = 90, 24, 14
# Between two samplings: nobody knows what was in between.
_BREAK = 16
_LAST_STRETCH = 1.0
# How far above the highest a drawing goes, and the width of a letter on a phone.
_REACH, _LETTER = 1.15, 7.6
_WORDS = (("unattributed", "in use by nobody whom NVML names"), ("ceiling", "ceiling that is planned for"))


@dataclass(frozen=True)
class Plot:
    """Where a part is drawn. :param x: seconds to the right, :param y: MiB upwards from ``bottom``."""

    left: float
    bottom: float
    x: Scale
    y: Scale

    def at(self, seconds: float, mib: float) -> tuple[float, float]:
        return self.left + self.x.length(seconds), self.bottom - self.y.length(mib)


def draw_courses(courses: Sequence[Course], palette: Palette, cards: int, width: float) -> Figure:
    """A drawing for each card: its memory by pod, one on top of the other, each sampling beside the next.

    :param courses: as in report.json, see measured_cards.
    :param cards: how many there are, also of which no course is drawn.
    """
    shapes: list[Shape] = []
    top = 0.0
    for course in courses:
        shapes += _draw_course(course, palette, top, width)
        top += LABEL + _HEIGHT + _AXIS + _GAP
    drawn = {shape.style for shape in shapes}
    left_out = f"The {len(courses)} cards of {cards} that were fullest are drawn." if cards > len(courses) else None
    return Figure(
        title="Memory of each card over time",
        description=". ".join(map(_describe_course, courses)) or "Nothing was measured over time.",
        width=width,
        height=max(top - _GAP, 1),
        shapes=shapes,
        legend=tuple((style, words) for style, words in (*palette.legend, *_WORDS) if style in drawn),
        note=left_out,
    )


def _describe_course(course: Course) -> str:
    parts = [
        f"from {describe_time(part['started'])} for {describe_duration(seconds_of(part))}, {max(mib for _at, mib in part['used'])} MiB at most"
        for part in course["parts"]
    ]
    return f"{name_card(course)}: {'; '.join(parts)}"


def seconds_of(part: Part) -> float:
    """How long a sampling was: to the end of its last stretch."""
    return float(part["used"][-1][0]) + (part["width"] or _LAST_STRETCH)


def _draw_course(course: Course, palette: Palette, top: float, width: float) -> Iterator[Shape]:
    total = int(course["memory_total_mib"])
    highest = max(mib for part in course["parts"] for _at, mib in part["used"])
    # A nearly empty card would show a line at the bottom and nothing of its pods.
    reach = min(total, max(1, round(highest * _REACH)))
    bottom = top + LABEL + _HEIGHT
    yield Text(0, top + 12, shorten(f"{name_card(course)}: {course.get('product')}", width - 150), "label")
    yield Text(width, top + 12, f"{highest} of {total} MiB", "detail", "end")
    room = width - _BREAK * (len(course["parts"]) - 1)
    seconds = sum(map(seconds_of, course["parts"]))
    left = 0.0
    for part in course["parts"]:
        length = seconds_of(part)
        scale = Scale(room * length / seconds, length)
        yield from _draw_part(part, palette, Plot(left, bottom, scale, Scale(_HEIGHT, reach)), reach)
        yield from _draw_axis(part, len(course["parts"]) > 1, left, bottom, scale)
        left += scale.width + _BREAK
    # Bars of cards are to scale with the card, this is not: it says what it is drawn up to.
    yield Text(2, bottom - _HEIGHT + 10, f"{reach} MiB", "tick")
    if course.get("ceiling_mib") and course["ceiling_mib"] <= reach:
        y = bottom - _HEIGHT * course["ceiling_mib"] / reach
        yield Line(0, y, width, y, "ceiling")


def _draw_part(part: Part, palette: Palette, plot: Plot, total: int) -> Iterator[Shape]:
    """Areas on top of each other, the one of those who use the most first; workloads of one colour side by side."""
    width = part["width"] or _LAST_STRETCH
    stretches = [float(at) for at, _mib in part["used"]]
    ends = [at + width for at in stretches]
    yield Area(_outline(stretches, ends, [0.0] * len(ends), [float(total)] * len(ends), plot), "card")
    floor = [0.0] * len(stretches)
    for style, title, heights in _layers(part, palette, stretches):
        ceiling = [min(float(total), low + height) for low, height in zip(floor, heights)]
        yield from _runs(stretches, ends, floor, ceiling, plot, style, title)
        floor = ceiling
    used = [float(mib) for _at, mib in part["used"]]
    if any(mib - low > 0.004 * total for mib, low in zip(used, floor)):
        above = [max(mib, low) for mib, low in zip(used, floor)]
        yield from _runs(stretches, ends, floor, above, plot, "unattributed", "in use by nobody whom NVML names")


def _layers(part: Part, palette: Palette, stretches: Sequence[float]) -> Iterator[tuple[str, str, list[float]]]:
    """(style, title, MiB in each stretch) of each user; those without a colour of their own are one layer."""
    together: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(stretches))
    named: list[tuple[int, str, str, list[float]]] = []
    for user in part["users"]:
        style = palette.style(user)
        heights = _heights(user["points"], stretches)
        if style == palette.others:
            together[style] = [one + other for one, other in zip(together[style], heights)]
        else:
            workload = name_users_workload(user)
            of = "" if workload == name_user(user) else f" of {workload}"
            named.append(
                (palette.rank(user), name_user(user), f"{name_user(user)}{of}: {user['mib']} MiB at most", heights)
            )
    for rank, _name, title, heights in sorted(named, key=lambda one: one[:2]):
        yield palette.style_of_rank(rank), title, heights
    for style, heights in together.items():
        yield style, "other workloads", heights


def _heights(points: Sequence[Sequence[float]], stretches: Sequence[float]) -> list[float]:
    """The highest in each stretch; where it was not seen, 0."""
    heights = [0.0] * len(stretches)
    for at, mib in points:
        # the stretch that begins there or last before
        place = bisect_left(stretches, at + 1e-6) - 1
        if place >= 0:
            heights[place] = max(heights[place], float(mib))
    return heights


def _runs(
    begins: Sequence[float],
    ends: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    plot: Plot,
    style: str,
    title: str,
) -> Iterator[Area]:
    """An area for each run of stretches in which there is something."""
    first: Optional[int] = None
    for number in range(len(begins) + 1):
        is_there = number < len(begins) and high[number] > low[number]
        if is_there and first is None:
            first = number
        elif not is_there and first is not None:
            part = slice(first, number)
            yield Area(_outline(begins[part], ends[part], low[part], high[part], plot), style, title)
            first = None


def _outline(
    begins: Sequence[float], ends: Sequence[float], low: Sequence[float], high: Sequence[float], plot: Plot
) -> list[tuple[float, float]]:
    """Steps along the top and back along the bottom; corners that are on a line are left out."""
    # a stretch lasts until the next one begins, so that rounding leaves no gap
    until = [*begins[1:], ends[-1]]
    top = [plot.at(at, mib) for begin, end, mib in zip(begins, until, high) for at in (begin, end)]
    back = [plot.at(at, mib) for begin, end, mib in zip(begins, until, low) for at in (begin, end)]
    return _corners([*top, *reversed(back)])


def _corners(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    kept: list[tuple[float, float]] = []
    for point in points:
        if len(kept) > 1 and kept[-2][1] == kept[-1][1] == point[1]:
            kept[-1] = point
        elif not kept or kept[-1] != point:
            kept.append(point)
    return kept


def _draw_axis(part: Part, is_one_of_several: bool, left: float, bottom: float, scale: Scale) -> Iterator[Shape]:
    seconds = scale.stands_for
    yield Line(left, bottom, left + scale.width, bottom)
    if is_one_of_several:
        moment = describe_time(part["started"])
        words = (f"{moment}, {describe_duration(seconds)}", moment, moment.partition(" ")[0])
        fitting = [one for one in words if len(one) * _LETTER <= scale.width]
        yield from [Text(left, bottom + 15, one, "tick") for one in fitting[:1]]
        return
    step = tick_step(seconds, max(2, int(scale.width / 70)))
    for number in range(int(seconds / step + 1e-9) + 1):
        x = left + scale.length(number * step)
        anchor = "start" if number == 0 else "end" if x > left + scale.width - 20 else "middle"
        yield Line(x, bottom, x, bottom + 4)
        yield Text(x, bottom + 17, tick_label(number * step, seconds), "tick", anchor)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of who holds the memory of each card: bars by pod, with slot lines and the ceiling. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.geometry import (
    LABEL,
    MAX_NODES,
    ROW_GAP,
    Scale,
    are_many,
    describe_left_out,
    shorten,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_cards import POD
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.palette import (
    Palette,
    name_user,
    name_users_workload,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Line, Rect, Shape, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count, join_some

Card = Mapping[str, Any]
Device = Mapping[str, Any]
#: Where a card has what it was and what it is.
STATES = ("before", "after")

_WORDS = (
    ("unattributed", "in use by nobody whom NVML names"),
    ("reserved", "reserved by the driver"),
    ("mig-device", "MIG device"),
    ("slot-line", "end of a slot"),
    ("ceiling", "ceiling that is planned for"),
)
_OTHERS = "user-others"
# Width of a letter of details; a phone has larger ones.
_LETTER, _LARGE_LETTER = 6.2, 7.3
_BAR, _DETAIL, _GAP = 16, 18, 6
_THIN = 7
# Users narrower than this are drawn as one.
_NARROWEST = 1.2
# What NVML attributes to nobody, up to this part of a card, is contexts and roundings.
_NOISE = 0.004


@dataclass(frozen=True)
class Row:
    """Where a bar stands. :param height: of the bar."""

    x: float
    y: float
    height: float
    scale: Scale


def draw_bars(
    cards: Sequence[Card],
    whens: Sequence[str],
    width: float,
    palette: Optional[Palette] = None,
    title: str = "Who holds the memory of each card",
) -> Figure:
    """Two bars for each card: who held its memory before and after.

    :param cards: as in report.json, see memory_cards.
    :param whens: what the two are called, such as "before" and "after".
    :param palette: of several figures together, if there are.
    """
    shown = [card for card in cards if card.get("before") or card.get("after")][:MAX_NODES]
    if not any(card.get("after") for card in shown):
        whens = whens[:1]
    palette = palette or Palette.of(shown)
    largest = max([1, *(int(card["memory_total_mib"]) for card in shown)])
    shapes: list[Shape] = []
    y = 0.0
    draw, gap = (_draw_closely, _GAP) if are_many(len(shown)) else (_draw_card, _GAP + ROW_GAP)
    for card in shown:
        found, bottom = draw(card, whens, palette, Scale(width, largest), y)
        shapes += found
        y = bottom + gap
    return Figure(
        title=title,
        description=". ".join(_describe_card(card, whens) for card in shown) or "No card was read.",
        width=width,
        height=max(y - gap, 1),
        shapes=shapes,
        legend=_legend(shapes, palette),
        note=" ".join(_notes(len(cards), len(shown), whens)) or None,
    )


def _states(card: Card, whens: Sequence[str]) -> list[tuple[str, Optional[Mapping[str, Any]]]]:
    return list(zip(whens, (card.get(name) for name in STATES)))


def _notes(cards: int, shown: int, whens: Sequence[str]) -> Iterator[str]:
    if are_many(shown) and len(whens) > 1:
        yield f"The upper bar of each pair is {whens[0]}, the lower one {whens[1]}."
    left_out = describe_left_out(cards, "cards")
    if left_out:
        yield left_out


def name_card(card: Card) -> str:
    """Such as "gpu-7, GPU 0"."""
    return f"{card['node']}, GPU {card.get('gpu')}"


def _draw_card(card: Card, whens: Sequence[str], palette: Palette, scale: Scale, y: float) -> tuple[list[Shape], float]:
    title = f"{name_card(card)}: {card.get('product')}"
    shapes: list[Shape] = [Text(0, y + 12, shorten(title, scale.width), "label")]
    y += LABEL
    for when, state in _states(card, whens):
        words = f"{when}: {describe_state(state)}"
        shapes.append(
            Text(0, y + 13, shorten(words, scale.width, _LETTER if scale.width > 600 else _LARGE_LETTER), "detail")
        )
        y += _DETAIL
        if state:
            shapes += _draw_state(card, state, when, palette, Row(0, y, _BAR, scale))
            y += _BAR + _GAP
    return shapes, y - _GAP


def _draw_closely(
    card: Card, whens: Sequence[str], palette: Palette, scale: Scale, y: float
) -> tuple[list[Shape], float]:
    """Two thin bars beside a label, for many cards; and where they end."""
    left = min(scale.width * 0.42, 240)
    narrow = Scale(scale.width - left, scale.stands_for)
    shapes: list[Shape] = [Text(0, y + 13, shorten(name_card(card), left - 8), "label")]
    for number, (when, state) in enumerate(_states(card, whens)):
        if state:
            shapes += _draw_state(card, state, when, palette, Row(left, y + number * (_THIN + 2) + 1, _THIN, narrow))
    return shapes, y + 2 * _THIN + 3


def describe_state(state: Optional[Mapping[str, Any]]) -> str:
    """What the bar shows, in words."""
    if not state:
        return "not known"
    users = [user for device in state["devices"] for user in device["users"]]
    pods = {(user["namespace"], user["name"]) for user in users if user["kind"] == POD}
    slots = sum(device["slots"] for device in state["devices"])
    used = "memory in use not told" if state.get("used_mib") is None else f"{state['used_mib']} MiB in use"
    mig = [device for device in state["devices"] if device.get("profile")]
    words = [used, f"by {describe_count(len(pods), 'pod')}"]
    if slots:
        words.append(f"in {describe_count(slots, 'slot')}")
    if mig:
        words.append(f"{'of' if slots else 'on'} {describe_count(len(mig), 'MIG device')}")
    untold = sum(1 for user in users if user["mib"] is None)
    return " ".join(words) + (f", NVML tells nothing of {untold} of them" if untold else "")


def _draw_state(card: Card, state: Mapping[str, Any], when: str, palette: Palette, row: Row) -> Iterator[Shape]:
    total = int(card["memory_total_mib"])
    width = row.scale.length(total)
    yield Rect(row.x, row.y, width, row.height, "card", f"{name_card(card)}: {total} MiB", radius=1)
    reserved = state.get("reserved_mib") or 0
    if reserved:
        length = row.scale.length(reserved)
        title = f"{reserved} MiB reserved by the driver"
        yield Rect(row.x + width - length, row.y, length, row.height, "reserved", title, radius=0)
    devices = state["devices"]
    for device in devices:
        left = row.x + row.scale.length(device["start_mib"])
        yield from _draw_device(device, when, palette, Row(left, row.y, row.height, row.scale))
        if device.get("ceiling_mib") and _is_shared(card):
            yield _draw_ceiling(device, left, row)
    if len(devices) == 1 and not devices[0].get("profile"):
        yield from _draw_rest(state, row)


def _is_shared(card: Card) -> bool:
    """Whether it has slots before or after: a ceiling says how far they may fill it."""
    states = [card.get(name) or {} for name in STATES]
    return any(device["slots"] > 1 for state in states for device in state.get("devices") or ())


def _draw_ceiling(device: Device, left: float, row: Row) -> Line:
    x = left + row.scale.length(device["ceiling_mib"])
    return Line(x, row.y - 2, x, row.y + row.height + 2, "ceiling")


def _draw_device(device: Device, when: str, palette: Palette, row: Row) -> Iterator[Shape]:
    total = int(device["memory_total_mib"])
    width = row.scale.length(total)
    if device.get("profile"):
        yield Rect(
            row.x,
            row.y,
            max(width - 1, 0.5),
            row.height,
            "mig-device",
            f"MIG device {device['profile']}, {total} MiB",
            radius=1,
        )
    left = row.x
    for style, title, mib in _segments(device["users"], when, palette, row.scale):
        # what is told to be more than the card must not leave the drawing
        length = min(row.scale.length(mib), row.x + width - left)
        if length > 0:
            gap = 0.7 if length > 3 else 0
            yield Rect(left, row.y, length - gap, row.height, style, title, radius=0)
        left += length
    slots = device["slots"]
    for number in range(1, slots) if slots and width / slots > 2 else ():
        x = row.x + width * number / slots
        yield Line(x, row.y - 2, x, row.y + row.height + 2, "slot-line")


def _segments(
    users: Sequence[Mapping[str, Any]], when: str, palette: Palette, scale: Scale
) -> Iterator[tuple[str, str, int]]:
    """(style, title, MiB) of each part of a bar; those too small to be seen are one."""
    told = [user for user in users if user["mib"]]
    small = [user for user in told if scale.length(user["mib"]) < _NARROWEST]
    for user in told:
        if user not in small:
            workload = name_users_workload(user)
            of = "" if workload == name_user(user) else f" of {workload}"
            yield palette.style(user), f"{name_user(user)}{of}, {when}: {user['mib']} MiB", user["mib"]
    if small:
        mib = sum(user["mib"] for user in small)
        names = join_some([name_user(user) for user in small])
        yield _OTHERS, f"{names}, {when}: {mib} MiB{' together' if len(small) > 1 else ''}", mib


def _draw_rest(state: Mapping[str, Any], row: Row) -> Iterator[Shape]:
    """What is in use and attributed to nobody."""
    device = state["devices"][0]
    told = sum(user["mib"] or 0 for user in device["users"])
    rest = unattributed(state)
    if rest:
        x = row.x + row.scale.length(told)
        title = f"{rest} MiB that NVML attributes to no process"
        yield Rect(x, row.y, row.scale.length(rest), row.height, "unattributed", title, radius=0)


def unattributed(state: Mapping[str, Any]) -> int:
    """MiB of a card in use beyond what is told of its users; 0 where that is a matter of rounding, or a card has MIG devices."""
    devices = state["devices"]
    if len(devices) != 1 or devices[0].get("profile") or state.get("used_mib") is None:
        return 0
    rest = state["used_mib"] - sum(user["mib"] or 0 for user in devices[0]["users"])
    return rest if rest > _NOISE * devices[0]["memory_total_mib"] else 0


def _legend(shapes: Sequence[Shape], palette: Palette) -> tuple[tuple[str, str], ...]:
    """What is drawn, and nothing else."""
    drawn = {shape.style for shape in shapes}
    return tuple((style, words) for style, words in (*palette.legend, *_WORDS) if style in drawn)


def _describe_card(card: Card, whens: Sequence[str]) -> str:
    told = "; ".join(f"{when}: {describe_state(state)}" for when, state in _states(card, whens))
    return f"{name_card(card)}, {told}"

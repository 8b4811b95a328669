# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the memory of each card, as a table: what the figure tells to a pointer alone. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Document,
    Row,
    Section,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_bars import (
    STATES,
    describe_state,
    unattributed,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.palette import name_user
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import NOTHING, UNKNOWN, describe_count

Card = Mapping[str, Any]
State = Optional[Mapping[str, Any]]


def show_holders(cards: Sequence[Card], whens: Sequence[str], limit: int) -> list[Document]:
    """A document of one table; none where no card was read.

    :param cards: as in report.json, see memory_cards.
    :param whens: what before and after are called; of a single name, before is shown alone.
    :param limit: rows at most.
    """
    rows = [row for card in cards for row in _card_rows(card, len(whens))]
    if not rows:
        return []
    columns = [
        Column("Node"),
        Column("GPU", wrap=True),
        Column("Who", wrap=True),
        *(Column(f"MiB {when}", right=True) for when in whens),
    ]
    section = Section("By card and pod", _TEXT, capped_table(columns, rows, limit))
    return [Document("Memory of each card", _describe(cards, whens), [section])]


_TEXT = "What is not told is what NVML does not say of processes; what is in use by nobody is the driver's, or a process's that it does not name."


def _describe(cards: Sequence[Card], whens: Sequence[str]) -> str:
    """Sums over all cards of which both states are known."""
    names = STATES[: len(whens)]
    both = [card for card in cards if all((card.get(name) or {}).get("used_mib") is not None for name in names)]
    if len(cards) == 1 or not both:
        states = [f"{when}: {describe_state(cards[0].get(name))}" for when, name in zip(whens, names)]
        return "; ".join(states) + "." if len(cards) == 1 else ""
    sums = [sum(card[name]["used_mib"] for card in both) for name in names]
    of = "" if len(both) == len(cards) else f" of {len(cards)}"
    told = ", ".join(f"{amount} MiB {when}" for amount, when in zip(sums, whens))
    return f"{describe_count(len(both), 'card')}{of}, in use in all: {told}."


def _card_rows(card: Card, count: int) -> Iterator[Row]:
    """A row for each user of a device, its figures side by side; one for what nobody is named for."""
    states = [card.get(name) for name in STATES[:count]]
    found: dict[tuple[str, str], list[str]] = {}
    for number, state in enumerate(states):
        for device, user in _users(state):
            mib = UNKNOWN if user["mib"] is None else str(user["mib"])
            found.setdefault((device, name_user(user)), [_absent(one) for one in states])[number] = mib
    for (device, who), figures in found.items():
        yield (str(card["node"]), f"{card.get('gpu')}{device}", who, *figures)
    rests = [unattributed(state) if state else 0 for state in states]
    if any(rests):
        figures = [str(rest) if state else NOTHING for rest, state in zip(rests, states)]
        yield (str(card["node"]), str(card.get("gpu")), "nobody whom NVML names", *figures)


def _absent(state: State) -> str:
    """Who is not there uses nothing, if anybody has looked."""
    return "0" if state else NOTHING


def _users(state: State) -> Iterator[tuple[str, Mapping[str, Any]]]:
    devices = (state or {}).get("devices") or ()
    for number, device in enumerate(devices, start=1):
        name = f", {device['profile']} ({number} of {len(devices)})" if device.get("profile") else ""
        for user in device["users"]:
            yield name, user

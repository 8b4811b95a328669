# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of those who use memory: a few that can be told apart, for those who use the most. PRIVATE to the collection."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_cards import OUTSIDE, POD
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count

User = Mapping[str, Any]
#: More colours than this nobody tells apart; the style sheet has as many.
COLOURS = 8
_OTHERS = "user-others"
_OUTSIDE = "user-outside"


def name_user(user: User) -> str:
    """A pod, or a program outside of pods."""
    if user["kind"] == OUTSIDE:
        return f"{user['name']} (outside of pods)"
    return f"{user['namespace']}/{user['name']}" if user["namespace"] else str(user["name"])


def name_users_workload(user: User) -> str:
    """What a pod belongs to."""
    if user["kind"] == OUTSIDE:
        return name_user(user)
    return f"{user['namespace']}/{user['workload']}" if user["namespace"] else str(user["workload"])


@dataclass(frozen=True)
class Palette:
    """Styles by workload.

    :param ranked: workloads, the one that uses the most first.
    """

    ranked: Sequence[str]

    @classmethod
    def of(cls, cards: Sequence[Mapping[str, Any]]) -> Palette:
        """:param cards: as in report.json, see memory_cards."""
        used: dict[str, int] = defaultdict(int)
        for user in _users(cards):
            if user["kind"] == POD:
                used[name_users_workload(user)] += user["mib"] or 0
        ranked = sorted((name for name in used if used[name]), key=lambda name: (-used[name], name))
        return cls(ranked)

    def style(self, user: User) -> str:
        """The style class of a user."""
        if user["kind"] == OUTSIDE:
            return _OUTSIDE
        name = name_users_workload(user)
        place = self.ranked.index(name) if name in self.ranked[:COLOURS] else None
        return _OTHERS if place is None else f"user-{place}"

    @property
    def legend(self) -> tuple[tuple[str, str], ...]:
        """(style class, words)."""
        named = [(f"user-{place}", name) for place, name in enumerate(self.ranked[:COLOURS])]
        left = max(0, len(self.ranked) - COLOURS)
        others = (
            f"{describe_count(left, 'other workload')}, and what is too small to be seen"
            if left
            else "too small to be seen each"
        )
        return (*named, (_OTHERS, others), (_OUTSIDE, "outside of pods"))


def _users(cards: Sequence[Mapping[str, Any]]) -> list[User]:
    states: list[Optional[Mapping[str, Any]]] = [card.get(when) for card in cards for when in ("before", "after")]
    return [user for state in states if state for device in state["devices"] for user in device["users"]]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of those who use memory: a few that can be told apart, for those who use the most. PRIVATE to the collection."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, ClassVar, Iterable, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_cards import OUTSIDE, POD, UNKNOWN
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count

User = Mapping[str, Any]
#: More colours than this nobody tells apart; the style sheet has as many.
COLOURS = 8
_OTHERS = "user-others"
_OUTSIDE = "user-outside"
_WORDS = {OUTSIDE: "outside of pods", UNKNOWN: "whose it is, is not known"}


def name_user(user: User) -> str:
    """A pod, or a program outside of pods."""
    if user["kind"] != POD:
        return f"{user['name']} ({_WORDS[user['kind']]})"
    return f"{user['namespace']}/{user['name']}" if user["namespace"] else str(user["name"])


def name_users_workload(user: User) -> str:
    """What a pod belongs to."""
    if user["kind"] != POD:
        return name_user(user)
    return f"{user['namespace']}/{user['workload']}" if user["namespace"] else str(user["workload"])


@dataclass(frozen=True)
class Palette:
    """Styles by workload.

    :param ranked: workloads, the one that uses the most first.
    """

    ranked: Sequence[str]

    @classmethod
    def of(cls, cards: Sequence[Mapping[str, Any]], courses: Sequence[Mapping[str, Any]] = ()) -> Palette:
        """For figures that stand side by side.

        :param cards: as in report.json, see memory_cards.
        :param courses: likewise, see measured_cards.
        """
        over_time = [user for course in courses for part in course["parts"] for user in part["users"]]
        return cls._rank([*_users(cards), *over_time])

    @classmethod
    def _rank(cls, users: Iterable[User]) -> Palette:
        used: dict[str, int] = defaultdict(int)
        for user in users:
            if user["kind"] == POD:
                used[name_users_workload(user)] += user["mib"] or 0
        ranked = sorted((name for name in used if used[name]), key=lambda name: (-used[name], name))
        return cls(ranked)

    #: The style of those who have no colour of their own.
    others: ClassVar[str] = _OTHERS

    def rank(self, user: User) -> int:
        """The place of its colour, from 0; those who have none share the places after the last."""
        if user["kind"] != POD:
            return COLOURS + 1
        name = name_users_workload(user)
        return self.ranked.index(name) if name in self.ranked[:COLOURS] else COLOURS

    def style_of_rank(self, rank: int) -> str:
        """The style class of a place."""
        return f"user-{rank}" if rank < COLOURS else _OTHERS if rank == COLOURS else _OUTSIDE

    def style(self, user: User) -> str:
        """The style class of a user."""
        return self.style_of_rank(self.rank(user))

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
        return (*named, (_OTHERS, others), (_OUTSIDE, "outside of pods, or of nobody knows whom"))


def _users(cards: Sequence[Mapping[str, Any]]) -> list[User]:
    states: list[Optional[Mapping[str, Any]]] = [card.get(when) for card in cards for when in ("before", "after")]
    return [user for state in states if state for device in state["devices"] for user in device["users"]]

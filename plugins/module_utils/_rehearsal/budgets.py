# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disruption budgets will refuse evictions until the deadline. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

#: It allows no eviction now.
ALLOWS_NONE = "allows_none"
#: It allows some, and more pods of it go than come back elsewhere.
NOT_REPLACED = "not_replaced"
#: The API evicts no pod that has two budgets.
SEVERAL = "several_budgets"


class Allowances:
    """How many more of their pods the budgets can do without."""

    def __init__(self, budgets: Iterable[Mapping[str, Any]]) -> None:
        """:param budgets: of the cluster file."""
        self._budgets = {f"{one['namespace']}/{one['name']}": one for one in budgets}
        self._left = {name: int(one.get("allowed") or 0) for name, one in self._budgets.items()}

    def give_back(self, names: Iterable[str]) -> None:
        """A pod of these budgets runs again."""
        for name in names:
            self._left[name] = self._left.get(name, 0) + 1

    def spend(self, evictions: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The budgets that stand in the way of these evictions. What finds no place is missing from now on."""
        pods: dict[str, list[str]] = {}
        lost: dict[str, int] = {}
        several: set[str] = set()
        for eviction in evictions:
            for name in eviction["budgets"]:
                pods.setdefault(name, []).append(f"{eviction['namespace']}/{eviction['name']}")
                lost[name] = lost.get(name, 0) + (eviction["verdict"] != "placed")
                if len(eviction["budgets"]) > 1:
                    several.add(name)
        blocking = []
        for name in sorted(pods):
            left = self._left.get(name, 0)
            reason = SEVERAL if name in several else _why(left, lost[name])
            if reason:
                blocking.append(self._describe(name, max(0, left), reason, pods[name]))
            self._left[name] = left - lost[name]
        return blocking

    def _describe(self, name: str, allowed: int, reason: str, pods: list[str]) -> dict[str, Any]:
        namespace, _slash, short = name.partition("/")
        budget = self._budgets.get(name) or {}
        return {
            "namespace": namespace,
            "name": short,
            "allowed": allowed,
            "healthy": budget.get("current_healthy"),
            "desired": budget.get("desired_healthy"),
            "expected": budget.get("expected"),
            "reason": reason,
            "pods": pods,
        }


def _why(left: int, lost: int) -> str:
    """A budget that allows one pod at a time only takes longer, as long as each comes back elsewhere."""
    if left < 1:
        return ALLOWS_NONE
    return NOT_REPLACED if lost > left else ""

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disruption budgets protect which GPU pods. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.budgets import Budget, observe_budget, selects


class ProtectedPods:
    """Collects GPU pods and budgets, which come in any order, and brings them together at the end.

    Labels of pods are kept no longer than that: a large fleet's file would grow by them.
    """

    def __init__(self) -> None:
        self._pods: list[tuple[dict[str, Any], Mapping[str, str]]] = []
        self._budgets: list[Budget] | None = None

    def add_pod(self, record: dict[str, Any], labels: Mapping[str, str]) -> None:
        """A GPU pod as the cluster file has it, to be given its budgets."""
        self._pods.append((record, labels))

    def add_budgets(self, items: Iterable[Mapping[str, Any]]) -> None:
        """PodDisruptionBudget objects. Not called: they may not be listed."""
        self._budgets = [*(self._budgets or []), *map(observe_budget, items)]

    def finish(self) -> list[dict[str, Any]] | None:
        """Give each pod its budgets, and return the budgets that protect a GPU pod; None if none are known at all."""
        if self._budgets is None:
            return None
        by_namespace: dict[str, list[Budget]] = {}
        for budget in self._budgets:
            by_namespace.setdefault(budget.namespace, []).append(budget)
        counts: dict[str, int] = {}
        for record, labels in self._pods:
            found = by_namespace.get(record["namespace"]) or ()
            names = sorted(_name(budget) for budget in found if selects(budget.selector, labels))
            if names:
                record["budgets"] = names
            for name in names:
                counts[name] = counts.get(name, 0) + 1
        ordered = sorted(self._budgets, key=_name)
        return [_describe(budget, counts[_name(budget)]) for budget in ordered if _name(budget) in counts]


def _name(budget: Budget) -> str:
    return f"{budget.namespace}/{budget.name}"


def _describe(budget: Budget, pods: int) -> dict[str, Any]:
    return {
        "namespace": budget.namespace,
        "name": budget.name,
        "allowed": budget.allowed,
        "current_healthy": budget.healthy,
        "desired_healthy": budget.desired,
        "expected": budget.expected,
        "pods": pods,
    }

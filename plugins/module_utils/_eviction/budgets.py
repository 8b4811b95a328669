# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disruption budgets of the pods that are still there. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate


@dataclass(frozen=True)
class Budget:
    """A PodDisruptionBudget with its numbers, as its controller counted them last."""

    namespace: str
    name: str
    selector: Mapping[str, Any] | None
    allowed: int = 0
    healthy: int = 0
    desired: int = 0
    expected: int = 0

    def covers(self, pod: Candidate) -> bool:
        """The pod is one of those that it protects."""
        return pod.state.namespace == self.namespace and selects(self.selector, pod.state.labels)

    def describe(self) -> str:
        """Its numbers in words."""
        return (
            f"{self.namespace}/{self.name} allows {self.allowed} now: {self.healthy} of {self.expected} "
            f"pods {'is' if self.healthy == 1 else 'are'} healthy, "
            f"{self.desired} must be"
        )


def observe_budget(obj: Mapping[str, Any]) -> Budget:
    """From a PodDisruptionBudget object."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    return Budget(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        selector=(obj.get("spec") or {}).get("selector"),
        allowed=int(status.get("disruptionsAllowed") or 0),
        healthy=int(status.get("currentHealthy") or 0),
        desired=int(status.get("desiredHealthy") or 0),
        expected=int(status.get("expectedPods") or 0),
    )


def covering(budgets: Iterable[Budget], pod: Candidate) -> list[Budget]:
    """The budgets that protect a pod."""
    return [budget for budget in budgets if budget.covers(pod)]


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector of policy/v1 selects these labels: a missing one selects nothing, an empty one everything."""
    if selector is None:
        return False
    same = all(labels.get(label) == value for label, value in (selector.get("matchLabels") or {}).items())
    return same and all(_meets(expression, labels) for expression in selector.get("matchExpressions") or ())


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    label, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator == "In":
        return labels.get(label) in values
    if operator == "NotIn":
        return labels.get(label) not in values
    return (label in labels) == (operator == "Exists")

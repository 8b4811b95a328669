# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step did on each node, as a module's result. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome


@dataclass
class NodeResult:
    """One node's part of a step. Filled while the step goes on.

    :param facts: more for the result, by name.
    """

    name: str
    failed: bool = False
    reason: str | None = None
    actions: tuple[str, ...] = ()
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    def fail(self, reason: str) -> None:
        """The step ended without success. A first failure stands."""
        if not self.failed:
            self.failed, self.reason = True, reason

    def to_dict(self) -> dict[str, Any]:
        """For ``nodes.<name>``."""
        return {"failed": self.failed, "reason": self.reason, "changed": bool(self.actions), **self.facts}


def to_outcome(results: Iterable[NodeResult], **facts: Any) -> Outcome:
    """All nodes of a step as one outcome. A module does not fail for a node: who called it decides."""
    listed = list(results)
    return Outcome(
        actions=tuple(action for result in listed for action in result.actions),
        before={"nodes": {result.name: result.before for result in listed if result.before}} if _any(listed) else {},
        after={"nodes": {result.name: result.after for result in listed if result.after}} if _any(listed) else {},
        facts={
            "nodes": {result.name: result.to_dict() for result in listed},
            "failed_nodes": [result.name for result in listed if result.failed],
            **facts,
        },
    )


def _any(results: list[NodeResult]) -> bool:
    return any(result.before or result.after for result in results)

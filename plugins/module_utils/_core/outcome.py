# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a module did, or in check mode would do. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """Result of a module, read off its plan, so that check mode and a real run cannot differ.

    :param actions: one line per change, in order, such as "patch node gpu-1: cordon". Empty means unchanged.
    :param before: what was observed, as far as the actions concern it (diff mode's left side).
    :param after: what the actions make of it (diff mode's right side).
    :param facts: the module's own return values.
    """

    actions: tuple[str, ...] = ()
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """True if there is at least one action."""
        return bool(self.actions)

    def to_result(self) -> dict[str, Any]:
        """The mapping for ``exit_json``: changed, actions, diff and the module's facts."""
        return {
            "changed": self.changed,
            "actions": list(self.actions),
            "diff": {"before": self.before, "after": self.after},
            **self.facts,
        }

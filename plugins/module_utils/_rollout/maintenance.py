# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The note that a rollout leaves on a node: who took it out of service, why, and how it was before. PRIVATE to the collection."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Mapping

_ORDER = ("step", "reason", "since", "run", "plan", "was_unschedulable", "restore")


@dataclass(frozen=True)
class Maintenance:
    """Value of the annotation ``kubegpu.sharing/maintenance``.

    :param run: the run that took the node; "" if the annotation cannot be read.
    :param since: RFC 3339, since when the node is out of service, whichever run had it first.
    :param was_unschedulable: somebody else had cordoned the node before: it stays so.
    :param step: the last step that was begun: cordoned, withdrawn or serving.
    :param plan: plan_id.
    :param reason: for people: what it is for, or what failed.
    :param restore: the node before the first change: key, revision and labels (None: it was not there), resources that it
        advertised, annotations that were set for the time of the maintenance, as they were, mig, the layout of its MIG
        instances, where that may change, and what is paused on it, see pausing.py.
    """

    run: str
    since: str = ""
    was_unschedulable: bool = False
    step: str = ""
    plan: str = ""
    reason: str = ""
    restore: dict[str, Any] = field(default_factory=dict)

    def at_step(self, step: str, reason: str) -> Maintenance:
        """The same, one step on. An earlier failure is history then."""
        return replace(self, step=step, reason=reason)

    def to_text(self) -> str:
        """The annotation's value, what people ask first at its beginning: kubectl describe cuts it after 140 characters or so."""
        fields = asdict(self)
        return json.dumps({name: fields[name] for name in _ORDER}, separators=(",", ":"))

    def to_diff(self) -> dict[str, Any]:
        """What of it a diff shows: all but the time, which no two runs have in common."""
        return {"run": self.run, "step": self.step, "was_unschedulable": self.was_unschedulable}


def parse_maintenance(text: str | None) -> Maintenance | None:
    """The note on a node. One that cannot be read is a note of run "": nobody may take that node for free."""
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, Mapping) or not isinstance(value.get("run"), str):
        return Maintenance(run="", reason=text)
    restore = value.get("restore")
    return Maintenance(
        run=value["run"],
        since=str(value.get("since", "")),
        was_unschedulable=value.get("was_unschedulable") is True,
        step=str(value.get("step", "")),
        plan=str(value.get("plan", "")),
        reason=str(value.get("reason", "")),
        restore=dict(restore) if isinstance(restore, Mapping) else {},
    )

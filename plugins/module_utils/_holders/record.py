# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record on a node of what was paused there, in its note of maintenance. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Tuple

#: Where a note's ``restore`` keeps it.
RECORD_KEY = "paused"


@dataclass(frozen=True)
class SetLabel:
    """A label that was changed.

    :param before: its value before, None if it was not there.
    :param value: what it was set to, None if it was taken off.
    """

    before: Optional[str]
    value: Optional[str]


@dataclass(frozen=True)
class Record:
    """What was done to a node, so that whoever finds the node later can undo it.

    :param labels: by name.
    :param taint: it was given our taint.
    :param daemonsets: those that are paused by it, "namespace/name".
    """

    labels: Mapping[str, SetLabel] = field(default_factory=dict)
    taint: bool = False
    daemonsets: Tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For a note."""
        labels = {name: {"before": one.before, "value": one.value} for name, one in sorted(self.labels.items())}
        return {"labels": labels, "taint": self.taint, "daemonsets": list(self.daemonsets)}


def read_record(restore: Mapping[str, Any]) -> Record | None:
    """From a note's ``restore``; None if nothing is paused."""
    noted = restore.get(RECORD_KEY)
    if not isinstance(noted, Mapping):
        return None
    labels = noted.get("labels")
    entries = labels.items() if isinstance(labels, Mapping) else ()
    return Record(
        labels={
            str(name): SetLabel(_text(one.get("before")), _text(one.get("value")))
            for name, one in entries
            if isinstance(one, Mapping)
        },
        taint=noted.get("taint") is True,
        daemonsets=tuple(str(title) for title in noted.get("daemonsets") or ()),
    )


def labels_before(labels: Mapping[str, str], record: Record) -> dict[str, Optional[str]]:
    """Labels to be put back: those that still are as they were set. What somebody has changed meanwhile is theirs."""
    return {name: one.before for name, one in record.labels.items() if labels.get(name) == one.value}


def _text(value: Any) -> Optional[str]:
    return None if value is None else str(value)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one measurement of many samples, in memory that does not grow with their number. Pure. PRIVATE to the collection."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Callable, DefaultDict, Dict, List, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.card import CardRecord
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import (
    KIND,
    SCHEMA_VERSION,
    ProcessUse,
    Sample,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.user import OTHERS, UserKey, UserRecord

MOST_USERS = 512
_MOST_REASONS = 8
_HEAD = ("id", "host", "node", "started", "ended", "nvml_available", "reason", "reason_code", "driver_version")

Describe = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Recorder:
    """Accumulates samples.

    :param interval_seconds: time between two samples.
    :param most_users: how many users are told apart; of more, those that are gone for the longest are counted together.
    """

    def __init__(self, interval_seconds: float, most_users: int = MOST_USERS) -> None:
        self._interval = interval_seconds
        self._most_users = most_users
        self._cards: Dict[str, CardRecord] = {}
        self._users: Dict[UserKey, UserRecord] = {}
        self._begin: Optional[float] = None
        self._last = 0.0
        self._samples = 0
        self._missed = 0
        self._reasons: Dict[str, int] = {}

    def add(self, sample: Sample) -> None:
        """A sample. Samples come in the order in which they were taken."""
        offset = self._offset(sample.at)
        self._samples += 1
        for gpu in sample.gpus:
            card = self._cards.get(gpu.uuid)
            if card is None:
                card = self._cards[gpu.uuid] = CardRecord(self._interval)
            card.add(offset, gpu)
        uses: DefaultDict[UserKey, List[ProcessUse]] = defaultdict(list)
        for process in sample.processes:
            uses[UserKey.of(process)].append(process)
        for key, processes in uses.items():
            user = self._users.get(key)
            if user is None:
                user = self._users[key] = UserRecord(key, offset, self._interval)
            user.add(offset, processes)
        if len(self._users) > self._most_users:
            self._fold(offset)

    def miss(self, at: float, reason: str, count: int = 1) -> None:
        """Samples that should have been taken by then and were not.

        :param reason: a sentence; how often each was given stands in the notes.
        """
        self._offset(at)
        self._missed += count
        if reason not in self._reasons and len(self._reasons) >= _MOST_REASONS:
            reason = "Other reasons."
        self._reasons[reason] = self._reasons.get(reason, 0) + count

    def document(self, head: Mapping[str, Any], describe: Optional[Describe] = None) -> Dict[str, Any]:
        """The measurement as it is now; more may be added after it.

        :param head: what samples do not say: id, started, ended (RFC 3339), complete, nvml_available, reason, reason_code,
            driver_version, gpus (each with index, uuid, product, memory_total_mib, memory_reserved_mib, mig_devices), notes;
            duration_seconds, if it is not the time from the first sample to the last.
        :param describe: what is known of a user besides: namespace, pod, container, slots.
        """
        users = [user.to_dict() for user in self._users.values()]
        for user in users if describe else ():
            user.update(describe(user) if describe else {})
        cards = {card["uuid"]: card for card in head.get("gpus") or ()}
        gpus = [self._card(uuid, cards.get(uuid, {})) for uuid in [*cards, *(set(self._cards) - set(cards))]]
        order = {gpu["uuid"]: number for number, gpu in enumerate(gpus)}
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": KIND,
            **{name: head.get(name) for name in _HEAD},
            "nvml_available": bool(head.get("nvml_available", True)),
            "duration_seconds": round(head.get("duration_seconds", self._last), 3),
            "interval_seconds": self._interval,
            "samples": self._samples,
            "missed": self._missed,
            "complete": bool(head.get("complete")),
            "gpus": gpus,
            "users": sorted(users, key=lambda user: _place(user, order)),
            "notes": [*head.get("notes", ()), *self._notes(users)],
        }

    def _offset(self, at: float) -> float:
        if self._begin is None:
            self._begin = at
        self._last = max(self._last, at - self._begin)
        return max(0.0, at - self._begin)

    def _card(self, uuid: str, card: Mapping[str, Any]) -> Dict[str, Any]:
        return (self._cards.get(uuid) or CardRecord(self._interval)).to_dict(uuid, card)

    def _fold(self, now: float) -> None:
        gone = [user for user in self._users.values() if user.last_seen < now and user.key.kind != OTHERS]
        gone.sort(key=lambda user: user.last_seen)
        for user in gone[: len(self._users) - self._most_users]:
            del self._users[user.key]
            key = user.key.others()
            if key not in self._users:
                self._users[key] = UserRecord(key, user.first_seen, self._interval)
            self._users[key].fold(user)

    def _notes(self, users: List[Dict[str, Any]]) -> List[str]:
        notes = [f"Samples that are missing: {count}. {reason}" for reason, count in self._reasons.items()]
        folded = sum(user["folded"] for user in users)
        if folded:
            notes.append(
                f"More than {self._most_users} users were seen: {folded} of those that had been gone for the longest are counted "
                "together, as others of their device. Measure for a shorter time to tell them apart."
            )
        return notes


def _place(user: Mapping[str, Any], order: Mapping[str, int]) -> Any:
    """By card as these are listed, by MIG device, the largest first."""
    peak = (user["memory_mib"] or {}).get("peak", 0)
    return (
        order.get(user["gpu"], len(order)),
        user["mig_device"] or "",
        user["folded"],
        -peak,
        user["container_id"] or user["pod_uid"] or user["command"] or "",
    )

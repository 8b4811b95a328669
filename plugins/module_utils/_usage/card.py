# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of one card over many samples. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.histogram import Figures
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import GpuUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.series import Series

_DESCRIBED = ("index", "uuid", "product", "memory_total_mib", "memory_reserved_mib")


class CardRecord:
    """Accumulates what samples say of a card."""

    __slots__ = ("_answered", "_free_mib", "_last", "_over_time", "_unanswered", "_used", "_utilization")

    def __init__(self, width: float) -> None:
        self._used = Figures()
        self._utilization = Figures()
        self._over_time = Series(width)
        self._free_mib: Optional[int] = None
        self._answered = 0
        self._unanswered = 0
        self._last: Optional[GpuUse] = None

    def add(self, offset: float, use: GpuUse) -> None:
        """What one sample says; ``offset`` in seconds since the first."""
        self._last = use
        if use.state != "ok":
            self._unanswered += 1
            return
        self._answered += 1
        if use.used_mib is not None:
            self._used.add(use.used_mib)
            self._over_time.add(offset, use.used_mib)
        if use.free_mib is not None:
            self._free_mib = use.free_mib if self._free_mib is None else min(self._free_mib, use.free_mib)
        if use.utilization_percent is not None:
            self._utilization.add(use.utilization_percent)

    def to_dict(self, uuid: str, card: Mapping[str, Any]) -> Dict[str, Any]:
        """As it stands in documents.

        :param card: what is always so: index, product, memory_total_mib, memory_reserved_mib, mig_devices.
        """
        described: Dict[str, Any] = {name: card.get(name) for name in _DESCRIBED}
        described["uuid"] = uuid
        return {
            **described,
            "memory_used_mib": self._used.to_dict(),
            "memory_free_mib": None if self._free_mib is None else {"min": self._free_mib},
            "utilization_percent": self._utilization.to_dict(),
            "samples": self._answered,
            "unanswered": self._unanswered,
            "state": self._last.state if self._last else card.get("state", "ok"),
            "reason": self._last.reason if self._last else card.get("reason"),
            "mig_devices": [dict(device) for device in card.get("mig_devices") or ()],
            "over_time": self._over_time.points(),
            "histogram": self._used.histogram(),
            "utilization_histogram": self._utilization.histogram(),
        }

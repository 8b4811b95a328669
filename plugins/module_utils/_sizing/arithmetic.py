# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many processes share a card, and what each of them gets. PRIVATE to the collection.

Replicas are floor(max_memory_utilization x total / process), and at most floor(total / (process + min_headroom)).
Time-slicing isolates neither memory nor faults, so floor(total / process) alone would leave no margin: one process over
its share takes the others down. All sizes are MiB; total is what NVML reports for the whole card.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import show_decimal

_FOURTH_DIGIT = Decimal("0.0001")


@dataclass(frozen=True)
class Margins:
    """What must stay free.

    :param max_memory_utilization: at most this part of a card's memory is planned for; above 0, at most 1.
    :param min_headroom_mib: at least so much stays free beside the process in each slot.
    """

    max_memory_utilization: Decimal = Decimal("0.9")
    min_headroom_mib: int = 0


@dataclass(frozen=True)
class Choice:
    """How many replicas, and the calculation that led there.

    :param replicas: 0 if not even one process fits within the margins.
    :param by_utilization: what the utilization alone allows; None if the number was stated.
    :param by_headroom: what the headroom alone allows; None if the number was stated.
    """

    replicas: int
    arithmetic: str
    by_utilization: int | None = None
    by_headroom: int | None = None


def choose_replicas(total_mib: int, process_mib: int, margins: Margins) -> Choice:
    """Replicas from the measured memory of one process."""
    ceiling = Fraction(margins.max_memory_utilization)
    by_utilization = int(ceiling * total_mib // process_mib)
    by_headroom = total_mib // (process_mib + margins.min_headroom_mib)
    replicas = min(by_utilization, by_headroom)
    text = f"floor({show_decimal(margins.max_memory_utilization)} x {total_mib} / {process_mib}) = {by_utilization}"
    if margins.min_headroom_mib:
        second = f"floor({total_mib} / ({process_mib} + {margins.min_headroom_mib})) = {by_headroom}"
        text = f"min({text}, {second}) = {replicas}"
    return Choice(replicas, text, by_utilization, by_headroom)


def state_replicas(replicas: int) -> Choice:
    """Replicas that the operator named; nothing is known about the processes."""
    return Choice(replicas, f"stated: {replicas}")


def leave_whole() -> Choice:
    """No sharing: the card is one slot."""
    return Choice(1, "not shared: 1")


@dataclass(frozen=True)
class Slot:
    """One replica's part of a card.

    :param headroom_mib: what a process leaves free in its slot; None if its memory is not known.
    :param utilization: part of the card in use when every slot is taken, with four digits; None likewise.
    """

    slot_mib: int
    headroom_mib: int | None
    utilization: Decimal | None

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the plan; utilization as a number, 0.8025."""
        utilization = None if self.utilization is None else float(self.utilization)
        return {"slot_mib": self.slot_mib, "headroom_mib": self.headroom_mib, "utilization": utilization}


def divide(total_mib: int, replicas: int, process_mib: int | None) -> Slot:
    """What each of ``replicas`` (at least 1) gets of a card."""
    slot_mib = total_mib // replicas
    if process_mib is None:
        return Slot(slot_mib, None, None)
    ten_thousandths = round(Fraction(10_000 * replicas * process_mib, total_mib))
    return Slot(slot_mib, slot_mib - process_mib, ten_thousandths * _FOURTH_DIGIT)

"""What the scheduler says about a pod that it cannot place. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from simulator.controllers.scheduler.filters import Refusal

NO_NODES = "no nodes available to schedule pods"
NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"


def unschedulable_message(refusals: list[Refusal], *, may_preempt: bool = True) -> str:
    """The text of the FailedScheduling event and of the pod's condition."""
    if not refusals:
        return NO_NODES
    reasons = Counter(reason for refusal in refusals for reason in refusal.reasons)
    return f"{_summary(len(refusals), reasons)} no new claims to deallocate, preemption: {_preemption(refusals, may_preempt)}"


def _preemption(refusals: list[Refusal], may_preempt: bool) -> str:
    if not may_preempt:
        return "not eligible due to preemptionPolicy=Never."
    reasons = Counter(NO_VICTIMS if refusal.resolvable else NOT_HELPFUL for refusal in refusals)
    return _summary(len(refusals), reasons)


def _summary(nodes: int, reasons: Counter[str]) -> str:
    return f"0/{nodes} nodes are available: {', '.join(_sorted(reasons))}."


def _sorted(reasons: Counter[str]) -> Iterable[str]:
    """As Go sorts them: as texts, number first."""
    return sorted(f"{count} {reason}" for reason, count in reasons.items())

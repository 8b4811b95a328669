# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the API's answer to an eviction means. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Protocol, Sequence

#: The pod is told to end.
ACCEPTED = "accepted"
#: The very pod is there no more.
GONE = "gone"
#: A disruption budget forbids it now.
BUDGET = "budget"
#: The API server has too much to do; that says nothing about the pod.
BUSY = "busy"
#: The API, or the way to it, is in trouble that may pass.
TROUBLE = "api_trouble"
#: The namespace is being deleted, and its pods with it.
NAMESPACE_ENDS = "namespace_terminating"
#: The API cannot evict a pod of several budgets.
SEVERAL_BUDGETS = "more_than_one_budget"
#: Refused for good.
REFUSED = "refused"

_RETRIED = (BUDGET, BUSY, TROUBLE)
_FINAL = (SEVERAL_BUDGETS, REFUSED)


class Refusal(Protocol):
    """An error of the API client."""

    msg: str
    status: int | None
    retry_after: float | None

    @property
    def causes(self) -> Sequence[Mapping[str, Any]]:
        """What the API says in more detail."""

    @property
    def outcome_unknown(self) -> bool:
        """The request may have been carried out all the same."""


@dataclass(frozen=True)
class Answer:
    """An answer to an eviction.

    :param kind: one of the words above.
    :param message: the API's words.
    :param pause: seconds after which it asks to be tried again, if it said so.
    :param unsure: the eviction may have been carried out all the same.
    """

    kind: str
    message: str = ""
    pause: float | None = None
    unsure: bool = False

    @property
    def retried(self) -> bool:
        """The same eviction may be granted later."""
        return self.kind in _RETRIED

    @property
    def final(self) -> bool:
        """To ask again would be of no use."""
        return self.kind in _FINAL


def accepted() -> Answer:
    """The eviction was granted."""
    return Answer(ACCEPTED)


def read_refusal(error: Refusal) -> Answer:
    """What an error in answer to an eviction with a UID as its precondition means."""
    causes = {str(cause.get("reason", "")): str(cause.get("message", "")) for cause in error.causes}
    return Answer(
        kind=_kind(error, causes),
        message=causes.get("DisruptionBudget") or error.msg,
        pause=error.retry_after,
        unsure=error.outcome_unknown,
    )


def _kind(error: Refusal, causes: Mapping[str, str]) -> str:
    if error.status == 404:
        return GONE
    if error.status == 409:
        # The precondition, or two writers of a budget's status at the same moment.
        return GONE if "UID in " in error.msg else TROUBLE
    if error.status == 429:
        return BUDGET if "DisruptionBudget" in causes else BUSY
    if error.status == 403 and "NamespaceTerminating" in causes:
        return NAMESPACE_ENDS
    if error.status == 500 and "more than one PodDisruptionBudget" in error.msg:
        return SEVERAL_BUDGETS
    if error.status is None or error.status >= 500 or error.status == 408:
        return TROUBLE
    return REFUSED

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going through all requests of a rollout, one cluster for each."""

from __future__ import annotations

import itertools
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Union

#: Clusters at a time in one test. A case waits for leases and for kubelets most of its time.
AT_ONCE = 6


#: Which write of a rollout a case is about: its number, or its kind, which means the first one of that kind.
Aim = Union[int, str]

WRITES = "POST|PUT|PATCH|DELETE"
#: Requests of control nodes; access reviews and dry runs change nothing.
CHANGING = r"^(?!/apis/authorization)(?!.*dryRun=)"
#: Where a resource stands in a path, and what of it.
_PATH = re.compile(r"/(?:api|apis/[^/]+)/v[^/]+(?:/namespaces/[^/]+(?=/))?/([^/]+)(?:/[^/]+(/[^/]+)?)?$")


@dataclass(frozen=True)
class Verdict:
    """What came of a case.

    :param reached: the rollout has a request of this number. The first case without one is the last.
    :param problems: what should not be.
    :param request: the one that had this number here, by method and path. Requests that are sent side by side come in any
        order, so another run may have another one there.
    :param wrote: of a rollout that went through without a fault, the kinds of its writes.
    """

    reached: bool
    problems: list[str] = field(default_factory=list)
    request: str = ""
    wrote: frozenset[str] = frozenset()

    def plus(self, problems: list[str]) -> Verdict:
        return replace(self, problems=self.problems + problems)


@dataclass(frozen=True)
class Enumerated:
    """All cases of a test's share, by the number of the request, or by its kind where no number came upon it."""

    verdicts: dict[Aim, Verdict]

    @property
    def reached(self) -> list[Aim]:
        """Requests that the rollout had."""
        return [aim for aim, verdict in self.verdicts.items() if verdict.reached]

    @property
    def problems(self) -> dict[Aim, list[str]]:
        return {aim: verdict.problems for aim, verdict in self.verdicts.items() if verdict.problems}

    @property
    def missed(self) -> set[str]:
        """Kinds of writes of a whole rollout that were never the one that was hit. Of a whole enumeration, and not of a share."""
        wrote = [verdict.wrote for verdict in self.verdicts.values() if not verdict.reached]
        assert any(wrote), "no rollout went through, so it is not known what one writes"
        return set().union(*wrote) - {kind_of(self.verdicts[aim].request) for aim in self.reached}

    def assert_well(self, least: int) -> None:
        """No case had a problem, and there were as many requests as a rollout has at least."""
        assert self.problems == {}, self.describe()
        assert len(self.reached) >= least

    def describe(self) -> str:
        """All problems, a line each."""
        return "\n".join(
            f"request {aim} ({self.verdicts[aim].request or 'there was none'}): {text}"
            for aim, texts in self.problems.items()
            for text in texts
        )


def kind_of(request: str) -> str:
    """What tells writes apart: verb, resource and subresource of "PATCH /api/v1/nodes/a?x=1"."""
    verb, _space, address = request.partition(" ")
    found = _PATH.fullmatch(address.partition("?")[0])
    assert found is not None, f"no kind of write is known for {request!r}"
    return f"{verb} {found[1]}{found[2] or ''}"


def requests_at(aim: Aim) -> dict[str, Any]:
    """What a fault has to look for."""
    if isinstance(aim, int):
        return {"method": WRITES, "path": CHANGING, "nth": aim}
    verb, _space, what = aim.partition(" ")
    resource, slash, subresource = what.partition("/")
    within = rf"/(?:api|apis/[^/]+)/v[^/]+(?:/namespaces/[^/]+)?/{resource}"
    rest = rf"/[^/?]+/{subresource}" if slash else "(?:/[^/?]+)?"
    return {"method": verb, "path": rf"{CHANGING}{within}{rest}(?:\?|$)", "nth": 1}


def enumerate_writes(case: Callable[[Aim], Verdict]) -> Enumerated:
    """A case for every write, and for every kind of write that none of these came upon.

    Writes that are sent side by side, and renewals of the lock, whose number depends on how busy the machine is, give other
    writes other numbers in each run. So numbers alone may pass one by.
    """
    found = enumerate_requests(case, 1, 1)
    found.verdicts.update({kind: case(kind) for kind in sorted(found.missed)})
    return found


def enumerate_requests(case: Callable[[Aim], Verdict], share: int, shares: int) -> Enumerated:
    """Every case of a share: ``share``, ``share + shares``, and so on up to the first that is not reached.

    Tests take shares, so that they can run at the same time.
    """
    guard = threading.Lock()
    numbers = itertools.count(share, shares)
    verdicts: dict[int, Verdict] = {}

    def work() -> None:
        while all(verdict.reached for verdict in list(verdicts.values())):
            with guard:
                number = next(numbers)
            verdicts[number] = case(number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for worker in [pool.submit(work) for _worker in range(AT_ONCE)]:
            worker.result()
    return Enumerated({number: verdicts[number] for number in sorted(verdicts)})

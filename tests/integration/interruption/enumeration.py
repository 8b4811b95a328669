# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going through all requests of a rollout, one cluster for each."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Callable, Iterator

#: Clusters at a time in one test. A case waits for leases and for kubelets most of its time.
AT_ONCE = 3


@dataclass(frozen=True)
class Verdict:
    """What came of a case.

    :param reached: the rollout has a request of this number. The first case without one is the last.
    :param problems: what should not be.
    """

    reached: bool
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Enumerated:
    """All cases of a test's share.

    :param reached: numbers of requests that the rollout had.
    :param problems: by number of the request.
    """

    reached: list[int]
    problems: dict[int, list[str]]


def enumerate_requests(case: Callable[[int], Verdict], share: int, shares: int) -> Enumerated:
    """Every case of a share: ``share``, ``share + shares``, and so on up to the first that is not reached.

    Tests take shares, so that they can run at the same time.
    """
    reached: list[int] = []
    problems: dict[int, list[str]] = {}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for numbers in _batches(share, shares):
            verdicts = list(pool.map(case, numbers))
            reached += [number for number, verdict in zip(numbers, verdicts) if verdict.reached]
            problems.update({number: found.problems for number, found in zip(numbers, verdicts) if found.problems})
            if not all(verdict.reached for verdict in verdicts):
                return Enumerated(reached, problems)
    raise AssertionError("unreachable: the numbers never end")


def _batches(share: int, shares: int) -> Iterator[list[int]]:
    for start in itertools.count(0, AT_ONCE):
        yield [share + (start + offset) * shares for offset in range(AT_ONCE)]

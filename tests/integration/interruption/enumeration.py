# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Going through all requests of a rollout, one cluster for each."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Callable

#: Clusters at a time in one test. A case waits for leases and for kubelets most of its time.
AT_ONCE = 6


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

    def describe(self) -> str:
        """All problems, a line each."""
        return "\n".join(f"request {number}: {text}" for number, texts in self.problems.items() for text in texts)


def enumerate_requests(case: Callable[[int], Verdict], share: int, shares: int) -> Enumerated:
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
    return Enumerated(
        reached=sorted(number for number, verdict in verdicts.items() if verdict.reached),
        problems={number: verdict.problems for number, verdict in sorted(verdicts.items()) if verdict.problems},
    )

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long it takes to empty a node: the floor, node_maintenance, kubernetes.core's k8s_drain, and kubectl drain.

Alone: .venv/bin/python -m benchmarks eviction. Prints a table and judges nothing.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from benchmarks.crowded_node import GPU_PODS, LATENCY_MS, OTHER_PODS, USER_AGENT, CrowdedNode, Pods
from benchmarks.drains import DrainError, Drains, versions

ROUNDS = 3
# A way that takes so long is not gone again: its seconds are told well enough by one round.
ONCE_SECONDS = 15.0
HEADERS = ["way", "wall s", "from-to", "x floor", "requests", "GPU pods gone", "others gone"]
ALL = f"all {GPU_PODS + OTHER_PODS} pods"
FEW = f"the {GPU_PODS} GPU pods alone"


@dataclass(frozen=True)
class Run:
    """What one emptying cost.

    :param seconds: by the clock.
    :param requests: that the API server answered, watches among them.
    :param gpu: pods with a GPU that were gone when it said that it was done, told by UID; others: those without.
    """

    seconds: float
    requests: int
    gpu: int
    others: int


def main(rounds: int = ROUNDS) -> None:
    """Print the table."""
    print(
        f"Emptying one node of {GPU_PODS} GPU pods beside {OTHER_PODS} others: {LATENCY_MS} ms latency a request, every pod takes 1 s "
        f"to end within its own grace.\n{rounds} rounds, each way once in each (what takes more than {ONCE_SECONDS:.0f} s only once); wall is the median. "
        f"{versions()}"
    )
    with tempfile.TemporaryDirectory(prefix="kubegpu-bench-") as scratch, CrowdedNode.start(
        Path(scratch) / "cluster"
    ) as node:
        drains = Drains(node.cluster, Path(scratch))
        for title, ways in ((FEW, drains.of_gpu_pods()), (ALL, drains.of_all_pods())):
            print(f"\n{title}\n{_table(node, ways, rounds)}", flush=True)
    print("\nFloor: all evictions of those pods at once, then the last of them gone; connections made beforehand.")


def _table(node: CrowdedNode, ways: dict[str, Callable[[Pods], float]], rounds: int) -> str:
    runs: dict[str, list[Run]] = {}
    failures: dict[str, str] = {}
    for _round in range(rounds):
        for name, drain in ways.items():
            if name in failures or (name in runs and runs[name][0].seconds > ONCE_SECONDS):
                continue
            try:
                runs.setdefault(name, []).append(_measure(node, drain))
            except DrainError as error:
                failures[name] = str(error)
    floor = statistics.median(run.seconds for run in next(iter(runs.values())))
    rows = [_row(name, found, floor) for name, found in runs.items() if found]
    notes = [f"{name}: {reason}" for name, reason in failures.items()]
    return "\n".join(
        [tabulate(rows, headers=HEADERS, disable_numparse=True, colalign=("left", *["right"] * 6)), *notes]
    )


def _measure(node: CrowdedNode, drain: Callable[[Pods], float]) -> Run:
    before = node.refill()
    last = node.cluster.position()
    seconds = drain(before)
    after = node.pods()
    requests = [entry for entry in node.cluster.audit(last) if USER_AGENT not in (entry["user_agent"] or "")]
    return Run(seconds, len(requests), len(before.gpu - after.gpu), len(before.other - after.other))


def _row(name: str, runs: list[Run], floor: float) -> list[str]:
    seconds = [run.seconds for run in runs]
    median = statistics.median(seconds)
    return [
        name,
        f"{median:.2f}",
        f"{min(seconds):.2f}-{max(seconds):.2f}",
        f"{median / floor:.2f}",
        _span(run.requests for run in runs),
        _span(run.gpu for run in runs),
        _span(run.others for run in runs),
    ]


def _span(counts: Iterable[int]) -> str:
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]}-{found[-1]}"

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What planning a change of MIG layouts costs, and what it spares. Prints a table and judges nothing.

Over all pairs of legal layouts of a card, each standing at the first places that brute force finds: how long a plan takes (CPU,
since machines are busy; the slowest pairs are planned again, and the best of five counts), and how many instances are destroyed
beside a tool that destroys all instances of a GPU whenever anything differs.

Run it from the checkout: PYTHONPATH=tests:.venv/collections .venv/bin/python -m benchmarks.bench_mig
"""

from __future__ import annotations

import time
from typing import Dict, List, NamedTuple, Tuple

from tabulate import tabulate
from unit.plugins.module_utils._mig import cards
from unit.plugins.module_utils._mig.brute_force import BruteForce

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Instance
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan

KEYS = (cards.A30, cards.A100, cards.RTX)
HEADERS = ["card", "layouts", "pairs", "mean ms", "worst ms", "destroyed", "if all were"]
SLOWEST = 50


class Pair(NamedTuple):
    """From what stands to what is wished."""

    seconds: float
    current: Tuple[Instance, ...]
    wanted: Dict[str, int]


def main() -> None:
    """Print the table."""
    rows = [_measure(key) for key in KEYS]
    print("plans for one GPU, all pairs of legal layouts\n")
    print(tabulate(rows, headers=HEADERS, disable_numparse=True, colalign=("left", *["right"] * 6)))


def _measure(key: str) -> List[str]:
    """One card's line."""
    brute, profiles = BruteForce(key), cards.model(key).profiles
    layouts = brute.by_bag()
    pairs, destroyed, all_of_them = [], 0, 0
    for places in layouts.values():
        current = cards.instances(key, places[0])
        for bag in layouts:
            wanted = dict(bag)
            seconds, found = _time(current, wanted, profiles)
            pairs.append(Pair(seconds, current, wanted))
            destroyed += len(found.destroy)
            all_of_them += 0 if found.is_empty else len(current)
    slowest = sorted(pairs, key=lambda pair: -pair.seconds)[:SLOWEST]
    worst = max(min(_time(pair.current, pair.wanted, profiles)[0] for _round in range(5)) for pair in slowest)
    mean = sum(pair.seconds for pair in pairs) / len(pairs)
    return [
        key,
        str(len(layouts)),
        str(len(pairs)),
        f"{mean * 1000:.2f}",
        f"{worst * 1000:.2f}",
        str(destroyed),
        str(all_of_them),
    ]


def _time(current: Tuple[Instance, ...], wanted: Dict[str, int], profiles: cards.Profiles) -> Tuple[float, GpuPlan]:
    """Seconds of the processor for one plan, and the plan."""
    began = time.process_time()
    found = plan(current, wanted, profiles)
    return time.process_time() - began, found


if __name__ == "__main__":
    main()

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints what planning, rolling out and emptying nodes, planning MIG layouts, sampling GPU memory and keeping container runtimes
ready cost. It measures and judges nothing: machines are noisy.

Arguments: the sizes of the fleets in nodes (default 1000 5000), ``eviction`` for the emptying of a node alone, ``mig`` for MIG
layouts alone, ``usage`` for the sampling alone, or ``runtime`` for container runtimes alone.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tabulate import tabulate

from benchmarks import bench_eviction, bench_mig, bench_mig_calls, bench_plan_core, bench_runtime, bench_usage
from benchmarks.fleet import Cost, Fleet, measure, reference_rollout

SIZES = (1000, 5000)
GPUS_PER_NODE = 8
HEADERS = ["run", "wall s", "peak MiB", "GET", "other", "MB sent", "tasks x hosts"]


def main() -> None:
    """Run what is wanted and print the tables."""
    alone = {"eviction": bench_eviction.main, "mig": _mig, "usage": bench_usage.main, "runtime": bench_runtime.main}
    if len(sys.argv) == 2 and sys.argv[1] in alone:
        alone[sys.argv[1]]()
        return
    sizes = tuple(int(argument) for argument in sys.argv[1:]) or SIZES
    bench_plan_core.main()
    sys.stdout.flush()
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory(prefix="kubegpu-bench-") as scratch:
        for size in sizes:
            with Fleet.start(size, GPUS_PER_NODE, Path(scratch) / str(size)) as fleet:
                rows.append(_row(f"plan, {size} nodes x {GPUS_PER_NODE} GPUs, all to change", measure("plan", fleet)))
                fleet.apply_plan()
                rows.append(_row(f"rollout with nothing to do, {size} nodes", measure("rollout", fleet)))
        first, second, writes = reference_rollout(Path(scratch) / "reference")
    rows.append(_row("rollout of the reference cluster, 2 nodes change", first))
    rows.append(_row("rollout of it with nothing to do", second))
    print(f"\n{tabulate(rows, headers=HEADERS, disable_numparse=True, colalign=('left', *['right'] * 6))}")
    print("\nWrites of the reference rollout by what they are for:")
    print(tabulate(sorted(writes.items()), headers=["request", "count"]))
    per_node = [count for request, count in writes.items() if request.startswith("PATCH nodes ")]
    print(
        f"\nk, writes for each changed node: {max(per_node)} (the rest does not grow with the nodes of a config)\n",
        flush=True,
    )
    bench_eviction.main()
    print(flush=True)
    _mig()
    print(flush=True)
    bench_usage.main()
    print(flush=True)
    bench_runtime.main()


def _mig() -> None:
    """Plans of layouts, and what a node's driver gets to do."""
    bench_mig.main()
    print(flush=True)
    bench_mig_calls.main()


def _row(name: str, cost: Cost) -> list[str]:
    """One line of the table."""
    return [
        name,
        f"{cost.wall:.1f}",
        str(cost.rss_mib),
        str(cost.reads),
        str(cost.writes),
        f"{cost.sent / 1e6:.1f}",
        str(cost.executed),
    ]


if __name__ == "__main__":
    main()

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many calls of NVML mig_config makes: where the layout is to be made, and where it stands already.

The simulated library counts them, so that what is counted is what a driver would get.
"""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import List, NamedTuple

from tabulate import tabulate

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_config import configure
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import MigRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml
from simulator.nvml.state import NodeGpus, install

NODES = (1, 8)
CARD, DEVICES = "H20", {"1g.12gb": 7}
HEADERS = ["node", "run", "NVML calls", "of them writes", "seconds"]
# What changes a card.
WRITES = ("nvmlDeviceSetMigMode", "Create", "Destroy")


class Calls(NamedTuple):
    """:param all: initialisation and shutdown among them."""

    all: int
    writes: int
    seconds: float


def main() -> None:
    """Print the table."""
    rows: List[List[str]] = []
    for gpus in NODES:
        node = f"{gpus} x {CARD}"
        for run, calls in zip(("mode off, 7 x 1g.12gb to make", "nothing to do"), measure(gpus)):
            rows.append([node, run, str(calls.all), str(calls.writes), f"{calls.seconds:.3f}"])
    print("NVML calls of mig_config\n")
    print(tabulate(rows, headers=HEADERS, disable_numparse=True, colalign=("left", "left", "right", "right", "right")))


def measure(gpus: int) -> List[Calls]:
    """Calls of a first run and of a second one that finds nothing to do.

    In a process of its own: pynvml keeps the first library that it has loaded.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_run_twice, (gpus,))


def _run_twice(gpus: int) -> List[Calls]:
    with tempfile.TemporaryDirectory(prefix="kubegpu-bench-") as scratch:
        node = Path(scratch)
        library = install(node)
        NodeGpus.of("node", [CARD] * gpus).write(node)
        return [_count(node, library) for _run in range(2)]


def _count(node: Path, library: Path) -> Calls:
    trace = node / "nvml.trace"
    trace.write_text("", encoding="utf-8")
    request = MigRequest(
        mig_devices=DEVICES,
        allocations=[],
        lock_path=str(node / "lock"),
        state_dir=str(node / "state"),
        ready_path=str(node / "ready"),
    )
    files = NodeFiles(str(node / "proc"), str(node / "kubelet"))
    began = time.monotonic()
    with open_nvml(str(library), None, files) as nvml:
        configure(request, nvml, files)
    seconds = time.monotonic() - began
    called = Counter(line.split()[0] for line in trace.read_text(encoding="utf-8").splitlines())
    writes = sum(count for name, count in called.items() if any(word in name for word in WRITES))
    return Calls(sum(called.values()), writes, seconds)


if __name__ == "__main__":
    main()

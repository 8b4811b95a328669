# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated GPUs for a test host: a directory to be copied to it, with NVML's library, nvidia-smi and their state.

python -m hosts.simulated_gpus --dir DIR --name NAME CARD... [--fault FUNCTION=ERROR] [--reset HOW] [--process GPU:PID:MIB]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from simulator.nvml.cards import CARDS
from simulator.nvml.state import NodeGpus, NvmlError, Process, install


def main(arguments: list[str]) -> int:
    """Write the directory anew; what the GPUs have become since, in mig.state, is not part of it."""
    parser = argparse.ArgumentParser(
        prog="python -m hosts.simulated_gpus", description="Simulated GPUs for a test host."
    )
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--name", required=True, help="name of the host, from which the GPUs' UUIDs follow")
    parser.add_argument("--fault", action="append", default=[], help="a function of NVML that fails, and how")
    parser.add_argument("--reset", choices=["nvml", "command", "reboot"], default="command", help="what resets a GPU")
    parser.add_argument("--process", action="append", default=[], help="one of the host that holds memory of a GPU")
    parser.add_argument("cards", nargs="+", choices=sorted(CARDS))
    options = parser.parse_args(arguments)
    gpus = NodeGpus.of(options.name, options.cards)
    gpus.faults = {
        function: NvmlError[error] for function, _equals, error in (one.partition("=") for one in options.fault)
    }
    gpus.reset = options.reset
    for gpu, pid, used_mib in (map(int, one.split(":")) for one in options.process):
        gpus.gpus[gpu].processes.append(Process(pid, used_mib))
    install(options.dir)
    gpus.write(options.dir)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

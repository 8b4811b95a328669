# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients use NVML from several threads while the state changes under them."""

from __future__ import annotations

import threading
from typing import Any

from simulator.nvml.state import Process

MIB = 1024**2


def test_threads_see_whole_states_only(node: Any) -> None:
    handle, gpu = node.handle(), node.gpus.gpus[0]
    stop = threading.Event()
    wrong: list[Any] = []

    def read() -> None:
        while not stop.is_set():
            memory = node.nvml.nvmlDeviceGetMemoryInfo(handle, node.nvml.nvmlMemory_v2)
            if memory.used % (100 * MIB) or memory.used + memory.free + memory.reserved != memory.total:
                wrong.append(str(memory))
            processes = node.nvml.nvmlDeviceGetComputeRunningProcesses(handle)
            if any(p.usedGpuMemory != 100 * MIB for p in processes):
                wrong.append([(p.pid, p.usedGpuMemory) for p in processes])

    readers = [threading.Thread(target=read) for _unused in range(4)]
    for reader in readers:
        reader.start()
    for number in range(200):
        gpu.processes = [Process(pid, 100) for pid in range(1, number % 6 + 1)]
        node.write()
    stop.set()
    for reader in readers:
        reader.join(timeout=10)
    assert wrong == []

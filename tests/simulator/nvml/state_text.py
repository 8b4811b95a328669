# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that the library reads: line-based, key=value, a "[gpu]" line before each GPU; it refuses keys it does not know."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Iterator, Mapping

from simulator.nvml.drivers import cuda_driver_version, lists_profiles_without_mig

if TYPE_CHECKING:
    from simulator.nvml.state import Gpu, NodeGpus

# Among faults: the caller is killed in place of the call.
KILL = -9

# What makes a pending MIG mode current where a reset is needed, as state.h numbers it.
RESETS = ("nvml", "command", "reboot")

# MAX_GPUS, MAX_PROCESSES and MAX_HOLDERS of state.h.
MAX_GPUS = 32
MAX_PROCESSES = 256
MAX_HOLDERS = 64

# In the order in which the library reads them.
_PROFILE_NUMBERS = [
    "enum",
    "id",
    "compute_slices",
    "sm",
    "memory_mib",
    "max_instances",
    "copy_engines",
    "decoders",
    "jpeg",
    "ofa",
    "size",
]


def lines(node: NodeGpus) -> Iterator[str]:
    """The state as the library reads it."""
    yield f"driver_version={node.driver_version}"
    cuda = cuda_driver_version(node.driver_version)
    yield f"cuda_driver_version={cuda}"
    yield f"nvml_version={cuda // 1000}.{node.driver_version}"
    yield f"privileged={int(node.privileged)}"
    yield f"mig_independent={int(lists_profiles_without_mig(node.driver_version))}"
    yield f"passthrough={int(node.passthrough)}"
    if node.reset not in RESETS:
        raise ValueError(f"reset {node.reset!r} is none of {', '.join(RESETS)}")
    yield f"reset={RESETS.index(node.reset)}"
    if node.fault is not None:
        yield f"init_error={int(node.fault)}"
    yield from _fault_lines(node.faults)
    yield from (f"holder={pid}" for pid in node.holders)
    if [gpu.index for gpu in node.gpus] != list(range(len(node.gpus))):
        raise ValueError(f"the GPUs are out of order: {[gpu.index for gpu in node.gpus]}; NVML numbers them 0, 1, ...")
    if len(node.gpus) > MAX_GPUS or any(len(gpu.processes) > MAX_PROCESSES for gpu in node.gpus):
        raise ValueError(f"the library holds {MAX_GPUS} GPUs with {MAX_PROCESSES} processes each, not more")
    if len(node.holders) > MAX_HOLDERS:
        raise ValueError(f"the library holds {MAX_HOLDERS} holders, not {len(node.holders)}")
    for gpu in node.gpus:
        yield "[gpu]"
        yield from _gpu_lines(gpu)


def _gpu_lines(gpu: Gpu) -> Iterator[str]:
    yield from _identity_lines(gpu)
    yield from _reading_lines(gpu)
    if gpu.card.mig:
        yield from _mig_lines(gpu)
    for process in gpu.processes:
        if process.type not in ("compute", "graphics", "mps"):
            raise ValueError(
                f"process {process.pid} on GPU {gpu.index}: type {process.type!r} is none of compute, graphics, mps"
            )
        used = "-" if process.used_mib is None else process.used_mib
        on_device = "" if process.gpu_instance is None else f" {process.gpu_instance} {process.compute_instance or 0}"
        yield f"process={process.type} {process.pid} {used}{on_device}"
    if gpu.lost:
        yield "lost=1"
    yield from _fault_lines(gpu.faults)


def _identity_lines(gpu: Gpu) -> Iterator[str]:
    card = gpu.card
    major, minor = card.compute_capability.split(".")
    yield f"name={card.product}"
    yield f"uuid={gpu.uuid}"
    yield f"serial={serial(gpu.uuid)}"
    yield f"bus_id={gpu.pci_bus_id}"
    yield f"minor_number={gpu.index}"
    yield f"nvlink={int('SXM' in card.product if gpu.nvlink is None else gpu.nvlink)}"
    yield f"brand={card.brand}"
    yield f"architecture={card.architecture_number}"
    yield f"compute_major={major}"
    yield f"compute_minor={minor}"
    yield f"pci_device_id={card.pci_device_id}"
    yield f"pci_subsystem_id={card.pci_subsystem_id}"
    yield f"cores={card.cores}"
    yield f"multiprocessors={card.sm}"
    yield f"bus_width={card.bus_width_bits}"
    yield f"pcie_generation={card.pcie_generation}"
    yield f"memory_total_mib={card.memory_total_mib}"
    yield f"memory_reserved_mib={card.memory_reserved_mib}"
    yield f"bar1_total_mib={card.bar1_total_mib}"
    for name in ("default", "min", "max"):
        yield f"power_{name}_mw={card.power_limit_w[name] * 1000}"
    for name, clock in card.clocks_max_mhz.items():
        yield f"clock_{name}_max={clock}"


def _reading_lines(gpu: Gpu) -> Iterator[str]:
    card = gpu.card
    busy = bool(gpu.processes)
    # A card with a process on it sits at its top clocks and somewhat above its idle power; an idle one does not.
    idle, most = card.power_limit_w["idle"], card.power_limit_w["default"]
    draw = idle + (most - idle) * gpu.utilization_percent // 100
    yield f"memory_other_mib={gpu.other_used_mib}"
    yield f"utilization_gpu={gpu.utilization_percent}"
    yield f"utilization_memory={gpu.utilization_percent // 2}"
    yield f"temperature={gpu.temperature_c}"
    yield f"power_draw_mw={min(draw * 1000 + (7500 if busy else 0), most * 1000)}"
    yield f"clock_graphics={card.clocks_max_mhz['graphics'] if busy else 210}"
    yield f"clock_memory={card.clocks_max_mhz['memory'] if busy else 405}"
    yield f"performance_state={0 if busy else 8}"
    yield f"persistence_mode={int(gpu.persistence_mode)}"
    yield f"compute_mode={gpu.compute_mode}"
    if gpu.xid:
        yield f"xid={gpu.xid}"
        yield f"xid_count={gpu.xid_count}"


def _mig_lines(gpu: Gpu) -> Iterator[str]:
    mig = gpu.card.mig
    assert mig is not None
    pending = gpu.mig_enabled if gpu.mig_pending is None else gpu.mig_pending
    yield "mig_capable=1"
    yield f"mig_mode={int(gpu.mig_enabled)}"
    yield f"mig_pending={int(pending)}"
    yield f"mig_max_devices={mig.compute_slices}"
    yield f"mig_units={mig.memory_slices}"
    for p in mig.profiles:
        numbers = " ".join(str(getattr(p, name)) for name in _PROFILE_NUMBERS)
        yield f"profile={p.name} {numbers} {','.join(map(str, p.starts))}"


def _fault_lines(faults: Mapping[str, int]) -> Iterator[str]:
    for function, error in faults.items():
        yield f"fault={function} {'KILL' if error == KILL else int(error)}"


def serial(gpu: str) -> str:
    """Thirteen digits, as on a data-centre card, that follow from the GPU's UUID."""
    return f"1{int(hashlib.sha256(gpu.encode()).hexdigest(), 16) % 10**12:012d}"

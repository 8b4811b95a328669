# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of an NVML in memory: what is told, what is not, and how often what is asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Dict, List

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.attribution import Attributed
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    FUNCTION_NOT_FOUND,
    GPU_IS_LOST,
    NO_PERMISSION,
    NOT_FOUND,
    NOT_SUPPORTED,
    NvmlError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import MIB, Memory, MigDevice, Process
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.sampler import Sampler

pytestmark = pytest.mark.node_side


@dataclass
class FakeGpu:
    """A card that answers from its fields; ``errors`` maps a method's name to the code that it raises instead."""

    processes_by_kind: Dict[str, List[Process]] = field(default_factory=dict)
    devices: List[MigDevice] = field(default_factory=list)
    errors: Dict[str, int] = field(default_factory=dict)
    asked: Counter = field(default_factory=Counter)

    def _answer(self, method: str, value: Any) -> Any:
        self.asked[method] += 1
        if method in self.errors:
            raise NvmlError(self.errors[method], f"error of {method}")
        return value

    def uuid(self) -> Any:
        return self._answer("uuid", "GPU-0")

    def product(self) -> Any:
        return self._answer("product", "NVIDIA L20")

    def memory(self) -> Any:
        return self._answer("memory", Memory(1000 * MIB, 100 * MIB + 1, 800 * MIB - 1, 100 * MIB - 1))

    def utilization(self) -> Any:
        return self._answer("utilization", 37)

    def processes(self, kind: str) -> Any:
        return self._answer(f"processes {kind}", self.processes_by_kind.get(kind, []))

    def mig_mode(self) -> Any:
        return self._answer("mig_mode", (1, 1) if self.devices else (0, 0))

    def max_mig_devices(self) -> Any:
        return self._answer("max_mig_devices", 7)

    def mig_device(self, number: int) -> Any:
        if number >= len(self.devices):
            raise NvmlError(NOT_FOUND, "Not Found")
        return self._answer("mig_device", self.devices[number])


@dataclass
class FakeNvml:
    """An NVML with these cards."""

    gpus: List[FakeGpu]

    def gpu_count(self) -> int:
        return len(self.gpus)

    def gpu(self, index: int) -> Any:
        return self.gpus[index]._answer("gpu", self.gpus[index])


@dataclass
class Owners:
    """Everybody is in the container that is named as the pid."""

    def look_up(self, pid: int) -> Attributed:
        return Attributed(pid * 2, f"pod-{pid}", f"container-{pid}", "python3", "container")


def sampler_of(*gpus: FakeGpu) -> Sampler:
    return Sampler(FakeNvml(list(gpus)), Owners())  # type: ignore[arg-type]  # a card of which all else is left out


def test_take_rounds_use_up_and_what_is_free_down() -> None:
    gpu = FakeGpu({"Compute": [Process(7, 10 * MIB + 1)]})
    sample = sampler_of(gpu).take(5.0)
    (use,) = sample.gpus
    assert (sample.at, use.uuid, use.used_mib, use.free_mib, use.utilization_percent) == (5.0, "GPU-0", 101, 799, 37)
    (process,) = sample.processes
    assert (process.pid, process.start, process.used_mib, process.container_id) == (7, 14, 11, "container-7")


def test_take_asks_no_more_than_it_has_to() -> None:
    gpu = FakeGpu()
    sampler = sampler_of(gpu)
    gpu.asked.clear()
    sampler.take(0.0)
    assert dict(gpu.asked) == {
        "memory": 1,
        "utilization": 1,
        **{f"processes {kind}": 1 for kind in ("Compute", "Graphics", "MPSCompute")},
    }


def test_take_tells_each_kind_of_context() -> None:
    one = Process(7, MIB)
    gpu = FakeGpu({"Compute": [one], "Graphics": [one], "MPSCompute": [Process(8, None)]})
    told = [(process.kind, process.pid, process.used_mib) for process in sampler_of(gpu).take(0.0).processes]
    assert told == [("compute", 7, 1), ("graphics", 7, 1), ("mps", 8, None)]


@pytest.mark.parametrize("code", [NOT_SUPPORTED, FUNCTION_NOT_FOUND])
def test_take_memory_that_is_not_told_is_none(code: int) -> None:
    sampler = sampler_of(FakeGpu(errors={"memory": code, "utilization": code}))
    (use,) = sampler.take(0.0).gpus
    assert (use.state, use.used_mib, use.free_mib, use.utilization_percent) == ("ok", None, None, None)
    assert sampler.notes() == ["NVML does not tell the memory in use of GPU 0."]
    assert sampler.describe()[0]["memory_total_mib"] is None


def test_take_says_once_that_processes_are_not_told() -> None:
    sampler = sampler_of(FakeGpu(errors={"processes Compute": NOT_SUPPORTED}))
    for at in range(5):
        sampler.take(float(at))
    (note,) = sampler.notes()
    assert note.startswith("NVML does not tell the processes of GPU 0")


@pytest.mark.parametrize("method", ["memory", "processes Graphics", "utilization"])
def test_take_card_that_fails_fails_alone(method: str) -> None:
    bad, good = FakeGpu(), FakeGpu({"Compute": [Process(7, MIB)]})
    sampler = sampler_of(bad, good)
    bad.errors[method] = GPU_IS_LOST
    sample = sampler.take(0.0)
    assert [(use.state, use.used_mib) for use in sample.gpus] == [("lost", None), ("ok", 101)]
    assert (sample.gpus[0].reason or "").startswith("Reading GPU 0 failed")
    assert [process.pid for process in sample.processes] == [7]


def test_take_leaves_out_a_card_that_never_said_which_one_it_is() -> None:
    sampler = sampler_of(FakeGpu(errors={"gpu": GPU_IS_LOST}), FakeGpu(errors={"uuid": NO_PERMISSION}), FakeGpu())
    assert [use.uuid for use in sampler.take(0.0).gpus] == ["GPU-0"]
    told = [(card["index"], card["uuid"], card["state"]) for card in sampler.describe()]
    assert told == [(0, None, "lost"), (1, None, "no_permission"), (2, "GPU-0", "ok")]


def test_take_card_whose_model_cannot_be_read_is_sampled_all_the_same() -> None:
    sampler = sampler_of(FakeGpu(errors={"product": GPU_IS_LOST}))
    assert [use.used_mib for use in sampler.take(0.0).gpus] == [101]


def test_take_finds_mig_devices_and_looks_seldom_for_one_that_is_not_listed() -> None:
    gpu = FakeGpu(
        {"Compute": [Process(7, MIB, 3, 0), Process(8, MIB, 5, 0)]}, [MigDevice("MIG-3", "L MIG 1g", MIB, 3, 0)]
    )
    sampler = sampler_of(gpu)
    gpu.asked.clear()
    for at in range(30):
        told = [process.mig_device for process in sampler.take(float(at)).processes]
        assert told == ["MIG-3", None]
    assert gpu.asked["mig_device"] == 1
    assert sampler.notes() == ["GPU 0 has processes on a MIG device that NVML does not list."]
    gpu.devices.append(MigDevice("MIG-5", "L MIG 1g", MIB, 5, 0))
    for at in range(30, 62):
        sample = sampler.take(float(at))
    assert [process.mig_device for process in sample.processes] == ["MIG-3", "MIG-5"]
    assert [device["uuid"] for device in sampler.describe()[0]["mig_devices"]] == ["MIG-3", "MIG-5"]


def test_describe_lists_mig_devices_that_nobody_uses() -> None:
    sampler = sampler_of(FakeGpu(devices=[MigDevice("MIG-3", "L MIG 1g", MIB, 3, 0)]))
    sampler.take(0.0)
    assert [device["uuid"] for device in sampler.describe()[0]["mig_devices"]] == ["MIG-3"]

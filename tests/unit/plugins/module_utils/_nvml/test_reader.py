# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of GPUs, read from an NVML in memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    FUNCTION_NOT_FOUND,
    GPU_IS_LOST,
    NO_PERMISSION,
    NOT_FOUND,
    NOT_SUPPORTED,
    RESET_REQUIRED,
    NvmlError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import (
    MIB,
    ComputeProfile,
    Instances,
    Memory,
    MigDevice,
    PlacedCompute,
    PlacedInstance,
    Process,
    Profile,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.reader import read_gpus, read_versions

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
CONTAINER = "0123456789abcdef" * 4
L20_MEMORY = Memory(46068 * MIB, 4621 * MIB, 40844 * MIB, 603 * MIB)


@dataclass
class FakeGpu:
    """A card that answers from its fields; ``errors`` maps a method's name to the code that it raises instead."""

    name: str = "NVIDIA L20"
    memory_info: Memory = L20_MEMORY
    process_lists: Dict[str, List[Process]] = field(default_factory=dict)
    mig: Optional[Tuple[int, int]] = None
    profiles: Dict[int, Profile] = field(default_factory=dict)
    devices: Dict[int, MigDevice] = field(default_factory=dict)
    instances: Instances = field(default_factory=lambda: Instances((), {}))
    errors: Dict[str, int] = field(default_factory=dict)

    def _answer(self, method: str, value: Any) -> Any:
        if method in self.errors:
            raise NvmlError(self.errors[method], f"error of {method}")
        return value

    def uuid(self) -> str:
        return self._answer("uuid", "GPU-1")

    def pci_bus_id(self) -> str:
        return self._answer("pci_bus_id", "00000000:3B:00.0")

    def pci_ids(self) -> Tuple[int, Optional[int]]:
        return self._answer("pci_ids", (0x26BA10DE, 0x194F10DE))

    def product(self) -> str:
        return self._answer("product", self.name)

    def architecture(self) -> int:
        return self._answer("architecture", 8)

    def compute_capability(self) -> Tuple[int, int]:
        return self._answer("compute_capability", (8, 9))

    def memory(self) -> Memory:
        return self._answer("memory", self.memory_info)

    def compute_mode(self) -> int:
        return self._answer("compute_mode", 0)

    def processes(self, kind: str) -> List[Process]:
        return self._answer(kind, self.process_lists.get(kind, []))

    def mig_mode(self) -> Tuple[int, int]:
        if self.mig is None:
            raise NvmlError(NOT_SUPPORTED, "Not Supported")
        return self.mig

    def max_mig_devices(self) -> int:
        return self._answer("max_mig_devices", 7)

    def profile_count(self) -> int:
        return 18

    def mig_profile(self, number: int) -> Profile:
        if number not in self.profiles:
            # an old library does not know the last numbers
            raise NvmlError(2 if number > 15 else NOT_SUPPORTED, "no such profile")
        return self.profiles[number]

    def mig_device(self, number: int) -> MigDevice:
        if number not in self.devices:
            raise NvmlError(NOT_FOUND, "Not Found")
        return self.devices[number]

    def mig_instances(self, profiles: Sequence[Profile]) -> Instances:
        return self._answer("mig_instances", self.instances)


@dataclass
class FakeNvml:
    """A driver with cards; one that is an error is refused when it is opened."""

    gpus: List[Any] = field(default_factory=list)
    cuda: int = 12080

    def driver_version(self) -> str:
        return "570.158.01"

    def cuda_version(self) -> int:
        return self.cuda

    def nvml_version(self) -> str:
        return "12.570.158.01"

    def gpu_count(self) -> int:
        return len(self.gpus)

    def gpu(self, index: int) -> Any:
        if isinstance(self.gpus[index], NvmlError):
            raise self.gpus[index]
        return self.gpus[index]


NO_FILES = NodeFiles("/nonexistent", "/nonexistent")


def read_one(gpu: Any, files: NodeFiles = NO_FILES) -> Dict[str, Any]:
    (facts,) = read_gpus(FakeNvml([gpu]), files)
    return facts


@pytest.mark.parametrize(("number", "text"), [(12080, "12.8"), (13000, "13.0"), (11040, "11.4")])
def test_read_versions_spells_cuda_as_people_do(number: int, text: str) -> None:
    versions = read_versions(FakeNvml(cuda=number))
    assert versions == {"driver_version": "570.158.01", "cuda_version": text, "nvml_version": "12.570.158.01"}


def test_read_gpus_of_a_card_without_mig() -> None:
    facts = read_one(FakeGpu())
    assert facts == {
        "index": 0,
        "uuid": "GPU-1",
        "pci_bus_id": "00000000:3B:00.0",
        "pci_device_id": "0x26BA10DE",
        "pci_subsystem_id": "0x194F10DE",
        "product": "NVIDIA L20",
        "architecture": "Ada Lovelace",
        "compute_capability": "8.9",
        "memory_total_mib": 46068,
        "memory_reserved_mib": 603,
        "memory_used_mib": 4621,
        "memory_free_mib": 40844,
        "memory_reason": None,
        "compute_mode": "default",
        "state": "ok",
        "reason": None,
        "processes": [],
        "mig": {
            "capable": False,
            "mode": None,
            "pending": None,
            "max_devices": 0,
            "profiles": [],
            "instances": [],
            "instances_reason": None,
            "devices": [],
        },
    }
    assert json.loads(json.dumps(facts)) == facts


def test_read_gpus_rounds_against_the_operator() -> None:
    half = MIB // 2
    facts = read_one(FakeGpu(memory_info=Memory(100 * MIB + half, 10 * MIB + 1, 80 * MIB + half, 9 * MIB + 1)))
    sizes = [facts[f"memory_{name}_mib"] for name in ("total", "used", "free", "reserved")]
    assert sizes == [100, 11, 80, 10]


def test_read_gpus_of_an_old_driver_has_nulls_where_it_cannot_tell() -> None:
    gpu = FakeGpu(
        memory_info=Memory(100 * MIB, 10 * MIB, 90 * MIB),
        errors={"architecture": FUNCTION_NOT_FOUND, "compute_mode": NOT_SUPPORTED, "MPSCompute": FUNCTION_NOT_FOUND},
    )
    facts = read_one(gpu)
    assert facts["state"] == "ok"
    assert [facts["architecture"], facts["compute_mode"], facts["memory_reserved_mib"]] == [None, None, None]


def run_process(
    root: Path, pid: int, *, cgroup: str = f"0::/kubepods/pod{UID}/{CONTAINER}", comm: str = "python3"
) -> None:
    """A process as procfs shows it."""
    (root / str(pid)).mkdir()
    fields = ["S", "1", *["0"] * 17, "1700", *["0"] * 30]
    (root / str(pid) / "stat").write_text(f"{pid} ({comm}) {' '.join(fields)}\n", encoding="utf-8")
    (root / str(pid) / "cgroup").write_text(f"{cgroup}\n", encoding="utf-8")


def test_read_gpus_relates_processes_to_pods(tmp_path: Path) -> None:
    run_process(tmp_path, 42)
    (tmp_path / f"log/pods/mlapps_ner-7d9f-x2k4q_{UID}/server").mkdir(parents=True)
    (tmp_path / "log/containers").mkdir()
    (tmp_path / f"log/containers/ner-7d9f-x2k4q_mlapps_server-{CONTAINER}.log").symlink_to("/elsewhere")
    gpu = FakeGpu(process_lists={"Compute": [Process(42, 4621 * MIB)]})
    assert read_one(gpu, NodeFiles(str(tmp_path), log_root=str(tmp_path / "log")))["processes"] == [
        {
            "pid": 42,
            "started": 1700,
            "type": "compute",
            "mps_role": None,
            "used_memory_mib": 4621,
            "attribution": "container",
            "pod_uid": UID,
            "container_id": CONTAINER,
            "namespace": "mlapps",
            "pod": "ner-7d9f-x2k4q",
            "container": "server",
            "command": "python3",
            "gpu_instance_id": None,
            "compute_instance_id": None,
            "mig_device": None,
        }
    ]


def test_read_gpus_says_what_a_process_outside_of_containers_is(tmp_path: Path) -> None:
    run_process(tmp_path, 7, cgroup="0::/system.slice/nvidia-dcgm.service", comm="nv-hostengine")
    run_process(tmp_path, 8, cgroup=f"0::/kubepods/pod{UID}/newruntime:{CONTAINER}.box")
    gpu = FakeGpu(process_lists={"Compute": [Process(pid, 1 * MIB) for pid in (7, 8, 9)]})
    found = read_one(gpu, NodeFiles(str(tmp_path)))["processes"]
    told = [(one["pid"], one["attribution"], one["pod_uid"], one["container_id"], one["command"]) for one in found]
    assert told == [
        (7, "host", None, None, "nv-hostengine"),
        (8, "runtime_unknown", UID, None, "python3"),
        (9, "ended", None, None, None),
    ]


def test_read_gpus_tells_the_server_of_mps_from_its_clients(tmp_path: Path) -> None:
    # the kernel keeps 15 characters of nvidia-cuda-mps-server
    run_process(tmp_path, 7, comm="nvidia-cuda-mps")
    run_process(tmp_path, 8)
    run_process(tmp_path, 9)
    lists = {"Compute": [Process(pid, 1 * MIB) for pid in (7, 8, 9)], "MPSCompute": [Process(8, 5 * MIB)]}
    found = read_one(FakeGpu(process_lists=lists), NodeFiles(str(tmp_path)))["processes"]
    assert [(one["pid"], one["type"], one["mps_role"]) for one in found] == [
        (7, "compute", "server"),
        (8, "mps", "client"),
        (9, "compute", None),
    ]


def test_read_gpus_names_the_mig_device_of_a_process(tmp_path: Path) -> None:
    run_process(tmp_path, 42)
    devices = {number: MigDevice(f"MIG-{number}", "NVIDIA H20 MIG 1g.12gb", MIB, 7 + number, 0) for number in (0, 1)}
    lists = {"Compute": [Process(42, 3 * MIB, 8, 0), Process(42, 5 * MIB, 7, 0), Process(42, 1 * MIB, 9, 0)]}
    found = read_one(FakeGpu(mig=(1, 1), devices=devices, process_lists=lists), NodeFiles(str(tmp_path)))["processes"]
    assert [(one["mig_device"], one["used_memory_mib"], one["pod_uid"]) for one in found] == [
        ("MIG-0", 5, UID),
        ("MIG-1", 3, UID),
        (None, 1, UID),
    ]


SILENT = {"Compute": [Process(7, 5 * MIB), Process(8, None)]}
ONE_SILENT = "NVML does not tell the memory of 1 of 2 processes on this GPU."


@pytest.mark.parametrize(
    ("user", "kernel", "cause"),
    [
        pytest.param(0, "6.8.0-45-generic", "So it is in virtual machines with a vGPU, and with conf", id="driver"),
        pytest.param(1000, "6.8.0-45-generic", "This ran as uid 1000, and of MIG devices", id="not-root"),
        pytest.param(0, "5.15.153.1-microsoft-standard-WSL2", "This is WSL, where Windows keeps the memory", id="wsl"),
    ],
)
def test_read_gpus_says_why_the_memory_of_processes_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, kernel: str, cause: str
) -> None:
    monkeypatch.setattr("os.geteuid", lambda: user)
    (tmp_path / "sys/kernel").mkdir(parents=True)
    (tmp_path / "sys/kernel/osrelease").write_text(f"{kernel}\n", encoding="utf-8")
    facts = read_one(FakeGpu(process_lists=SILENT), NodeFiles(str(tmp_path)))
    assert [one["used_memory_mib"] for one in facts["processes"]] == [5, None]
    assert facts["memory_reason"].startswith(f"{ONE_SILENT} {cause}")


def test_read_gpus_of_a_card_whose_memory_is_the_hosts_says_so() -> None:
    facts = read_one(
        FakeGpu(name="NVIDIA GB10", errors={"memory": NOT_SUPPORTED}, process_lists={"Compute": [Process(7, MIB)]})
    )
    assert (facts["state"], facts["memory_total_mib"], facts["memory_used_mib"]) == ("ok", None, None)
    assert [one["used_memory_mib"] for one in facts["processes"]] == [1]
    assert facts["memory_reason"] == (
        "NVML does not tell the memory of this GPU. So it is on those that have none of their own and share the host's."
    )


def test_read_gpus_that_do_not_tell_their_processes_are_not_taken_for_idle() -> None:
    facts = read_one(FakeGpu(errors=dict.fromkeys(("Compute", "Graphics", "MPSCompute"), NOT_SUPPORTED)))
    assert (facts["processes"], facts["memory_used_mib"]) == ([], 4621)
    assert facts["memory_reason"].startswith("NVML does not tell which processes run on this GPU")


def test_read_gpus_lists_a_process_once_by_its_most_telling_type() -> None:
    lists = {
        "Graphics": [Process(7, 1 * MIB), Process(9, 1 * MIB)],
        "Compute": [Process(8, None), Process(9, 2 * MIB)],
        "MPSCompute": [Process(8, 5 * MIB)],
    }
    found = [(p["pid"], p["type"], p["used_memory_mib"]) for p in read_one(FakeGpu(process_lists=lists))["processes"]]
    assert found == [(7, "graphics", 1), (8, "mps", 5), (9, "compute", 2)]


def test_read_gpus_keeps_one_entry_for_each_mig_instance_of_a_process() -> None:
    lists = {"Compute": [Process(8, 1 * MIB, 2, 0), Process(8, 3 * MIB, 1, 0)]}
    found = [(p["gpu_instance_id"], p["used_memory_mib"]) for p in read_one(FakeGpu(process_lists=lists))["processes"]]
    assert found == [(1, 3), (2, 1)]


def test_read_gpus_process_memory_unknown_is_null() -> None:
    (process,) = read_one(FakeGpu(process_lists={"Compute": [Process(8, None)]}))["processes"]
    assert process["used_memory_mib"] is None


def test_read_gpus_lost_gpu_takes_nothing_from_the_others() -> None:
    lost, other = read_gpus(FakeNvml([NvmlError(GPU_IS_LOST, "GPU is lost"), FakeGpu()]), NO_FILES)
    assert lost["state"] == "lost"
    assert lost["reason"].startswith("Reading GPU 0 failed: GPU is lost (NVML error 15).")
    assert {value for key, value in lost.items() if key not in ("index", "state", "reason")} == {None}
    assert (other["index"], other["state"], other["memory_total_mib"]) == (1, "ok", 46068)


@pytest.mark.parametrize(
    ("code", "state"),
    [(GPU_IS_LOST, "lost"), (RESET_REQUIRED, "reset_required"), (NO_PERMISSION, "no_permission"), (999, "unknown")],
)
def test_read_gpus_gpu_that_fails_halfway_keeps_its_identity(code: int, state: str) -> None:
    facts = read_one(FakeGpu(errors={"memory": code}))
    assert (facts["state"], facts["uuid"], facts["product"]) == (state, "GPU-1", "NVIDIA L20")
    assert (facts["memory_total_mib"], facts["processes"], facts["mig"]) == (None, None, None)


H20_1G = Profile(id=19, name="1g.12gb", memory_mib=11008, max_instances=7, slices=1, placements=((0, 1), (1, 1)))


def test_read_gpus_mig_capable_card_lists_its_profiles() -> None:
    mig = read_one(FakeGpu(mig=(0, 1), profiles={0: H20_1G}))["mig"]
    assert mig == {
        "capable": True,
        "mode": "disabled",
        "pending": "enabled",
        "max_devices": 7,
        "profiles": [
            {
                "name": "1g.12gb",
                "id": 19,
                "memory_mib": 11008,
                "max_instances": 7,
                "compute_slices": 1,
                "placements": [{"start": 0, "size": 1}, {"start": 1, "size": 1}],
                "compute_profiles": [],
            }
        ],
        "instances": [],
        "instances_reason": None,
        "devices": [],
    }


def test_read_gpus_lists_instances_without_compute_instances_and_what_fits_into_those_that_exist() -> None:
    placed = (
        PlacedInstance(9, 19, 0, 1),
        PlacedInstance(2, 19, 1, 1, (PlacedCompute(0, 1, 0),)),
        PlacedInstance(5, 77, 4, 4),
    )
    told = {19: (ComputeProfile(0, 1, 1, (0,)), ComputeProfile(7, 1, 1, (0,)), ComputeProfile(9, 2, 1))}
    mig = read_one(FakeGpu(mig=(1, 1), profiles={0: H20_1G}, instances=Instances(placed, told)))["mig"]
    compute = [{"id": 0, "slices": 1, "start": 0}]
    assert mig["instances"] == [
        {"id": 9, "profile": "1g.12gb", "profile_id": 19, "start": 0, "size": 1, "compute": []},
        {"id": 2, "profile": "1g.12gb", "profile_id": 19, "start": 1, "size": 1, "compute": compute},
        {"id": 5, "profile": None, "profile_id": 77, "start": 4, "size": 4, "compute": []},
    ]
    assert mig["profiles"][0]["compute_profiles"] == [{"slices": 1, "starts": [0]}]


def test_read_gpus_says_why_instances_are_not_known() -> None:
    facts = read_one(FakeGpu(mig=(1, 1), errors={"mig_instances": NO_PERMISSION}))
    assert (facts["state"], facts["mig"]["instances"]) == ("ok", None)
    assert facts["mig"]["instances_reason"].endswith("It tells them to root only: run with become.")


def test_read_gpus_mig_devices_may_have_gaps_in_their_numbers() -> None:
    devices = {
        0: MigDevice("MIG-a", "NVIDIA H20 MIG 1g.12gb", 11008 * MIB, 7, 0),
        5: MigDevice("MIG-b", "NVIDIA H20 MIG 1g.12gb", 11008 * MIB, 9, 0),
    }
    mig = read_one(FakeGpu(mig=(1, 1), devices=devices))["mig"]
    assert [(d["uuid"], d["profile"], d["gpu_instance_id"]) for d in mig["devices"]] == [
        ("MIG-a", "1g.12gb", 7),
        ("MIG-b", "1g.12gb", 9),
    ]

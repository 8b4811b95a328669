# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sampling makes of what happens meanwhile, with the genuine pynvml on the simulated library and a clock that needs no time."""

from __future__ import annotations

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from integration.apart import apart

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml import usage_run
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import UsageFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_run import UsageRequest, UsageRun
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.document import read_measurement
from simulator.nvml.mig_state import MigState, changing
from simulator.nvml.state import NvmlError

from .clock import StagedClock
from .node import UsageNode, container_of, uid_of

SECONDS = 10


@pytest.fixture
def node(tmp_path: Path) -> UsageNode:
    return UsageNode.make(tmp_path / "node", "L20", "T4")


def measure(
    node: UsageNode,
    clock: StagedClock | None = None,
    files: UsageFiles | None = None,
    seconds: float = SECONDS,
) -> dict[str, Any]:
    """A sampling of one sample a second."""
    return read_measurement("measurement", measure_and_tell(node, clock, files, seconds, {})["measurement"])


def measure_and_tell(
    node: UsageNode,
    clock: StagedClock | None,
    files: UsageFiles | None,
    seconds: float,
    seen: dict[Any, Any],
    **more: Any,
) -> dict[str, Any]:
    """The same, in a process of its own, and what events noted in ``seen`` there."""
    options = node.options()
    request = UsageRequest("run-1", seconds, 1.0, nvml_library=options["nvml_library"], **more)
    node_files = NodeFiles(options["proc_root"], options["kubelet_root"], options["log_root"])

    def work() -> dict[str, Any]:
        with files.open("run-1") if files else nullcontext() as file:
            measurement = UsageRun(request, node_files, clock or StagedClock(), file).measure()
        return {"measurement": measurement, "seen": seen}

    return apart(work)


def users_of(measurement: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    """By container, or by program."""
    return {user["container_id"] or user["command"]: user for user in measurement["users"]}


def test_samples_are_taken_at_multiples_of_the_interval(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    events = {4.0: lambda: grow(node, 4001, 3000), 6.0: lambda: grow(node, 4001, 2000)}
    measurement = measure(node, StagedClock(events))
    assert [measurement[name] for name in ("samples", "missed", "duration_seconds", "complete")] == [11, 0, 10, True]
    (user,) = measurement["users"]
    assert user["memory_mib"] == {
        "peak": 3000,
        "mean": round((4 * 1000 + 2 * 3000 + 5 * 2000) / 11, 1),
        "p95": 3000,
        "samples": 11,
    }
    assert user["over_time"] == [[at, 1000 if at < 4 else 3000 if at < 6 else 2000] for at in range(11)]


def grow(node: UsageNode, pid: int, mib: int | None, index: int = 0, **more: Any) -> None:
    """A process uses so much from now on."""
    gpu = node.gpu(index)
    gpu.processes[:] = [one for one in gpu.processes if one.pid != pid]
    node.run(pid, {index: mib}, pod=1, **more)


def test_process_that_ends_between_two_calls_is_whose_it_was(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    # NVML names it for one sample more
    clock = StagedClock({5.0: lambda: node.vanish(4001), 6.0: node.gpu().processes.clear, 6.1: node.write})
    measurement = measure(node, clock)
    (user,) = measurement["users"]
    assert (user["pod_uid"], user["samples"], user["last_seen"]) == (uid_of(1), 7, 6.0)


def test_process_that_was_never_seen_in_procfs_is_told(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    node.vanish(4001)
    measurement = measure(node)
    (user,) = measurement["users"]
    assert (user["pod_uid"], user["command"], user["memory_mib"]["peak"]) == (None, None, 1000)
    assert [note for note in measurement["notes"] if note.startswith("11 times a process that NVML named was not in")]


def test_pid_that_is_used_again_is_another_process(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1, start=500)

    def reuse() -> None:
        node.end(4001)
        node.run(4001, {0: 200}, pod=2, start=900)

    measurement = measure(node, StagedClock({5.0: reuse}))
    peaks = {who: (user["memory_mib"]["peak"], user["samples"]) for who, user in users_of(measurement).items()}
    assert peaks == {container_of(1): (1000, 5), container_of(2): (200, 6)}


def test_program_that_starts_anew_in_its_container_is_counted(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1, start=500)

    def restart() -> None:
        node.end(4001)
        node.run(4001, {0: 1100}, pod=1, start=900)

    (user,) = measure(node, StagedClock({5.0: restart}))["users"]
    assert (user["restarted"], user["samples"], user["memory_mib"]["peak"]) == (1, 11, 1100)


def test_pod_that_is_deleted_meanwhile_keeps_name_and_slots(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    uuid = node.gpu().uuid
    node.name_pod(1, "shop", "nlp-0", "serve", [f"{uuid}::0", f"{uuid}::1", node.gpu(1).uuid])

    def delete() -> None:
        node.end(4001)
        shutil.rmtree(node.directory / "log" / "pods")
        shutil.rmtree(node.directory / "log" / "containers")
        node.entries.clear()
        (node.directory / "kubelet/device-plugins/kubelet_internal_checkpoint").unlink()

    (user,) = measure(node, StagedClock({5.0: delete}))["users"]
    assert [user[name] for name in ("namespace", "pod", "container", "slots")] == ["shop", "nlp-0", "serve", 2]


def test_container_that_comes_later_is_named(node: UsageNode) -> None:
    def come() -> None:
        node.name_pod(1, "shop", "nlp-0", "serve", [node.gpu().uuid])
        node.run(4001, {0: 1000}, pod=1)

    (user,) = measure(node, StagedClock({3.0: come}))["users"]
    assert (user["pod"], user["slots"], user["first_seen"]) == ("nlp-0", 1, 3.0)


def test_container_whose_names_come_after_its_process_is_named(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    uuid = node.gpu().uuid
    clock = StagedClock({3.0: lambda: node.name_pod(1, "shop", "nlp-0", "serve", [uuid])})
    (user,) = measure(node, clock, seconds=12)["users"]
    assert [user[name] for name in ("namespace", "pod", "container", "slots")] == ["shop", "nlp-0", "serve", 1]


def test_unknown_container_runtime_is_told(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    (node.directory / "proc/4001/cgroup").write_text("0::/kubepods/besteffort/strange-runtime/x\n", encoding="utf-8")
    measurement = measure(node)
    assert "Process 4001 (python3): container runtime unknown" in " ".join(measurement["notes"])


def put_into_strange_runtime(node: UsageNode, pid: int) -> None:
    cgroup = f"0::/kubepods/besteffort/strange-runtime/{pid}\n"
    (node.directory / "proc" / str(pid) / "cgroup").write_text(cgroup, encoding="utf-8")


def test_each_of_many_processes_of_an_unknown_runtime_is_none_of_the_host(node: UsageNode) -> None:
    for pid in range(4001, 4021):
        node.run(pid, {0: 100}, pod=1, command=f"serve-{pid}")
        put_into_strange_runtime(node, pid)
    assert [user["runtime_unknown"] for user in measure(node, seconds=1)["users"]] == [True] * 20


def test_program_of_the_host_is_not_counted_with_one_of_an_unknown_runtime(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    put_into_strange_runtime(node, 4001)
    node.run(4002, {0: 100})

    def reuse() -> None:
        node.end(4001)
        node.run(4001, {0: 300}, start=900)

    users = measure(node, StagedClock({5.0: reuse}))["users"]
    told = [(user["command"], user["runtime_unknown"], user["memory_mib"]["peak"]) for user in users]
    assert told == [("python3", True, 1000), ("python3", False, 400)]


def test_memory_that_is_not_told_is_not_zero(node: UsageNode) -> None:
    node.run(4001, {0: None}, pod=1)
    node.run(4002, {0: 700}, pod=2)
    measurement = measure(node, StagedClock({8.0: lambda: grow(node, 4001, 900)}))
    users = users_of(measurement)
    untold = users[container_of(1)]
    assert (untold["untold"], untold["samples"], untold["memory_mib"]["samples"]) == (8, 11, 3)
    assert (untold["memory_mib"]["mean"], users[container_of(2)]["untold"]) == (900.0, 0)


def test_memory_that_is_never_told_is_null(node: UsageNode) -> None:
    node.gpu().faults["nvmlDeviceGetMemoryInfo"] = NvmlError.NOT_SUPPORTED
    node.run(4001, {0: None}, pod=1)
    measurement = measure(node)
    (user,) = measurement["users"]
    assert (user["memory_mib"], user["process_memory_mib"], user["untold"]) == (None, None, 11)
    first = measurement["gpus"][0]
    assert (first["memory_used_mib"], first["memory_total_mib"], first["state"]) == (None, None, "ok")
    assert "NVML does not tell the memory in use of GPU 0." in measurement["notes"]


def test_processes_that_are_not_told_are_no_empty_card(node: UsageNode) -> None:
    node.gpu().faults["nvmlDeviceGetComputeRunningProcesses"] = NvmlError.NOT_SUPPORTED
    node.run(4001, {0: 1000}, pod=1)
    measurement = measure(node)
    assert measurement["users"] == []
    assert any(note.startswith("NVML does not tell the processes of GPU 0") for note in measurement["notes"])
    assert measurement["gpus"][0]["memory_used_mib"]["peak"] == 1000


def test_gpu_that_is_lost_meanwhile_takes_nothing_from_the_others(node: UsageNode) -> None:
    node.run(4001, {0: 1000, 1: 500}, pod=1)

    def lose() -> None:
        node.gpu().lost = True
        node.write()

    measurement = measure(node, StagedClock({5.0: lose}))
    lost, well = measurement["gpus"]
    assert (lost["state"], lost["samples"], lost["unanswered"], well["state"], well["samples"]) == (
        "lost",
        5,
        6,
        "ok",
        11,
    )
    assert [user["samples"] for user in measurement["users"]] == [5, 11]


def test_gpu_that_never_answered_is_told(node: UsageNode) -> None:
    node.gpu().lost = True
    node.run(4001, {1: 500}, pod=1)
    measurement = measure(node)
    assert [gpu["index"] for gpu in measurement["gpus"]] == [1]
    assert any(note.startswith("Reading GPU 0 failed") for note in measurement["notes"])


def counted(seen: dict[str, Any], clock: StagedClock) -> Callable[..., AbstractContextManager[Any]]:
    """What opens NVML, and notes when it was opened and closed."""

    @contextmanager
    def opening(*given: Any) -> Iterator[Any]:
        try:
            with open_nvml(*given) as nvml:
                seen.setdefault("opened", []).append(clock.time - clock.began)
                yield nvml
        finally:
            seen.setdefault("closed", []).append(clock.time - clock.began)

    return opening


@pytest.mark.parametrize("mig", [False, True], ids=["nothing", "the MIG mode"])
def test_change_of_the_gpus_is_given_way_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mig: bool) -> None:
    node = UsageNode.make(tmp_path / "node", "H20")
    node.run(4001, {0: 1000}, pod=1)
    lock = HostLock("run-2", "change MIG layouts", str(tmp_path / "lock"))
    seen: dict[str, Any] = {}
    clock = StagedClock()

    def change() -> None:
        lock.__enter__()
        node.end(4001)

    def end() -> None:
        if mig:
            with changing(node.directory) as state:
                state.switch(node.gpu().uuid, True)
                state.lay_out(node.gpu().uuid, {"1g.12gb": 1})
            (device,) = MigState.read(node.directory).devices(node.gpu().uuid)
            place = {"gpu_instance": device.gpu_instance, "compute_instance": device.compute_instance}
            node.run(4002, {0: 700}, pod=2, **place)
        lock.__exit__(None, None, None)

    monkeypatch.setattr(usage_run, "open_nvml", counted(seen, clock))
    # the lock is free for a moment before the GPU is reset, and taken again for that
    clock.events = {4.2: change, 8.0: end, 10.0: lock.__enter__, 12.0: lambda: lock.__exit__(None, None, None)}
    told = measure_and_tell(node, clock, None, 60, seen, lock_path=str(tmp_path / "lock"))
    measurement = read_measurement("measurement", told["measurement"])
    (first, second), (given_up, closed) = told["seen"]["opened"], told["seen"]["closed"]
    assert (first, given_up) == (0, 5)
    assert 41 <= second <= 43
    assert closed == 60
    assert (measurement["complete"], measurement["samples"] + measurement["missed"]) == (True, 61)
    assert 35 <= measurement["missed"] <= 37
    assert any("The GPUs of this host were being changed" in note for note in measurement["notes"])
    peaks = [(user["memory_mib"]["peak"], user["mig_device"]) for user in measurement["users"]]
    devices = [device["uuid"] for device in measurement["gpus"][0]["mig_devices"]]
    assert peaks == ([(1000, None), (700, devices[0])] if mig else [(1000, None)])


def test_sampling_whose_time_is_over_while_the_gpus_are_changed_ends(node: UsageNode, tmp_path: Path) -> None:
    node.run(4001, {0: 1000}, pod=1)
    lock = HostLock("run-2", "change MIG layouts", str(tmp_path / "lock"))
    told = measure_and_tell(node, StagedClock({4.0: lock.__enter__}), None, 10, {}, lock_path=str(tmp_path / "lock"))
    measurement = read_measurement("measurement", told["measurement"])
    assert [measurement[name] for name in ("complete", "samples", "missed")] == [True, 5, 6]


def test_sampling_that_begins_while_the_gpus_are_changed_leaves_them_alone(node: UsageNode, tmp_path: Path) -> None:
    lock = HostLock("run-2", "change MIG layouts", str(tmp_path / "lock"))
    with lock:
        told = measure_and_tell(node, StagedClock(), None, 10, {}, lock_path=str(tmp_path / "lock"))
    measurement = read_measurement("measurement", told["measurement"])
    assert [measurement[name] for name in ("complete", "samples", "missed")] == [False, 0, 11]


def test_driver_that_is_gone_after_a_change_takes_nothing_from_what_was_seen(node: UsageNode, tmp_path: Path) -> None:
    node.run(4001, {0: 1000}, pod=1)
    lock = HostLock("run-2", "change MIG layouts", str(tmp_path / "lock"))

    def unload() -> None:
        node.gpus.fault = NvmlError.DRIVER_NOT_LOADED
        node.write()
        lock.__exit__(None, None, None)

    clock = StagedClock({4.0: lock.__enter__, 6.0: unload})
    told = measure_and_tell(node, clock, None, 100, {}, lock_path=str(tmp_path / "lock"))
    measurement = read_measurement("measurement", told["measurement"])
    assert (measurement["complete"], measurement["nvml_available"], measurement["samples"]) == (False, True, 5)
    assert any("driver" in note for note in measurement["notes"])


def test_hundreds_of_processes_are_all_told(node: UsageNode) -> None:
    for number in range(250):
        node.run(4001 + number, {0: 10, 1: 20}, pod=1 + number)
    measurement = measure(node, seconds=2)
    assert len(measurement["users"]) == 500
    assert [gpu["memory_used_mib"]["peak"] for gpu in measurement["gpus"]] == [2500, 5000]
    assert all(user["samples"] == 3 and user["pod_uid"] for user in measurement["users"])


def test_two_mig_devices_of_a_pod_are_told_apart(tmp_path: Path) -> None:
    node = UsageNode.make(tmp_path / "node", "H20")
    with changing(node.directory) as mig:
        mig.switch(node.gpu().uuid, True)
        mig.lay_out(node.gpu().uuid, {"1g.12gb": 3})
    first, second, third = MigState.read(node.directory).devices(node.gpu().uuid)
    for pid, device, mib in ((4001, first, 3000), (4002, second, 400)):
        place = {"gpu_instance": device.gpu_instance, "compute_instance": device.compute_instance}
        node.run(pid, {0: mib}, pod=1, **place)
    node.name_pod(1, "shop", "nlp-0", "serve", [first.uuid, second.uuid])
    measurement = measure(node)
    told = {user["mig_device"]: (user["memory_mib"]["peak"], user["slots"]) for user in measurement["users"]}
    assert told == {first.uuid: (3000, 1), second.uuid: (400, 1)}
    (gpu,) = measurement["gpus"]
    assert [one["uuid"] for one in gpu["mig_devices"]] == [first.uuid, second.uuid, third.uuid]
    assert gpu["utilization_percent"] is None


def test_mig_device_that_is_made_meanwhile_is_found(tmp_path: Path) -> None:
    node = UsageNode.make(tmp_path / "node", "H20")

    def cut() -> None:
        with changing(node.directory) as mig:
            mig.switch(node.gpu().uuid, True)
            mig.lay_out(node.gpu().uuid, {"1g.12gb": 1})
        (device,) = MigState.read(node.directory).devices(node.gpu().uuid)
        node.run(4001, {0: 800}, pod=1, gpu_instance=device.gpu_instance, compute_instance=device.compute_instance)

    measurement = measure(node, StagedClock({4.0: cut}))
    (device,) = MigState.read(node.directory).devices(node.gpu().uuid)
    assert [(user["mig_device"], user["samples"]) for user in measurement["users"]] == [(device.uuid, 7)]


def test_mig_device_that_is_made_at_the_place_of_another_is_not_taken_for_it(tmp_path: Path) -> None:
    node = UsageNode.make(tmp_path / "node", "H20")
    uuid = node.gpu().uuid

    def cut(pid: int, mib: int) -> None:
        with changing(node.directory) as mig:
            mig.switch(uuid, True)
            mig.gpus[uuid].instances.clear()
            mig.lay_out(uuid, {"3g.48gb": 1})
        (device,) = MigState.read(node.directory).devices(uuid)
        made.append(device)
        place = {"gpu_instance": device.gpu_instance, "compute_instance": device.compute_instance}
        node.run(pid, {0: mib}, pod=pid, **place)

    made: list[Any] = []
    cut(1, 3000)

    def cut_again() -> None:
        node.end(1)
        cut(2, 700)

    measurement = measure(node, StagedClock({4.0: cut_again}))
    told = {(user["mig_device"], user["pod_uid"], user["samples"]) for user in measurement["users"]}
    # events happen in the process that samples
    old, (new,) = made[0], MigState.read(node.directory).devices(uuid)
    assert old.gpu_instance == new.gpu_instance
    assert told == {(old.uuid, uid_of(1), 4), (new.uuid, uid_of(2), 7)}
    assert [one["uuid"] for one in measurement["gpus"][0]["mig_devices"]] == [old.uuid, new.uuid]


def test_mps_client_counts_once(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    node.run(4001, {0: 1000}, pod=1, type="mps")
    (user,) = measure(node)["users"]
    assert (user["types"], user["memory_mib"]["peak"], user["processes"]["peak"]) == (["compute", "mps"], 1000, 1)


def test_samples_that_come_too_late_are_missed_and_the_next_is_on_time(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1)
    clock = StagedClock()
    # the node hangs for a while: the samples at 3, 4 and 5 are over then
    clock.events[3.0] = lambda: setattr(clock, "time", clock.time + 3.4)
    measurement = measure(node, clock)
    assert (measurement["samples"], measurement["missed"], measurement["duration_seconds"]) == (8, 3, 10)
    assert [point[0] for point in measurement["users"][0]["over_time"]] == [0, 1, 2, 6, 7, 8, 9, 10]


@pytest.mark.parametrize("days", [-3, 3])
def test_date_that_is_set_meanwhile_does_not_matter(node: UsageNode, days: int) -> None:
    clock = StagedClock()
    clock.events[5.0] = lambda: setattr(clock, "jump", timedelta(days=days))
    measurement = measure(node, clock)
    assert [measurement[name] for name in ("started", "ended", "duration_seconds", "samples")] == [
        "2026-03-01T12:00:00Z",
        "2026-03-01T12:00:10Z",
        10,
        11,
    ]


def test_sampling_that_is_asked_to_end_keeps_what_it_has(node: UsageNode, tmp_path: Path) -> None:
    node.run(4001, {0: 1000}, pod=1)
    files = UsageFiles(str(tmp_path / "m"))
    measurement = measure(node, StagedClock(ends=4.0), files)
    assert (measurement["complete"], measurement["samples"], measurement["duration_seconds"]) == (False, 4, 4)
    found = files.find("run-1")
    assert found is not None
    assert (found.state, found.document) == ("interrupted", measurement)


def test_file_is_there_after_the_first_sample_and_later_has_more(node: UsageNode, tmp_path: Path) -> None:
    files = UsageFiles(str(tmp_path / "m"))
    seen: dict[float, Any] = {}

    def look(at: float) -> None:
        found = files.find("run-1")
        seen[at] = (found.state, found.document["samples"]) if found and found.document else None

    clock = StagedClock({at: partial(look, at) for at in (0.0, 1.0, 10.0, 11.0, 20.0, 21.0)})
    assert measure_and_tell(node, clock, files, 25, seen)["seen"] == {
        "0.0": None,
        "1.0": ["running", 1],
        "10.0": ["running", 1],
        "11.0": ["running", 11],
        "20.0": ["running", 11],
        "21.0": ["running", 21],
    }
    found = files.find("run-1")
    assert found is not None
    assert found.state == "complete"


def test_file_that_cannot_be_written_stops_nothing(node: UsageNode, tmp_path: Path) -> None:
    node.run(4001, {0: 1000}, pod=1)
    files = UsageFiles(str(tmp_path / "m"))

    def fill() -> None:
        # no file may grow beyond that: what a full disk is to the one who writes
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))

    measurement = measure(node, StagedClock({5.0: fill}), files, 20)
    assert (measurement["complete"], measurement["samples"]) == (True, 21)
    assert "The measurement cannot be written to" in measurement["notes"][-1]
    # what was written before stands
    found = files.find("run-1")
    assert found is not None
    assert (found.state, found.document and found.document["samples"]) == ("interrupted", 1)
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["run-1.json", "run-1.lock"]


def test_directory_that_is_not_ones_own_is_not_written_to(node: UsageNode, tmp_path: Path) -> None:
    (tmp_path / "m").write_text("a file", encoding="utf-8")
    measurement = measure(node, files=UsageFiles(str(tmp_path / "m")))
    assert (measurement["complete"], measurement["samples"]) == (True, 11)
    assert "cannot be written to" in measurement["notes"][-1]


def test_measurement_has_no_more_than_json_can_tell(node: UsageNode) -> None:
    node.run(4001, {0: 1000}, pod=1, command="a) (b")
    measurement = measure(node)
    assert json.loads(json.dumps(measurement)) == measurement
    assert measurement["users"][0]["command"] == "a) (b"

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make test-gpu`` looks for a process: one that calls a library of CUDA's interface, on a simulated NVML."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable

import pytest

from gpu.attribution import MIB, Finding, check_attribution, judge, running
from simulator.nvml.state import NodeGpus, Process, install

# What libcuda is called with is checked by what this one takes: a context first, sizes in bytes, a device that exists.
CUDA = r"""
#include <stddef.h>
#include <string.h>
static int ready, current;
int cuInit(unsigned flags) { ready = !flags; return flags ? 1 : 0; }
int cuDeviceGetCount(int *count) { *count = DEVICES; return ready ? 0 : 3; }
int cuDeviceGet(int *device, int ordinal) { *device = 7; return ordinal ? 101 : 0; }
int cuDevicePrimaryCtxRetain(void **context, int device) { *context = &current; return device == 7 ? 0 : 101; }
int cuCtxSetCurrent(void *context) { current = context == &current; return current ? 0 : 201; }
int cuMemAlloc_v2(unsigned long long *at, size_t size) {
    *at = 4096;
    return current && size == 256ull << 20 ? 0 : 2;
}
int cuDeviceGetUuid_v2(unsigned char *uuid, int device) {
    for (int i = 0; i < 16; i++)
        uuid[i] = UUID[i];
    return device == 7 ? 0 : 101;
}
"""

READ = """
import json, sys
import ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node as node
print(json.dumps(node.NodeReader(sys.argv[1]).read()))
"""


@pytest.fixture(scope="module")
def gpus() -> NodeGpus:
    return NodeGpus.of("node", ["L20", "T4"])


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, gpus: NodeGpus) -> Callable[[int], str]:
    identity = gpus.gpus[1].uuid.removeprefix("GPU-").replace("-", "")
    array = ",".join(f"0x{identity[at : at + 2]}" for at in range(0, 32, 2))

    def build(devices: int) -> str:
        directory = tmp_path_factory.mktemp("cuda")
        (directory / "cuda.c").write_text(f"static const unsigned char UUID[] = {{{array}}};\n{CUDA}", encoding="utf-8")
        library = directory / "libcuda.so.1"
        command = ["gcc", "-shared", "-fPIC", f"-DDEVICES={devices}", "-o", str(library), str(directory / "cuda.c")]
        subprocess.run(command, check=True, timeout=60)
        return str(library)

    return build


def test_process_that_takes_memory_is_found_with_it(
    tmp_path: Path, gpus: NodeGpus, build: Callable[[int], str]
) -> None:
    library = install(tmp_path)
    seen: list[str] = []

    def read() -> dict[str, Any]:
        # NVML tells of it: the simulated one as it is written here
        (pid,) = (int(name.name) for name in Path("/proc").iterdir() if is_user(name))
        gpus.gpus[1].processes.append(Process(pid, MIB + 170))
        gpus.write(tmp_path)
        # a process has one library of NVML for good, and this one may have that of another test
        command = [sys.executable, "-c", READ, str(library)]
        done = subprocess.run(command, env=with_imports(), capture_output=True, check=True, timeout=60)
        facts: dict[str, Any] = json.loads(done.stdout)
        seen.extend(one["command"] for one in facts["gpus"][1]["processes"])
        return facts

    finding = check_attribution(read, build(2))
    assert not finding.wrong, finding
    assert f"took {MIB} MiB of GPU 1 and was found with {MIB + 170} MiB" in finding.text
    assert len(seen) == 1


def with_imports() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def is_user(proc: Path) -> bool:
    """The process that takes memory, started by this very test."""
    try:
        arguments = (proc / "cmdline").read_bytes().split(b"\0")
        parent = (proc / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1]
    except OSError:
        return False
    return any(part.endswith(b"cuda_user.py") for part in arguments) and parent == Path("/proc/self").resolve().name


@pytest.mark.parametrize(("devices", "reason"), [(0, "cuDeviceGetCount answers CUDA error 100")])
def test_machine_without_cuda_device_has_nothing_to_look_for(
    build: Callable[[int], str], devices: int, reason: str
) -> None:
    finding = check_attribution(lambda: pytest.fail("nothing is to be read"), build(devices))
    assert finding == Finding(f"No process could take GPU memory, so none was looked for: {reason}.")


def test_machine_without_cuda_library_has_nothing_to_look_for(tmp_path: Path) -> None:
    finding = check_attribution(lambda: pytest.fail("nothing is to be read"), str(tmp_path / "libcuda.so.1"))
    assert not finding.wrong
    assert "cannot open shared object file" in finding.text


def facts(memory_reason: Any = None, used: Any = 5000, **changes: Any) -> dict[str, Any]:
    process = {
        "pid": 42,
        "started": 1700,
        "command": "python3",
        "attribution": "host",
        "used_memory_mib": MIB + 170,
        "mig_device": None,
        **changes,
    }
    gpu = {"index": 0, "uuid": "GPU-1", "memory_used_mib": used, "memory_reason": memory_reason, "processes": [process]}
    return {"gpus": [{"index": 1, "uuid": "GPU-2", "memory_reason": None, "processes": None}, gpu]}


@pytest.mark.parametrize(
    ("told", "wrong", "text"),
    [
        pytest.param(facts(), False, "was found with 426 MiB", id="found"),
        pytest.param(facts(mig_device="MIG-1", used=None), False, "was found with 426 MiB", id="found-on-a-mig-device"),
        pytest.param(facts(used_memory_mib=12), True, "says 12 MiB of 5000 MiB in use", id="too-little"),
        pytest.param(facts(used=300), True, "says 426 MiB of 300 MiB in use", id="more-than-the-card"),
        pytest.param(facts(used_memory_mib=None), True, "NVML does not tell", id="untold-without-reason"),
        pytest.param(facts("It is WSL.", used_memory_mib=None), False, "It is WSL.", id="untold-with-reason"),
        pytest.param(facts(started=None), True, "does not tell who it is", id="nobody"),
    ],
)
def test_judge_says_what_is_told_of_the_process(told: dict[str, Any], wrong: bool, text: str) -> None:
    finding = judge(told, 42, "1")
    assert (finding.wrong, text in finding.text) == (wrong, True), finding


@pytest.mark.parametrize(
    ("namespace", "reason", "wrong"),
    [("pid:[4026531836]", None, True), ("pid:[4026532001]", None, False), ("pid:[4026531836]", "Untold.", False)],
)
def test_judge_of_a_process_that_is_not_listed(
    monkeypatch: pytest.MonkeyPatch, namespace: str, reason: Any, wrong: bool
) -> None:
    monkeypatch.setattr("os.readlink", lambda _path: namespace)
    finding = judge(facts(reason, pid=43), 42, "1")
    assert (finding.wrong, "NVML lists [43]" in finding.text) == (wrong, True), finding


def test_running_ends_with_the_block() -> None:
    with running(["cat"]) as process:
        assert process.poll() is None
    assert process.returncode == 0

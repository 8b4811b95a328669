# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a process that takes GPU memory is found by gpu_info, with its pid and at least the memory that it took."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence

USER = Path(__file__).parent / "cuda_user.py"
MIB = 256
SECONDS = 60
# The kernel's number of the PID namespace that the machine started with (PROC_PID_INIT_INO).
_FIRST_NAMESPACE = "pid:[4026531836]"

Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """:param wrong: gpu_info does not tell what it must; False too where there was nothing to compare."""

    text: str
    wrong: bool = False


@contextmanager
def running(command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with its input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        try:
            process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def check_attribution(read: Callable[[], Facts], library: Optional[str] = None) -> Finding:
    """Take memory in a process of its own, and look for it.

    :param read: gpu_info's facts of this moment.
    :param library: libcuda.so.1 to use, None for what the loader finds.
    """
    command = [sys.executable, str(USER), str(MIB), *([library] if library else [])]
    with running(command) as process:
        assert process.stdout is not None
        word, _space, detail = process.stdout.readline().strip().partition(" ")
        if word != "ready":
            return Finding(f"No process could take GPU memory, so none was looked for: {detail or 'it ended'}.")
        return judge(read(), process.pid, detail)


def judge(facts: Facts, pid: int, device: str) -> Finding:
    """What the facts tell of a process that has MIB of a device.

    :param device: UUID without its prefix.
    """
    found = [
        (gpu, one)
        for gpu in facts["gpus"]
        for one in gpu.get("processes") or ()
        if one["pid"] == pid and _is_on(gpu, one, device)
    ]
    if not found:
        return _missing(facts, pid)
    gpu, process = found[0]
    used, owner = process["used_memory_mib"], process["attribution"]
    where = f"Process {pid} ({process['command']}, {owner}) took {MIB} MiB of GPU {gpu['index']}"
    if used is None:
        return Finding(
            f"{where}; NVML does not tell how much it has: {gpu['memory_reason']}", gpu["memory_reason"] is None
        )
    if used < MIB or (gpu["memory_used_mib"] is not None and gpu["memory_used_mib"] < used):
        return Finding(f"{where}, and gpu_info says {used} MiB of {gpu['memory_used_mib']} MiB in use.", wrong=True)
    if process["started"] is None or not process["command"]:
        return Finding(f"{where}, and gpu_info does not tell who it is: {dict(process)}.", wrong=True)
    return Finding(f"{where} and was found with {used} MiB, its context with it.")


def _is_on(gpu: Facts, process: Facts, device: str) -> bool:
    """A process may have a context on other GPUs as well."""
    return device in (_bare(gpu["uuid"]), _bare(process["mig_device"]))


def _bare(uuid: Optional[str]) -> str:
    return (uuid or "").partition("-")[2]


def _missing(facts: Facts, pid: int) -> Finding:
    listed = sorted(one["pid"] for gpu in facts["gpus"] for one in gpu.get("processes") or ())
    reasons = [gpu["memory_reason"] for gpu in facts["gpus"] if gpu.get("memory_reason")]
    text = f"Process {pid} took {MIB} MiB, and NVML lists {listed or 'no process'}"
    if os.readlink("/proc/self/ns/pid") != _FIRST_NAMESPACE:
        return Finding(f"{text}. This is a PID namespace of its own, of whose processes NVML tells other pids or none.")
    return Finding(". ".join([text, *reasons]), wrong=not reasons)

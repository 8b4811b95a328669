# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module kubegpu.sharing.gpu_xid_info on kernel logs that are files, pipes, missing, and this machine's own."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kubegpu.sharing.plugins.modules import gpu_xid_info

KMSG = Path("/dev/kmsg")


def read(path: Path, **options: Any) -> dict[str, Any]:
    params = {
        "kernel_log": str(path),
        "since_seconds": None,
        "since_sequence": None,
        "proc_root": "/nowhere",
        **options,
    }
    return gpu_xid_info.run(params).to_result()


def line(sequence: int, xid: int, ago: float = 0.0) -> str:
    moment = int((time.clock_gettime(time.CLOCK_MONOTONIC) - ago) * 1e6)
    return f"4,{sequence},{moment},-;NVRM: Xid (PCI:0000:3b:00): {xid}, pid=812, name=python3, x\n"


def test_xids_since_the_last_look_are_told_with_their_gpu(tmp_path: Path) -> None:
    log, proc = tmp_path / "kmsg", tmp_path / "proc"
    (proc / "driver/nvidia/gpus/0000:3b:00.0").mkdir(parents=True)
    old = time.clock_gettime(time.CLOCK_MONOTONIC)  # as long ago as can be: at the boot
    log.write_text(line(7, 31, ago=old), encoding="utf-8")
    before = read(log)
    assert (before["log_available"], before["last_sequence"], before["changed"]) == (True, 7, False)
    log.write_text(line(7, 31, ago=old) + line(8, 79), encoding="utf-8")
    after = read(log, since_sequence=7, since_seconds=0.0, proc_root=str(proc))
    (found,) = after["xids"]
    assert (found["xid"], found["gpu_index"], found["pid"], found["process"]) == (79, 0, 812, "python3")
    assert [one["xid"] for one in read(log, since_seconds=old / 2)["xids"]] == [79]


def test_log_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    result = read(tmp_path / "kmsg")
    assert (result["xids"], result["log_available"], result["last_sequence"]) == ([], False, None)
    assert result["reason"].startswith(f"Cannot read the kernel log {tmp_path}/kmsg: No such file or directory.")
    assert "kubegpu_kernel_log" in result["reason"]


def test_device_without_anything_to_say_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "kmsg"
    os.mkfifo(pipe)
    writer = os.open(pipe, os.O_RDWR)
    try:
        os.write(writer, line(1, 13).encode())
        started = time.monotonic()
        assert [one["xid"] for one in read(pipe)["xids"]] == [13]
        assert time.monotonic() - started < 60
    finally:
        os.close(writer)


def test_log_of_this_machine_is_read_to_its_end() -> None:
    try:
        os.close(os.open(KMSG, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        assert read(KMSG)["log_available"] is False
        return
    result = read(KMSG)
    assert result["log_available"]
    assert isinstance(result["last_sequence"], int)


def test_result_and_options_are_what_is_documented(tmp_path: Path) -> None:
    assert set(yaml.safe_load(gpu_xid_info.RETURN)) == set(gpu_xid_info.run({"kernel_log": str(tmp_path)}).facts)
    documented = yaml.safe_load(gpu_xid_info.DOCUMENTATION)["options"]
    spec = gpu_xid_info.argument_spec().options
    assert {name: (option["type"], option.get("default")) for name, option in spec.items()} == {
        name: (option["type"], option.get("default")) for name, option in documented.items()
    }


@pytest.mark.parametrize("error", [1, 13])
def test_missing_permission_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch, error: int, tmp_path: Path) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "open", refuse)
    assert "as root (become)" in read(tmp_path)["reason"]

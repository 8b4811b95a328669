# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for critical Xids."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

import pytest


@pytest.fixture
def listening(make_node: Any) -> tuple[Any, Any]:
    node = make_node(["T4", "T4"])
    nvml = node.nvml
    events = nvml.nvmlEventSetCreate()
    for index in range(2):
        handle = node.handle(index)
        assert nvml.nvmlDeviceGetSupportedEventTypes(handle) == nvml.nvmlEventTypeXidCriticalError
        nvml.nvmlDeviceRegisterEvents(handle, nvml.nvmlEventTypeXidCriticalError, events)
    return node, events


def test_wait_without_event_times_out(listening: tuple[Any, Any]) -> None:
    node, events = listening
    start = time.monotonic()
    with pytest.raises(node.nvml.NVMLError_Timeout):
        node.nvml.nvmlEventSetWait_v2(events, 60)
    assert time.monotonic() - start >= 0.06


def test_xid_is_told_once_of_the_gpu_that_had_it(listening: tuple[Any, Any]) -> None:
    node, events = listening
    node.gpus.gpus[1].xid, node.gpus.gpus[1].xid_count = 48, 1
    node.write()
    event = node.nvml.nvmlEventSetWait_v2(events, 1000)
    assert (event.eventType, event.eventData) == (node.nvml.nvmlEventTypeXidCriticalError, 48)
    assert node.nvml.nvmlDeviceGetIndex(event.device) == 1
    with pytest.raises(node.nvml.NVMLError_Timeout):
        node.nvml.nvmlEventSetWait_v2(events, 0)
    node.gpus.gpus[1].xid_count = 2
    node.write()
    short = ctypes.create_string_buffer(b"\xee" * 32, 32)
    assert node.raw.nvmlEventSetWait(events, short, 1000) == 0
    assert int.from_bytes(short.raw[16:24], "little") == 48
    assert short.raw[24:] == b"\xee" * 8, "wrote past the older structure"


def test_waiting_thread_holds_up_no_other(listening: tuple[Any, Any]) -> None:
    node, events = listening
    seen: list[int] = []
    waiter = threading.Thread(target=lambda: seen.append(node.nvml.nvmlEventSetWait_v2(events, 5000).eventData))
    waiter.start()
    assert node.nvml.nvmlDeviceGetName(node.handle()) == "Tesla T4"
    node.gpus.gpus[0].xid, node.gpus.gpus[0].xid_count = 79, 1
    node.write()
    waiter.join(timeout=10)
    assert seen == [79]


def test_lost_gpu_ends_the_wait(listening: tuple[Any, Any]) -> None:
    node, events = listening
    node.gpus.gpus[0].lost = True
    node.write()
    with pytest.raises(node.nvml.NVMLError_GpuIsLost):
        node.nvml.nvmlEventSetWait_v2(events, 1000)


def test_other_kinds_of_event_are_not_supported(listening: tuple[Any, Any]) -> None:
    node, events = listening
    with pytest.raises(node.nvml.NVMLError_NotSupported):
        node.nvml.nvmlDeviceRegisterEvents(node.handle(), node.nvml.nvmlEventTypePState, events)


def test_set_that_was_freed_is_invalid(listening: tuple[Any, Any]) -> None:
    node, events = listening
    node.nvml.nvmlEventSetFree(events)
    for use in (
        lambda: node.nvml.nvmlEventSetFree(events),
        lambda: node.nvml.nvmlEventSetWait_v2(events, 0),
        lambda: node.nvml.nvmlDeviceRegisterEvents(node.handle(), 8, events),
    ):
        with pytest.raises(node.nvml.NVMLError_InvalidArgument):
            use()


def test_sets_run_out(node: Any) -> None:
    for _unused in range(64):
        node.nvml.nvmlEventSetCreate()
    with pytest.raises(node.nvml.NVMLError_Memory):
        node.nvml.nvmlEventSetCreate()

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Xids in lines as drivers of several years have printed them, seen on machines in the field."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.kernel_log import (
    Record,
    Since,
    find_xids,
    last_sequence,
    read_records,
)

CARDS = ["0000:0a:00.0", "0000:3b:00.0"]
ALL = Since()
# As /dev/kmsg gives it: other lines, a dictionary below one, the line that names the GPU before its first Xid.
KMSG = """\
6,1201,100000000,-;usb 1-1: new high-speed USB device
 SUBSYSTEM=usb
 DEVICE=c189:0
4,1202,101000000,-;NVRM: GPU at PCI:0000:0a:00: GPU-760d0170-b7c5-6817-9414-6cc7112645de
4,1203,101000200,-;NVRM: Xid (PCI:0000:0a:00): 31, pid=13332, name=cuda_plot_k32_v, Ch 00000010, intr 00000000. MMU Fault: ENGINE CE2
4,1204,130000000,c,caller=T77;NVRM: Xid (PCI:0000:3B:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
"""


def xids(text: str, now: float = 200.0, since: Since = ALL) -> list[dict[str, Any]]:
    return find_xids(list(read_records(text)), now, since, CARDS)


def one(line: str) -> dict[str, Any]:
    (found,) = xids(f"4,1,199000000,-;{line}")
    return found


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            "NVRM: Xid (PCI:0000:0a:00): 62, pid='<unknown>', name=<unknown>, 2023b230 20238a3a 2023e8b6",
            {"xid": 62, "pid": None, "process": None, "gpu_index": 0, "text": "2023b230 20238a3a 2023e8b6"},
            id="process unknown",
        ),
        pytest.param(
            "NVRM: Xid (PCI:0000:00:05): 43, pid=1045242, name=pt_main_thread, Ch 00000008",
            {"xid": 43, "pid": 1045242, "process": "pt_main_thread", "gpu_index": None, "pci_bus_id": "0000:00:05.0"},
            id="GPU that the driver does not list",
        ),
        pytest.param(
            "NVRM: Xid (PCI:0000:3b:00): 79, pid=1122, GPU has fallen off the bus.",
            {"xid": 79, "pid": 1122, "process": None, "gpu_index": 1, "text": "GPU has fallen off the bus."},
            id="driver 450, no name",
        ),
        pytest.param(
            "NVRM: Xid (PCI:0000:3b:00): 32, Channel ID 00000003 intr 00008000",
            {"xid": 32, "pid": None, "process": None, "text": "Channel ID 00000003 intr 00008000"},
            id="no process at all",
        ),
        pytest.param(
            "NVRM: Xid (0000:03:00): 14, Channel 00000001",
            {"xid": 14, "pci_bus_id": "0000:03:00.0", "text": "Channel 00000001"},
            id="old driver, no PCI:",
        ),
        pytest.param(
            "NVRM: Xid (PCI:0000:0a:00 GPU-I:05): 94, pid=7194, Contained: CE User Channel (0x9). RST: No, D-RST: No",
            {
                "xid": 94,
                "gpu_instance_id": 5,
                "pid": 7194,
                "text": "Contained: CE User Channel (0x9). RST: No, D-RST: No",
            },
            id="MIG",
        ),
        pytest.param(
            "NVRM: Xid (PCI:0000:0a:00 GPU-I:01 GPU-CI:02): 13, pid=9, name=a, Graphics Exception",
            {"xid": 13, "gpu_instance_id": 1, "pid": 9, "process": "a", "text": "Graphics Exception"},
            id="MIG with compute instance",
        ),
        pytest.param(
            "NVRM: Xid (PCI:0000:83:00): 48", {"xid": 48, "pid": None, "text": ""}, id="nothing but the number"
        ),
        pytest.param(
            "NVRM: Xid (PCI:0000:dc:00): 45, pid=1818990, name=python3, Ch 00000001 caused by previous Xid 149",
            {"xid": 45, "text": "Ch 00000001 caused by previous Xid 149"},
            id="names another Xid",
        ),
    ],
)
def test_find_xids_reads_what_drivers_print(line: str, expected: dict[str, Any]) -> None:
    found = one(line)
    assert {key: found[key] for key in expected} == expected


def test_find_xids_in_kmsg_tells_when_and_where() -> None:
    first, second = xids(KMSG)
    assert (first["xid"], first["seconds_ago"], first["gpu_index"], first["process"]) == (
        31,
        99.0,
        0,
        "cuda_plot_k32_v",
    )
    assert (second["xid"], second["seconds_ago"], second["gpu_index"], second["pid"]) == (79, 70.0, 1, None)


def test_find_xids_since_seconds_leaves_out_the_older_ones() -> None:
    assert [found["xid"] for found in xids(KMSG, since=Since(seconds=80))] == [79]


def test_find_xids_since_a_sequence_trusts_no_clock() -> None:
    assert [found["xid"] for found in xids(KMSG, since=Since(seconds=0, sequence=1203))] == [79]
    assert xids(KMSG, since=Since(seconds=190, sequence=1204)) == []


def test_find_xids_after_a_boot_goes_by_the_age() -> None:
    booted = Since(seconds=150, sequence=900_000)
    assert [found["xid"] for found in xids(KMSG, since=booted)] == [31, 79]


def test_find_xids_after_a_boot_whose_log_has_come_beyond_the_number_goes_by_the_age() -> None:
    # up for 200 s, which is less than what has passed since
    booted = Since(seconds=260, sequence=1203)
    assert [found["xid"] for found in xids(KMSG, since=booted)] == [31, 79]


def test_find_xids_in_the_output_of_dmesg() -> None:
    text = "[14328.198504] NVRM: Xid (PCI:0000:0a:00): 31, pid=1, name=a, b\n<4>[   10.5] NVRM: Xid (PCI:0000:0a:00): 13, x\n"
    assert [(found["xid"], found["seconds_ago"]) for found in xids(text, now=14330.0)] == [(31, 1.8), (13, 14319.5)]
    assert last_sequence(list(read_records(text))) is None


@pytest.mark.parametrize("text", ["", "garbage\n", "4,1;x\n", "[abc] NVRM: Xid\n", "6,1,2,-;NVRM: Xid (PCI:zz): 1"])
def test_find_xids_in_anything_else_finds_none(text: str) -> None:
    assert xids(text) == []


def test_last_sequence_is_that_of_the_newest_record() -> None:
    assert last_sequence([Record(1.0, 7, ""), Record(2.0, 9, ""), Record(3.0, 8, "")]) == 9
    assert last_sequence([]) is None

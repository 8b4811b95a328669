# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The driver's error reports (Xids) in a kernel log. PRIVATE to the collection.

The driver prints ``NVRM: Xid (PCI:0000:3b:00): 31, pid=812, name=python3, <text>``; the process is left out where it is not known, and on a
GPU with MIG the brackets also hold ``GPU-I:`` and ``GPU-CI:`` (nv-xid printing of NVIDIA's open kernel modules).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Optional, Sequence

# Documentation/ABI/testing/dev-kmsg: priority,sequence,microseconds,flags[,more];text, then lines that begin with a space.
_KMSG = re.compile(r"^\d+,(?P<sequence>\d+),(?P<microseconds>\d+),[^;]*;(?P<text>.*)$")
# dmesg's own format: seconds since the boot in brackets.
_DMESG = re.compile(r"^(?:<\d+>)?\[\s*(?P<seconds>\d+\.\d+)\]\s*(?P<text>.*)$")
_XID = re.compile(
    r"NVRM: Xid \((?:PCI:)?(?P<pci>[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2})(?P<rest>[^)]*)\): (?P<xid>\d+)(?:,\s*(?P<text>.*))?$"
)
_INSTANCE = re.compile(r"GPU-I:(\d+)")
_PROCESS = re.compile(r"^pid='?(?P<pid>[^,']*)'?,?\s*(?:name=(?P<name>[^,]*),?\s*)?(?P<text>.*)$")
_UNKNOWN = "<unknown>"


@dataclass(frozen=True)
class Record:
    """A line of the log.

    :param seconds: since the boot, by the clock of the log.
    :param sequence: its number since the boot; None if the format has none.
    """

    seconds: float
    sequence: Optional[int]
    text: str


@dataclass(frozen=True)
class Since:
    """What is asked for.

    :param seconds: that may have passed since; None for all that the log still has.
    :param sequence: number of the last record that is known already; it is exact, where clocks drift. None if it is not known.
    """

    seconds: Optional[float] = None
    sequence: Optional[int] = None


def read_records(text: str) -> Iterator[Record]:
    """Records of a log in the format of /dev/kmsg or of dmesg. Other lines are passed over."""
    for line in text.splitlines():
        match = _KMSG.match(line)
        if match:
            yield Record(int(match.group("microseconds")) / 1e6, int(match.group("sequence")), match.group("text"))
            continue
        match = _DMESG.match(line)
        if match:
            yield Record(float(match.group("seconds")), None, match.group("text"))


def find_xids(records: Sequence[Record], now: float, since: Since, cards: Sequence[str]) -> List[Dict[str, Any]]:
    """The Xids among the records, in their order.

    :param now: seconds since the boot.
    :param cards: PCI addresses of the node's GPUs in the order in which NVML counts them.
    """
    last = last_sequence(records)
    # A log that is behind the number that is known begins anew: the machine was booted since. It may have come beyond it by now.
    behind = since.sequence is not None and last is not None and last < since.sequence
    booted = behind or (since.seconds is not None and now < since.seconds)
    found = []
    for record in records:
        if not _is_wanted(record, now, since, booted):
            continue
        match = _XID.search(record.text)
        if match:
            found.append(_describe(match, round(max(0.0, now - record.seconds), 1), cards))
    return found


def last_sequence(records: Sequence[Record]) -> Optional[int]:
    """Number of the newest record; None if the format has none."""
    return max((record.sequence for record in records if record.sequence is not None), default=None)


def _is_wanted(record: Record, now: float, since: Since, booted: bool) -> bool:
    if since.sequence is not None and record.sequence is not None and not booted:
        return record.sequence > since.sequence
    return since.seconds is None or now - record.seconds <= since.seconds


def _describe(match: re.Match[str], seconds_ago: float, cards: Sequence[str]) -> Dict[str, Any]:
    address = _address(match.group("pci"))
    known = [_address(card) for card in cards]
    instance = _INSTANCE.search(match.group("rest"))
    text = (match.group("text") or "").strip()
    process = _PROCESS.match(text)
    return {
        "seconds_ago": seconds_ago,
        "pci_bus_id": f"{address}.0",
        "gpu_index": known.index(address) if address in known else None,
        "gpu_instance_id": int(instance.group(1)) if instance else None,
        "xid": int(match.group("xid")),
        "pid": _number(process.group("pid")) if process else None,
        "process": _known(process.group("name")) if process else None,
        "text": process.group("text").strip() if process else text,
    }


def _address(text: str) -> str:
    """domain:bus:device in one spelling: without the function, the domain with four digits."""
    domain, bus, device = text.lower().partition(".")[0].split(":")
    return f"{int(domain, 16):04x}:{bus}:{device}"


def _number(text: str) -> Optional[int]:
    return int(text) if text.isdigit() else None


def _known(text: Optional[str]) -> Optional[str]:
    return None if not text or text == _UNKNOWN else text

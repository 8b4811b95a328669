# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of samplings that an interrupted run has left going."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.filter.running_samplings import running_samplings

EARLIER, NOW = "20260101-120000-abcdef", "20260101-130000-abcdef"


def at(*running: str, ended: str = "") -> dict[str, Any]:
    runs = [{"id": name, "running": True} for name in running]
    return {"runs": [*runs, *([{"id": ended, "running": False}] if ended else [])]}


def test_sampling_of_another_run_is_told_with_its_hosts() -> None:
    assert running_samplings({"gpu-2": at(EARLIER), "gpu-1": at(EARLIER, NOW)}, NOW) == [
        f"2 hosts still sample for measurement {EARLIER}: gpu-2, gpu-1. What they see is not in this proposal; run "
        "kubegpu.sharing.measure again once they have ended."
    ]


def test_what_has_ended_and_who_did_not_answer_is_not_told() -> None:
    assert running_samplings({"gpu-1": at(ended=EARLIER), "gpu-2": {}, "gpu-3": {"unreachable": True}}, NOW) == []


def test_many_hosts_are_counted() -> None:
    (told,) = running_samplings({f"gpu-{number}": at(EARLIER) for number in range(8)}, NOW)
    assert told.startswith(
        f"8 hosts still sample for measurement {EARLIER}: gpu-0, gpu-1, gpu-2, gpu-3, gpu-4, 3 more. "
    )

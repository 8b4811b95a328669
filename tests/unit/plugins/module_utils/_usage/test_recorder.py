# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of samples: who is counted together, what is not counted as 0, what is forgotten."""

from __future__ import annotations

import json
from typing import Any, Dict, Optional

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import GpuUse, ProcessUse, Sample
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.recorder import Recorder

pytestmark = pytest.mark.node_side

CARD = "GPU-0"
CONTAINER = "c" * 64


def process(pid: int, used: Optional[int], start: Optional[int] = 1, **fields: Any) -> ProcessUse:
    return ProcessUse(
        pid, start, **{"gpu": CARD, "used_mib": used, "pod_uid": "pod", "container_id": CONTAINER, **fields}
    )


def measure(*samples: Any, interval: float = 1.0) -> Dict[str, Any]:
    """A measurement of samples, each of them a list of processes."""
    recorder = Recorder(interval)
    for number, processes in enumerate(samples):
        recorder.add(Sample(100.0 + number * interval, (GpuUse(CARD, 1000),), tuple(processes)))
    document = recorder.document({"id": "run"})
    # it is written as JSON
    return json.loads(json.dumps(document))


def only_user(*samples: Any) -> Dict[str, Any]:
    (user,) = measure(*samples)["users"]
    return user


def test_processes_of_a_container_are_counted_together() -> None:
    user = only_user([process(1, 100), process(2, 300, command="python")], [process(1, 100), process(2, 250)])
    assert user["memory_mib"] == {"peak": 400, "mean": 375.0, "p95": 400, "samples": 2}
    assert user["process_memory_mib"]["peak"] == 300
    assert (user["command"], user["pid"], user["processes"]) == ("python", 2, {"peak": 2, "mean": 2.0})

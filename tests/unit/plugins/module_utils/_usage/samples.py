# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of one card, and measurements made of them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import GpuUse, ProcessUse, Sample
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.recorder import Recorder

CARD = "GPU-0"
CONTAINER = "c" * 64
NOON = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def process(pid: int, used: Optional[int], start: Optional[int] = 1, **fields: Any) -> ProcessUse:
    """A process of the container, unless fields say otherwise."""
    known = {"gpu": CARD, "used_mib": used, "pod_uid": "pod", "container_id": CONTAINER, **fields}
    return ProcessUse(pid, start, **known)


def gpu(used: Optional[int], free: Optional[int] = None, utilization: Optional[int] = None, **fields: Any) -> GpuUse:
    """The card."""
    return GpuUse(CARD, used, free, utilization, **fields)


def sample(at: float, processes: Sequence[ProcessUse] = (), gpus: Sequence[GpuUse] = ()) -> Sample:
    """A sample of the card."""
    return Sample(at, tuple(gpus), tuple(processes))


def measure(*samples: Any, begin: float = 0.0, **head: Any) -> Dict[str, Any]:
    """A measurement with a sample each second, given as the processes in it.

    :param begin: seconds after noon.
    """
    recorder = Recorder(1)
    for number, processes in enumerate(samples):
        used = [use.used_mib for use in processes if use.used_mib is not None]
        uuids = {CARD, *(use.gpu for use in processes)}
        recorder.add(Sample(100.0 + number, tuple(GpuUse(uuid, sum(used)) for uuid in sorted(uuids)), tuple(processes)))
    started = NOON + timedelta(seconds=begin)
    times = {"started": _text(started), "ended": _text(started + timedelta(seconds=max(0, len(samples) - 1)))}
    document = recorder.document({"id": "run", "complete": True, **times, **head})
    # as it comes back from a file
    made: Dict[str, Any] = json.loads(json.dumps(document))
    return made


def only_user(*samples: Any) -> Dict[str, Any]:
    """The only user that a measurement of samples has."""
    users = measure(*samples)["users"]
    assert len(users) == 1
    user: Dict[str, Any] = users[0]
    return user


def _text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"

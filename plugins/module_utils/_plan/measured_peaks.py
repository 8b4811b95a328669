# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What pods that run have been measured to use, where that is more than they use at this moment. PRIVATE to the collection.

A process that is idle when a plan is made takes its memory again later, from its neighbours on the card.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Collection, Mapping, Sequence

Object = Mapping[str, Any]
#: What is said after an amount that has more in it than is in use at the moment.
AT_PEAK = " when its pods use what they were measured to"


def add_peaks(facts: Object, *measurements: Object) -> dict[str, Any]:
    """gpu_info's result with the peaks of pods, ``measured_peaks`` of each GPU: the highest of all measurements.

    :param measurements: of the same host, read by ``read_measurement``.
    """
    peaks: dict[str, dict[tuple[str | None, str], int]] = defaultdict(dict)
    for measurement in measurements:
        for (gpu, device, uid), mib in _peaks_of_pods(measurement).items():
            peaks[gpu][device, uid] = max(mib, peaks[gpu].get((device, uid), 0))
    gpus = [
        {
            **gpu,
            "measured_peaks": [
                {"mig_device": device, "pod_uid": uid, "mib": mib}
                for (device, uid), mib in sorted(peaks[gpu["uuid"]].items(), key=lambda item: item[0][1])
            ],
        }
        if gpu.get("uuid") in peaks
        else gpu
        for gpu in facts.get("gpus") or ()
    ]
    return {**facts, "gpus": gpus}


def _peaks_of_pods(measurement: Object) -> dict[tuple[str, str | None, str], int]:
    """MiB by GPU, MIG device and pod: containers of a pod share its slot, but one that was started again is not there twice."""
    users: dict[tuple[str, str | None, str], list[Object]] = defaultdict(list)
    for user in measurement["users"]:
        if user.get("pod_uid") and user.get("memory_mib"):
            users[user["gpu"], user.get("mig_device"), user["pod_uid"]].append(user)
    return {
        place: max(
            sum(
                int(other["memory_mib"]["peak"])
                for other in own
                if other["first_seen"] <= user["first_seen"] <= other["last_seen"]
            )
            for user in own
        )
        for place, own in users.items()
    }


def with_peaks(
    gpu: Object, processes: Sequence[Object], alive: Collection[str], device: str | None = None
) -> list[Object]:
    """The processes of a card or MIG device, each pod that runs with the larger of what it uses and what it was measured to use.

    What is added bears ``measured``: nobody uses it at the moment.

    :param alive: UIDs of the pods that run.
    :param device: UUID of the MIG device; None for a whole GPU.
    """
    raised = list(processes)
    for peak in gpu.get("measured_peaks") or ():
        if peak["mig_device"] != device or peak["pod_uid"] not in alive:
            continue
        own = [process for process in raised if process.get("pod_uid") == peak["pod_uid"]]
        more = peak["mib"] - sum(process.get("used_memory_mib") or 0 for process in own)
        if more > 0:
            # With the pid of a process of it, so that it is called the same.
            pid = own[0].get("pid") if own else None
            raised.append({"pid": pid, "pod_uid": peak["pod_uid"], "used_memory_mib": more, "measured": True})
    return raised


def peak_on_top(processes: Sequence[Object]) -> int:
    """MiB that were measured beyond what is in use."""
    return sum(process["used_memory_mib"] for process in processes if process.get("measured"))

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds how much memory of a card at this moment. PRIVATE to the collection.

Memory that NVML does not tell is not 0: a holder of such is told apart, and what is known of it is its least.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

Process = Mapping[str, Any]

# What gpu_info says of a process of which no pod is known, where that does not mean that it is in none.
_UNKNOWN = {
    "runtime_unknown": "whose container runtime is unknown",
    "ended": "which had ended when its pod was looked up",
}


@dataclass(frozen=True)
class Held:
    """What one holder has of a card or MIG device.

    :param mib: what NVML tells of it, in MiB.
    :param untold: processes of it of which NVML tells no memory.
    :param measured: it was measured to use so much, and uses less at the moment.
    """

    mib: int = 0
    untold: int = 0
    measured: bool = False

    def __str__(self) -> str:
        text = f"at least {self.mib} MiB" if self.untold else f"{self.mib} MiB"
        return f"up to {text}, as measured," if self.measured else text


def read_holders(
    processes: Iterable[Process], pods: Mapping[str, str], name_processes: bool = False
) -> dict[str, Held]:
    """Holders by what they are called in a sentence: the processes of a pod together, for a slot is a pod's.

    :param processes: of gpu_info.
    :param pods: namespace/name by UID.
    :param name_processes: whether a pod's name is followed by its process.
    """
    listed = list(processes)
    uids = [process.get("pod_uid") for process in listed if not process.get("measured")]
    found: dict[str, Held] = {}
    for process in listed:
        who = describe_holder(process, pods)
        if name_processes and process.get("pod_uid") and process.get("pid"):
            several = uids.count(process["pod_uid"]) > 1
            who += " (several processes)" if several else f" (process {process['pid']})"
        held, used = found.get(who, Held()), process.get("used_memory_mib")
        measured = held.measured or bool(process.get("measured"))
        found[who] = Held(held.mib + (used or 0), held.untold + (used is None), measured)
    return found


def describe_holder(process: Process, pods: Mapping[str, str]) -> str:
    """A pod or a process, as one speaks of it."""
    uid, name = process.get("pod_uid"), process.get("pod")
    known = f"{process.get('namespace')}/{name}" if name else None
    if uid or known:
        return f"pod {pods.get(str(uid)) or known or uid}"
    where = _UNKNOWN.get(str(process.get("attribution")))
    return f"process {process.get('pid')}, {where}," if where else f"process {process.get('pid')} outside of pods"


def warn_of_untold(what: str, gpu: Mapping[str, Any], holders: Mapping[str, Held]) -> Optional[str]:
    """What the check of memory does not know, None if it knows all.

    :param what: the card or MIG device, as in "GPU 0".
    :param gpu: of gpu_info.
    """
    silent = [who.rstrip(",") for who, held in sorted(holders.items()) if held.untold]
    reason = gpu.get("memory_reason")
    if silent:
        told = f"memory of {' and '.join(silent)} is not known"
        reason = reason or "NVML does not tell the memory of some processes."
    elif reason and (not gpu.get("processes") or gpu.get("memory_used_mib") is None):
        what, told = f"GPU {gpu.get('index')}", "memory is not known"
    else:
        # what is not told is of other devices of the card
        return None
    return f"{what}: {told}, so that what is seen is the least that is in use. {reason}"

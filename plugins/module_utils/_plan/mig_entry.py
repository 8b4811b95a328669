# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MIG devices of a node as they stand in its plan. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import layout_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_node import NodeMig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import NONE

NO_HOLDERS: Mapping[str, Any] = {"daemonsets": [], "host": [], "ignored": []}
# Steps name ids that are others by the time they are taken, and the refusal is for plans that look at who is there.
_LEFT_OUT = ("steps", "refused")


def mig_entry(mig: NodeMig, holders: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """As it stands at a node of the plan.

    :param holders: what has NVML open on the node while nothing may.

    ``request`` holds arguments of mig_config, ``before`` and ``after`` are exact layouts, ``lost_devices`` ids of the devices that
    go, ``reset`` UUIDs of the GPUs that must be reset, ``holders`` what has NVML open on the node.
    """
    return {
        "strategy": mig.words.strategy,
        "changes": bool(mig.changing),
        "differences": reasons_of_layout(mig),
        "request": _request(mig),
        "gpus": [
            {word: value for word, value in plan.to_dict().items() if word not in _LEFT_OUT} for plan in mig.plans
        ],
        "before": layout_of(gpu for gpu in mig.gpus if gpu.capable),
        "after": layout_of(mig.after.get(gpu.uuid, gpu) for gpu in mig.gpus if gpu.capable),
        "lost_devices": list(mig.lost_devices),
        "reset": list(mig.reset),
        "reset_coupled": mig.reset_coupled,
        "holders": dict(holders or NO_HOLDERS),
    }


def _request(mig: NodeMig) -> dict[str, Any]:
    if mig.words.strategy == NONE:
        return {"state": "absent", "gpus": "all"}
    return {"state": "present", "mig_devices": mig.words.devices, "enable": "when_needed"}


def reasons_of_layout(mig: NodeMig) -> list[str]:
    """Why the GPUs of a node are not as planned; alike ones in one reason."""
    told: dict[str, list[int]] = {}
    for plan in mig.changing:
        told.setdefault(_why(plan), []).append(plan.gpu.index)
    return [f"GPU {', '.join(map(str, indices))}: {why}" for why, indices in told.items()]


def _why(plan: GpuPlan) -> str:
    parts = []
    if plan.mode_change:
        parts.append(f"MIG mode {plan.mode_change.wanted} instead of {_mode(plan.gpu)}")
    gone = sum(max(1, len(instance.compute)) for instance in plan.destroy)
    gone += sum(len(change.destroy) for _instance, change in plan.keep)
    new = sum(len(one.compute) for one in plan.create) + sum(len(change.create) for _instance, change in plan.keep)
    if gone:
        parts.append(f"{gone} MIG device{'s' if gone > 1 else ''} to destroy")
    if new:
        parts.append(f"{new} to create" if gone else f"{new} MIG device{'s' if new > 1 else ''} to create")
    return ", ".join(parts)


def _mode(gpu: Gpu) -> str:
    return gpu.mode if gpu.mode == gpu.pending else f"{gpu.mode} (pending: {gpu.pending})"

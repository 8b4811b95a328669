# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cards and instances for tests of the planner, from the generated table."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import (
    ComputeInstance,
    Gpu,
    Holder,
    Instance,
    Place,
    Profile,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.profiles import MODELS, Model

Profiles = Tuple[Profile, ...]

A30, A100, H20, RTX = "A30-24GB", "A100-40GB", "H20-96GB", "RTX-PRO-6000-96GB"
TRAINER = Holder(pid=4312, pod="ml/trainer-0", command="python")
NOTEBOOK = Holder(pod="ml/notebook-0")


def model(key: str) -> Model:
    return next(one for one in MODELS if one.key == key)


def profile(key: str, name: str) -> Profile:
    return next(one for one in model(key).profiles if one.name == name)


def instances(key: str, standing: Iterable[Tuple[str, int]]) -> Tuple[Instance, ...]:
    """GPU instances at their starts, each with one compute instance as large as it is; ids from 1."""
    return tuple(
        Instance(number, name, Place(start, profile(key, name).places[0].size), (whole(key, name),))
        for number, (name, start) in enumerate(sorted(standing, key=lambda one: one[1]), start=1)
    )


def whole(key: str, name: str) -> ComputeInstance:
    return ComputeInstance(0, profile(key, name).slices, 0)


def gpu(key: str, standing: Iterable[Tuple[str, int]] = (), **changes: Any) -> Gpu:
    """A card with MIG on that tells its profiles."""
    entry = model(key)
    facts: Mapping[str, Any] = {
        "index": 0,
        "uuid": "GPU-0",
        "product": entry.products[0],
        "pci_bus_id": "00000000:65:00.0",
        "pci_device_id": entry.pci[0],
        "compute_capability": entry.compute_capability,
        "profiles": entry.profiles,
        "instances": instances(key, standing),
    }
    return Gpu(**{**facts, **changes})

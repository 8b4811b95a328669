# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a table knows of cards that are not there, or that do not tell. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu, Profile
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import parse_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.profiles import MODELS, Model
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.products import normalise_product

# A card reports a little less than the memory in its largest profile's name.
_LEAST_PART, _MOST_PART = 0.93, 1.03


class Source(NamedTuple):
    """Profiles, and how far they can be trusted: "card", or "table" with the confidence of the model's entry."""

    profiles: Tuple[Profile, ...]
    origin: str
    confidence: str


def find_model(
    product: str, memory_total_mib: Optional[int] = None, pci_device_id: Optional[int] = None
) -> Optional[Model]:
    """The table's entry for a card, by product and memory, else by PCI device id; None if it is not known, or not for sure.

    :param product: as NVML or a node label names it.
    :param pci_device_id: device and vendor, 0x20B010DE.
    """
    name = normalise_product(product)
    named = [model for model in MODELS if name in map(normalise_product, model.products)]
    found = [model for model in named if _has_memory(model, memory_total_mib)]
    if not named and pci_device_id is not None:
        found = [model for model in MODELS if pci_device_id in model.pci and _has_memory(model, memory_total_mib)]
    return found[0] if len(found) == 1 else None


def _has_memory(model: Model, memory_total_mib: Optional[int]) -> bool:
    sizes = [parse_name(profile.name).memory_gb for profile in model.profiles]
    if memory_total_mib is None or not sizes:
        return True
    return _LEAST_PART <= memory_total_mib / 1024 / max(sizes) <= _MOST_PART


def find_profiles(gpu: Gpu) -> Source:
    """The card's own profiles; what it does not tell comes from the table: places, or all of it."""
    model = find_model(gpu.product, gpu.memory_total_mib, gpu.pci_device_id)
    known = {profile.name: profile for profile in model.profiles} if model else {}
    confidence = model.confidence if model else "unknown"
    if not gpu.profiles:
        return Source(tuple(known.values()), "table", confidence)
    if all(profile.places for profile in gpu.profiles):
        return Source(gpu.profiles, "card", "reported")
    filled = tuple(
        profile if profile.places or profile.name not in known else replace(profile, places=known[profile.name].places)
        for profile in gpu.profiles
    )
    return Source(filled, "table", confidence)


def mode_change_needs_reset(gpu: Gpu) -> Optional[bool]:
    """Whether switching the MIG mode of a card needs a reset; None if it is not known. Hopper and later need none."""
    model = find_model(gpu.product, gpu.memory_total_mib, gpu.pci_device_id)
    if model is not None:
        return model.needs_reset
    major = (gpu.compute_capability or "").partition(".")[0]
    return {"8": True, "9": False, "10": False}.get(major)

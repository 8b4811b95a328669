# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cards that the simulated NVML knows: facts of cards.yaml joined with the MIG profiles of mig_profiles.yaml."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Mapping

import yaml

_HERE = Path(__file__).parent

# nvmlDeviceArchitecture_t
ARCHITECTURES = {"Turing": 6, "Ampere": 7, "Ada Lovelace": 8, "Hopper": 9, "Blackwell": 10}

# Media engines of a whole card by architecture and compute slices: (decoders, JPEG, OFA). An instance gets its share by compute
# slices, a "+me" one the engines that exist once, "+me.all" every one and "-me" none. Derived from the unit columns of
# "nvidia-smi mig -lgip"; Hopper and later have one decoder a slice.
_ENGINES = {
    ("Ampere", 4): (4, 1, 1),
    ("Ampere", 7): (5, 1, 1),
    ("Hopper", 7): (7, 7, 1),
    ("Blackwell", 7): (7, 7, 1),
    ("Blackwell", 4): (4, 4, 1),
}


@dataclass(frozen=True)
class MigProfile:
    """A GPU-instance profile: what a slice of the card is called, holds, and where it can lie.

    `enum` is the number that NVML is asked with, `id` the one it answers with and creates instances by.
    `starts` and `size` count memory slices.
    """

    name: str
    enum: int
    id: int
    compute_slices: int
    sm: int
    memory_mib: int
    max_instances: int
    starts: tuple[int, ...]
    size: int
    copy_engines: int
    decoders: int
    jpeg: int
    ofa: int


@dataclass(frozen=True)
class Mig:
    """The MIG side of a card."""

    compute_slices: int
    memory_slices: int
    profiles: tuple[MigProfile, ...]

    def profile(self, name: str) -> MigProfile:
        """The profile of that name, such as "1g.12gb"; KeyError if the card lacks it."""
        for profile in self.profiles:
            if profile.name == name:
                return profile
        raise KeyError(f"no MIG profile {name}; there are {', '.join(p.name for p in self.profiles)}")


@dataclass(frozen=True)
class Card:
    """One model of GPU. Memory in MiB, power in W, clocks in MHz."""

    key: str
    product: str
    brand: int
    architecture: str
    compute_capability: str
    pci_device_id: int
    pci_subsystem_id: int
    memory_total_mib: int
    memory_reserved_mib: int
    bar1_total_mib: int
    bus_width_bits: int
    cores: int
    sm: int
    power_limit_w: Mapping[str, int]
    clocks_max_mhz: Mapping[str, int]
    pcie_generation: int
    mig: Mig | None

    @property
    def mig_mode_is_volatile(self) -> bool:
        """Whether a reboot switches MIG off, and the mode changes without a reset: Hopper and later."""
        return self.architecture_number >= ARCHITECTURES["Hopper"]

    @property
    def architecture_number(self) -> int:
        """The architecture as nvmlDeviceGetArchitecture tells it."""
        return ARCHITECTURES[self.architecture]


def _engines(entry: Mapping[str, Any], whole: tuple[int, int, int], compute_slices: int) -> tuple[int, int, int]:
    decoders, jpeg, ofa = whole
    name, slices = entry["name"], entry["slices"]
    if name.endswith("-me"):
        return (0, 0, 0)
    if slices == compute_slices or name.endswith("+me.all"):
        return whole
    least = int(name.endswith("+me"))
    return (
        max(decoders * slices // compute_slices, least),
        max(jpeg * slices // compute_slices, least),
        ofa * least,
    )


def _profile(entry: Mapping[str, Any], card: Mapping[str, Any], model: Mapping[str, Any]) -> MigProfile:
    slices, size = entry["slices"], entry["size"]
    share = size / model["memory_slices"]
    observed = entry["gib"]
    # Not found in real output: the share of what the driver leaves, rounded down to 128 MiB as the observed figures are.
    derived = math.floor((card["memory_total_mib"] - card["memory_reserved_mib"]) * share / 128) * 128
    decoders, jpeg, ofa = _engines(
        entry, _ENGINES[card["architecture"], model["compute_slices"]], model["compute_slices"]
    )
    return MigProfile(
        name=entry["name"],
        enum=entry["enum"],
        id=entry["id"],
        compute_slices=slices,
        sm=entry["sm"] or card["sm"] * slices // model["compute_slices"],
        memory_mib=int(observed * 1024) if observed else derived,
        max_instances=entry["instances"],
        starts=tuple(entry["starts"]),
        size=size,
        copy_engines=size,
        decoders=decoders,
        jpeg=jpeg,
        ofa=ofa,
    )


def _load() -> dict[str, Card]:
    models = {m["key"]: m for m in yaml.safe_load((_HERE / "mig_profiles.yaml").read_text())["models"]}
    cards = {}
    for key, entry in yaml.safe_load((_HERE / "cards.yaml").read_text())["cards"].items():
        facts = dict(entry)
        facts.pop("reserved_source")
        model = models.get(facts.pop("mig_model", None))
        mig = model and Mig(
            compute_slices=model["compute_slices"],
            memory_slices=model["memory_slices"],
            profiles=tuple(_profile(profile, facts, model) for profile in model["profiles"]),
        )
        cards[key] = Card(key=key, mig=mig, **facts)
    return cards


CARDS: Mapping[str, Card] = MappingProxyType(_load())


def by_product(product: str) -> Card:
    """The card of that product name, such as "Tesla T4"; KeyError if there is none."""
    for card in CARDS.values():
        if card.product == product:
            return card
    raise KeyError(f"no simulated card is called {product}")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of cards against the figures that clusters report, and each card through the library."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from simulator.nvml.cards import ARCHITECTURES, CARDS, Card, by_product

TOTALS = {
    "T4": ("Tesla T4", 15360, "7.5", False),
    "L20": ("NVIDIA L20", 46068, "8.9", False),
    "L40S": ("NVIDIA L40S", 46068, "8.9", False),
    "A30": ("NVIDIA A30", 24576, "8.0", True),
    "A100-40": ("NVIDIA A100-SXM4-40GB", 40960, "8.0", True),
    "A100-80": ("NVIDIA A100-SXM4-80GB", 81920, "8.0", True),
    "H100-80": ("NVIDIA H100 80GB HBM3", 81559, "9.0", True),
    "H100-94": ("NVIDIA H100 NVL", 95830, "9.0", True),
    "H20": ("NVIDIA H20", 97871, "9.0", True),
    "H200": ("NVIDIA H200", 143771, "9.0", True),
    "B200": ("NVIDIA B200", 183359, "10.0", True),
    "RTX-PRO-6000": ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97887, "12.0", True),
}


def test_cards_are_those_that_are_asked_for() -> None:
    found = {
        key: (card.product, card.memory_total_mib, card.compute_capability, card.mig is not None)
        for key, card in CARDS.items()
    }
    assert found == TOTALS


def test_by_product_finds_the_card_or_names_what_is_missing() -> None:
    assert by_product("Tesla T4").key == "T4"
    with pytest.raises(KeyError, match="no simulated card is called NVIDIA Z1"):
        by_product("NVIDIA Z1")


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS.keys())
def test_card_keeps_less_than_two_percent_of_its_memory_to_itself(card: Card) -> None:
    assert 0 < card.memory_reserved_mib < 0.03 * card.memory_total_mib


MIG_CARDS = [card for card in CARDS.values() if card.mig]


@pytest.mark.parametrize("card", MIG_CARDS, ids=lambda card: card.key)
def test_profile_is_named_by_its_share_of_the_card(card: Card) -> None:
    """NVIDIA's rule: the memory share in eighths, rounded up, times the whole GiB of the card, rounded."""
    assert card.mig is not None
    whole = math.ceil(card.memory_total_mib / 1024)
    for profile in card.mig.profiles:
        eighths = math.ceil(8 * profile.memory_mib / card.memory_total_mib)
        memory = math.floor(eighths / 8 * whole + 0.5)
        assert re.split("[+-]", profile.name)[0] == f"{profile.compute_slices}g.{memory}gb"


@pytest.mark.parametrize("card", MIG_CARDS, ids=lambda card: card.key)
def test_placements_lie_on_the_card(card: Card) -> None:
    assert card.mig is not None
    for profile in card.mig.profiles:
        assert all(start + profile.size <= card.mig.memory_slices for start in profile.starts)
        assert 1 <= profile.max_instances <= len(profile.starts)
        assert profile.sm <= card.sm


def test_profile_of_an_unknown_name_lists_the_known_ones() -> None:
    mig = CARDS["A30"].mig
    assert mig is not None
    assert mig.profile("2g.12gb").id == 5
    with pytest.raises(KeyError, match=r"no MIG profile 3g\.20gb; there are 1g.6gb, "):
        mig.profile("3g.20gb")


@pytest.mark.parametrize("key", CARDS)
def test_each_card_says_what_it_is(key: str, make_node: Any) -> None:
    card = CARDS[key]
    node = make_node([key])
    nvml, handle = node.nvml, node.handle()
    major, minor = map(int, card.compute_capability.split("."))
    assert nvml.nvmlDeviceGetName(handle) == card.product
    assert nvml.nvmlDeviceGetArchitecture(handle) == ARCHITECTURES[card.architecture]
    assert nvml.nvmlDeviceGetCudaComputeCapability(handle) == (major, minor)
    assert nvml.nvmlDeviceGetNumGpuCores(handle) == card.cores
    pci = nvml.nvmlDeviceGetPciInfo(handle)
    assert pci.pciDeviceId == card.pci_device_id
    assert pci.pciDeviceId & 0xFFFF == 0x10DE
    memory = nvml.nvmlDeviceGetMemoryInfo(handle, nvml.nvmlMemory_v2)
    assert memory.total == card.memory_total_mib * 1024**2
    assert memory.reserved == card.memory_reserved_mib * 1024**2
    assert nvml.nvmlDeviceGetPowerUsage(handle) <= nvml.nvmlDeviceGetEnforcedPowerLimit(handle)

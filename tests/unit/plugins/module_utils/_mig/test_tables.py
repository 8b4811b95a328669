# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of cards, and what it fills in."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import pytest
from unit.plugins.module_utils._mig import cards

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.profiles import MODELS
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.tables import (
    find_model,
    find_profiles,
    mode_change_needs_reset,
)

pytestmark = pytest.mark.node_side


def test_ids_are_not_portable() -> None:
    by_id = {
        key: {profile.id: profile.name for profile in cards.model(key).profiles} for key in (cards.A30, cards.A100)
    }
    assert (by_id[cards.A100][14], by_id[cards.A30][14]) == ("2g.10gb", "1g.6gb")
    assert (by_id[cards.A100][5], by_id[cards.A30][5]) == ("4g.20gb", "2g.12gb")
    assert 19 not in by_id[cards.A30]


@pytest.mark.parametrize(
    ("product", "memory", "pci", "key"),
    [
        ("NVIDIA A30", 24576, None, "A30-24GB"),
        ("NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED", 40960, None, "A100-40GB"),
        ("NVIDIA A100 80GB PCIe", None, None, "A100-80GB"),
        ("NVIDIA H20", 97871, None, "H20-96GB"),
        ("NVIDIA H20", 143771, None, "H20-141GB"),
        # Which of the two cannot be told.
        ("NVIDIA H20", None, None, None),
        ("NVIDIA H200", 143771, None, "H200-141GB"),
        ("NVIDIA B200", 183359, None, "B200-180GB"),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 97887, None, "RTX-PRO-6000-96GB"),
        # An engineering sample, known by its id.
        ("NVIDIA PG509-210", 81920, 0x20B210DE, "A100-80GB"),
        # The same name with other memory is another card.
        ("NVIDIA A30", 49152, None, None),
        ("Tesla T4", 15360, 0x1EB810DE, None),
    ],
)
def test_find_model_by_product_memory_or_id(
    product: str, memory: Optional[int], pci: Optional[int], key: Optional[str]
) -> None:
    found = find_model(product, memory, pci)
    assert (found and found.key) == key


def test_every_model_with_places_is_found_by_its_first_product_and_memory() -> None:
    for model in MODELS:
        if any(profile.places for profile in model.profiles):
            largest = max(int(profile.name.split(".")[1].split("gb")[0]) for profile in model.profiles)
            found = find_model(model.products[0], largest * 1024 - 200)
            assert found is model


def test_profiles_of_the_card_beat_the_table() -> None:
    own = (replace(cards.profile(cards.A100, "7g.40gb"), name="7g.39gb"),)
    source = find_profiles(cards.gpu(cards.A100, profiles=own))
    assert source == (own, "card", "reported")


def test_card_that_tells_nothing_gets_the_table_with_its_confidence() -> None:
    source = find_profiles(cards.gpu(cards.H20, profiles=(), memory_total_mib=97871))
    assert source == (cards.model(cards.H20).profiles, "table", "names_documented_rest_derived")


def test_places_that_the_card_does_not_tell_come_from_the_table() -> None:
    known = cards.model(cards.A30).profiles
    silent = tuple(replace(profile, places=()) for profile in known)
    other = replace(silent[0], name="1g.5gb")
    source = find_profiles(cards.gpu(cards.A30, profiles=(*silent, other)))
    assert source == ((*known, other), "table", "observed")


def test_unknown_card_that_tells_nothing_has_no_profiles() -> None:
    assert find_profiles(cards.gpu(cards.A100, product="NVIDIA Z1", pci_device_id=None, profiles=())) == (
        (),
        "table",
        "unknown",
    )


@pytest.mark.parametrize(
    ("key", "product", "capability", "needs_reset"),
    [
        (cards.A100, "NVIDIA A100-SXM4-40GB", "8.0", True),
        (cards.H20, "NVIDIA H20", "9.0", False),
        (cards.RTX, "NVIDIA RTX PRO 6000 Blackwell Server Edition", "12.0", None),
        (cards.A100, "NVIDIA Z1", "8.0", True),
        (cards.A100, "NVIDIA Z1", "9.0", False),
        (cards.A100, "NVIDIA Z1", "10.3", False),
        (cards.A100, "NVIDIA Z1", "12.0", None),
        (cards.A100, "NVIDIA Z1", None, None),
    ],
)
def test_mode_change_needs_reset_by_table_or_architecture(
    key: str, product: str, capability: Optional[str], needs_reset: Optional[bool]
) -> None:
    gpu = cards.gpu(key, product=product, compute_capability=capability, pci_device_id=None)
    assert mode_change_needs_reset(gpu) is needs_reset

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPUs an operator means."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._mig import cards

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.selection import pci_address, select_gpus

pytestmark = pytest.mark.node_side

GPUS = (
    cards.gpu(cards.A100, index=0, uuid="GPU-aaaa", pci_bus_id="00000000:0F:00.0"),
    cards.gpu(cards.A100, index=1, uuid="GPU-bbbb", pci_bus_id="00000000:10:00.0"),
    cards.gpu(cards.A30, index=2, uuid="GPU-cccc", pci_bus_id="00000001:10:00.0"),
)
LISTED = (
    "There are: 0: GPU-aaaa, 00000000:0F:00.0, NVIDIA A100-SXM4-40GB; 1: GPU-bbbb, 00000000:10:00.0, "
    "NVIDIA A100-SXM4-40GB; 2: GPU-cccc, 00000001:10:00.0, NVIDIA A30."
)


@pytest.mark.parametrize(
    ("selectors", "indices"),
    [
        ("all", [0, 1, 2]),
        (1, [1]),
        ("1", [1]),
        ([2, 0], [0, 2]),
        ("GPU-BBBB", [1]),
        ("0000:10:00.0", [1]),
        ("00000000:10:00.0", [1]),
        ("10:00.0", [1]),
        ("1:10:00.0".rjust(12, "0"), [2]),
        ("0000:0f:00.0", [0]),
        ("NVIDIA A100-SXM4-40GB", [0, 1]),
        ("nvidia-a30", [2]),
        (["NVIDIA A30", 2, "GPU-cccc"], [2]),
    ],
    ids=str,
)
def test_select_gpus_by_every_kind_of_selector(selectors: Any, indices: list[int]) -> None:
    found, problems = select_gpus("gpus", selectors, GPUS)
    assert [gpu.index for gpu in found] == indices
    assert not problems


@pytest.mark.parametrize(
    ("selectors", "problem"),
    [
        (7, f"gpus: 7 matches no GPU of this host. {LISTED}"),
        ("NVIDIA H20", f"gpus: 'NVIDIA H20' matches no GPU of this host. {LISTED}"),
        ("0000:99:00.0", f"gpus: '0000:99:00.0' matches no GPU of this host. {LISTED}"),
        (
            "MIG-aaaa",
            "gpus: 'MIG-aaaa' matches no GPU of this host. It is a MIG device; name the GPU that it is part of.",
        ),
        ([True], "gpus: True is a boolean; give an index, a UUID, a PCI address or a product."),
        ([1.0], "gpus: 1.0 is a number; give an index, a UUID, a PCI address or a product."),
        (None, 'gpus is nothing; give "all", or a list of indices, UUIDs, PCI addresses or products.'),
        ([], 'gpus is an empty list; give "all", or a list of indices, UUIDs, PCI addresses or products.'),
        ({}, 'gpus is a mapping; give "all", or a list of indices, UUIDs, PCI addresses or products.'),
    ],
    ids=str,
)
def test_select_gpus_selector_that_means_nothing_is_a_problem(selectors: Any, problem: str) -> None:
    found, problems = select_gpus("gpus", selectors, GPUS)
    assert not found
    assert problems == [problem]


def test_select_gpus_every_wrong_selector_is_named() -> None:
    found, problems = select_gpus("gpus", [0, 8, 9], GPUS)
    assert [gpu.index for gpu in found] == [0]
    assert len(problems) == 2


def test_select_gpus_on_a_host_without_any() -> None:
    none: tuple[Gpu, ...] = ()
    assert select_gpus("gpus", "all", none)[1] == ["gpus is all, and this host has no GPU; take it out."]
    assert select_gpus("gpus", 0, none)[1] == ["gpus: 0 matches no GPU of this host. It has none."]


def test_pci_address_reads_every_notation() -> None:
    assert pci_address("0000:65:00.0") == pci_address("00000000:65:00.0") == pci_address("65:00.0") == (0, 0x65, 0, 0)
    assert pci_address("65:00") is None

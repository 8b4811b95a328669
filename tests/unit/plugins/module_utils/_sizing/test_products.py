# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.products import normalise_product


@pytest.mark.parametrize(
    "name",
    ["NVIDIA A100-SXM4-40GB", "NVIDIA-A100-SXM4-40GB", "nvidia a100 sxm4 40gb", "NVIDIA-A100-SXM4-40GB-SHARED"]
    + [
        "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb",
        "NVIDIA-A100-SXM4-40GB-MIG-1g.5gb-SHARED",
        "NVIDIA-A100-SXM4-40GB-MIG-1c.2g.10gb",
    ]
    + ["NVIDIA-A100-SXM4-40GB-MIG-1g.5gb.me"],
)
def test_normalise_product_labels_and_nvml_name_the_same_card(name: str) -> None:
    assert normalise_product(name) == "nvidia a100 sxm4 40gb"


@pytest.mark.parametrize(
    ("one", "other"), [("NVIDIA L4", "NVIDIA L40"), ("NVIDIA L40", "NVIDIA L40S"), ("Tesla T4", "Tesla T40")]
)
def test_normalise_product_keeps_models_apart(one: str, other: str) -> None:
    assert normalise_product(one) != normalise_product(other)

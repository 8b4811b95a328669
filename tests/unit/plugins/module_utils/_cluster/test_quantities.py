# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.quantities import counts_with_prefix, parse_count


@pytest.mark.parametrize(
    ("quantity", "count"),
    [("8", 8), (8, 8), ("1k", 1000), ("2000m", 2), ("1Ki", 1024), ("2e3", 2000), ("+3", 3), ("1.5k", 1500), ("0", 0)],
)
def test_parse_count_reads_what_the_api_writes(quantity: Any, count: int) -> None:
    assert parse_count(quantity) == count


@pytest.mark.parametrize("quantity", ["", "many", "0.5", "500m", "1kk", "0x8", "1KiB", None])
def test_parse_count_refuses_what_is_no_number_of_devices(quantity: Any) -> None:
    with pytest.raises(ValueError, match="not a"):
        parse_count(quantity)


def test_counts_with_prefix_leaves_out_what_is_zero_or_of_others() -> None:
    quantities = {"nvidia.com/gpu": "2", "nvidia.com/mig-1g.5gb": "0", "cpu": "4", "amd.com/gpu": "1"}
    assert counts_with_prefix(quantities, "nvidia.com/") == {"nvidia.com/gpu": 2}
    assert counts_with_prefix(None, "nvidia.com/") == {}

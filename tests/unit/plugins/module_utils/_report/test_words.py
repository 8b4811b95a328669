# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures and lists in words."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._report import words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (43.9, "43 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (7199, "119 minutes"),
        (7200, "2 hours"),
        (86400, "24 hours"),
        (2 * 86400, "2 days"),
        (28 * 86400 + 5, "28 days"),
        (None, "unknown"),
    ],
)
def test_describe_duration_takes_the_largest_unit_with_at_least_two(seconds: Any, text: str) -> None:
    assert words.describe_duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.24, "4.2 s"), (59.9, "59.9 s"), (185, "3 min 05 s"), (3599.6, "1 h 00 min"), (7260, "2 h 01 min")],
)
def test_describe_seconds(seconds: float, text: str) -> None:
    assert words.describe_seconds(seconds) == text


@pytest.mark.parametrize(("fraction", "text"), [(0.8025, "80.2 %"), (0.8596, "86.0 %"), (1, "100.0 %"), (None, "-")])
def test_describe_share(fraction: Any, text: str) -> None:
    assert words.describe_share(fraction) == text


def test_describe_amounts_leaves_out_the_name_that_everybody_means() -> None:
    assert words.describe_amounts({"nvidia.com/gpu": 8}) == "8"
    assert words.describe_amounts({"nvidia.com/mig-1g.12gb": 7, "nvidia.com/gpu": 1}) == "gpu: 1\nmig-1g.12gb: 7"
    assert words.describe_amounts({}) == "0"


def test_in_order_sorts_as_people_count() -> None:
    assert words.in_order(["gpu-10", "gpu-2", "gpu", "2-gpu"]) == ["2-gpu", "gpu", "gpu-2", "gpu-10"]


def test_join_some_says_how_many_more() -> None:
    assert words.join_some(["a", "b"]) == "a, b"
    assert words.join_some(["a", "b", "c", "d", "e"], 2) == "a, b and 3 more"

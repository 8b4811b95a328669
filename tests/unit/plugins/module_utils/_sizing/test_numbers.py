# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import (
    Share,
    read_decimal,
    read_share,
    read_whole,
    show_decimal,
)


@pytest.mark.parametrize(("value", "number"), [(4621, 4621), ("4621", 4621), (" 8 ", 8), ("-3", -3), (0, 0)])
def test_read_whole_reads_numbers_and_their_text(value: Any, number: int) -> None:
    assert read_whole(value) == number


@pytest.mark.parametrize("value", [True, 4621.0, "4621.5", "", "eight", None, [8], "1e3", "９９"])
def test_read_whole_refuses_everything_else(value: Any) -> None:
    with pytest.raises(ValueError, match="is not a whole number"):
        read_whole(value)


@pytest.mark.parametrize(("value", "shown"), [(0.9, "0.9"), ("0.90", "0.9"), (1, "1"), ("1e-1", "0.1"), ("100", "100")])
def test_read_decimal_takes_a_float_as_it_is_written(value: Any, shown: str) -> None:
    assert show_decimal(read_decimal(value)) == shown


@pytest.mark.parametrize("value", [True, "ninety", None, "nan", float("inf"), "", [0.9]])
def test_read_decimal_refuses_what_is_no_finite_number(value: Any) -> None:
    with pytest.raises(ValueError, match="number"):
        read_decimal(value)


@pytest.mark.parametrize(
    ("value", "share"),
    [
        (3, Share(count=3)),
        ("3", Share(count=3)),
        ("25%", Share(percent=Decimal(25))),
        (" 12.5 %", Share(percent=Decimal("12.5"))),
        ("100%", Share(percent=Decimal(100))),
    ],
)
def test_read_share_reads_numbers_and_percentages(value: Any, share: Share) -> None:
    assert read_share(value) == share


@pytest.mark.parametrize("value", [0, "0", -1, "0%", "101%", "-5%", "half", "", None, 2.5, "%"])
def test_read_share_refuses_what_is_no_share(value: Any) -> None:
    with pytest.raises(ValueError):
        read_share(value)


@pytest.mark.parametrize(
    ("share", "total", "number"),
    [("25%", 40, 10), ("25%", 43, 10), ("25%", 2, 1), ("25%", 0, 1), (5, 3, 5), ("100%", 7, 7)],
)
def test_share_of_rounds_down_and_is_at_least_one(share: Any, total: int, number: int) -> None:
    assert read_share(share).of(total) == number


def test_share_shows_as_it_was_written() -> None:
    assert [str(read_share(value)) for value in (3, "25%", "12.50%")] == ["3", "25%", "12.5%"]

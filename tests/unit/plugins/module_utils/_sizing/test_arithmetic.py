# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.arithmetic import (
    Margins,
    choose_replicas,
    divide,
    leave_whole,
    state_replicas,
)


@pytest.mark.parametrize(
    ("total", "process", "replicas", "slot", "headroom", "utilization"),
    [(46068, 4621, 8, 5758, 1137, "0.8025"), (15360, 4401, 3, 5120, 719, "0.8596")],
    ids=["L20", "T4"],
)
def test_choose_replicas_the_measured_cards(
    total: int, process: int, replicas: int, slot: int, headroom: int, utilization: str
) -> None:
    choice = choose_replicas(total, process, Margins())
    assert choice.replicas == replicas
    share = divide(total, replicas, process)
    assert (share.slot_mib, share.headroom_mib, share.utilization) == (slot, headroom, Decimal(utilization))


def test_choose_replicas_shows_its_arithmetic() -> None:
    assert choose_replicas(46068, 4621, Margins()).arithmetic == "floor(0.9 x 46068 / 4621) = 8"
    with_headroom = choose_replicas(46068, 4621, Margins(Decimal("0.90"), 1500))
    assert with_headroom.arithmetic == "min(floor(0.9 x 46068 / 4621) = 8, floor(46068 / (4621 + 1500)) = 7) = 7"
    assert with_headroom.replicas == 7


def test_choose_replicas_never_goes_through_a_float() -> None:
    # In binary floating point 0.29 x 100 is 28.999999999999996.
    assert choose_replicas(100, 1, Margins(Decimal("0.29"))).replicas == 29
    assert choose_replicas(10**15 + 1, 1, Margins(Decimal("0.9"))).replicas == 9 * 10**14


def test_divide_without_a_measurement_knows_the_slot_alone() -> None:
    assert divide(46068, 8, None).to_dict() == {"slot_mib": 5758, "headroom_mib": None, "utilization": None}


def test_stated_and_whole_say_so() -> None:
    assert (state_replicas(4).replicas, state_replicas(4).arithmetic) == (4, "stated: 4")
    assert (leave_whole().replicas, leave_whole().arithmetic) == (1, "not shared: 1")


@given(
    total=st.integers(1, 200_000),
    process=st.integers(1, 200_000),
    per_mille=st.integers(1, 1000),
    headroom=st.integers(0, 20_000),
)
def test_choose_replicas_is_the_most_that_fits(total: int, process: int, per_mille: int, headroom: int) -> None:
    margins = Margins(Decimal(per_mille) / 1000, headroom)
    chosen = choose_replicas(total, process, margins).replicas

    def fits(number: int) -> bool:
        """By counting, not by dividing."""
        return number * process * 1000 <= per_mille * total and number * (process + headroom) <= total

    assert fits(chosen)
    assert not fits(chosen + 1)


@given(total=st.integers(1, 200_000), replicas=st.integers(1, 200), process=st.integers(1, 50_000))
def test_divide_slots_and_headroom_add_up(total: int, replicas: int, process: int) -> None:
    share = divide(total, replicas, process)
    assert share.slot_mib * replicas <= total < (share.slot_mib + 1) * replicas
    assert share.headroom_mib == share.slot_mib - process
    assert share.utilization is not None
    assert abs(Fraction(share.utilization) - Fraction(replicas * process, total)) <= Fraction(1, 20_000)

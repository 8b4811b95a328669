# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.availability import Availability
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.waves import (
    WaveLimits,
    allowed_at_once,
    plan_waves,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import Share, read_share


def exceeded(limit: object, beginning: str, out: str = "", gpu_nodes: int = 8) -> str:
    """Nodes have a letter each."""
    return Availability(gpu_nodes, frozenset(out)).exceeded(read_share(limit), frozenset(beginning))


@pytest.mark.parametrize(
    ("limit", "beginning", "out", "allowed"),
    [
        pytest.param("25%", "ab", "", True, id="as many as may be"),
        pytest.param("25%", "abc", "", False, id="one too many"),
        pytest.param("25%", "ab", "x", False, id="somebody else has one out"),
        pytest.param("25%", "a", "x", True, id="which leaves one"),
        pytest.param("25%", "a", "xyz", True, id="one at a time is always allowed"),
        pytest.param("25%", "ab", "xyz", False, id="two are not"),
        pytest.param("1", "ab", "ab", True, id="what is out already costs nothing"),
        pytest.param(1, "ab", "b", True, id="so one of two costs one"),
        pytest.param(3, "", "xyzuv", True, id="nothing begins"),
    ],
)
def test_wave_may_begin_by_the_planners_rule(limit: object, beginning: str, out: str, allowed: bool) -> None:
    assert (exceeded(limit, beginning, out) == "") is allowed


def test_reason_names_numbers_nodes_and_the_cure() -> None:
    assert exceeded("25%", "abxc", "xyz") == (
        "3 of 8 GPU nodes are out of service (x, y, z), and this wave would add 3; at most 2 may be. "
        "Wait until they are back, or raise kubegpu_max_unavailable."
    )


@given(
    changing=st.sets(st.sampled_from("abcdefgh"), min_size=1),
    out=st.sets(st.sampled_from("abcdefgh")),
    limit=st.integers(1, 9),
)
def test_every_wave_of_a_plan_may_begin_while_nothing_else_happens(
    changing: set[str], out: set[str], limit: int
) -> None:
    limits = WaveLimits(wave=Share(count=8), max_unavailable=Share(count=limit))
    at_once = allowed_at_once(limits, 8, len(out))
    still_out = set(out)
    for wave in plan_waves(dict.fromkeys(changing, "k"), frozenset(out), limits, at_once):
        assert Availability(8, frozenset(still_out)).exceeded(limits.max_unavailable, set(wave)) == ""
        still_out -= set(wave)

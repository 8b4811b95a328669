# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every way back to a recorded layout."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._mig.cards import H20, gpu

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import plan_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import RecordedGpu, layout_of, read_layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.restoring import is_between, plan_recorded
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import Wish


def recorded(one: Gpu) -> RecordedGpu:
    (entry,) = read_layout("layout", layout_of([one]))
    return entry


def wish(*names: str) -> Wish:
    return Wish("wish", True, tuple((name, names.count(name)) for name in sorted(set(names))))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([("1g.12gb",) * 7, ("3g.48gb", "3g.48gb"), ("4g.48gb", "2g.24gb"), ("7g.96gb",), ("1g.24gb",) * 4]),
    st.sampled_from([("1g.12gb",) * 3, ("3g.48gb", "2g.24gb", "1g.12gb"), ("7g.96gb",), ("2g.24gb",) * 3]),
)
def test_way_back_of_every_change_ends_where_it_began(first: Any, second: Any) -> None:
    start = plan_gpu(gpu(H20), wish(*first)).after()
    before = recorded(start)
    there = plan_gpu(start, wish(*second)).after()
    back = plan_recorded(there, before).after()
    assert before.stands(back)
    assert plan_recorded(back, before).is_empty
    assert is_between(there, before, recorded(there))
    assert is_between(back, before, recorded(there))

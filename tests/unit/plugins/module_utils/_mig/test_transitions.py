# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes between all pairs of legal layouts: legal at every step, nothing destroyed that could have stayed, and done at once."""

from __future__ import annotations

import pytest
from unit.plugins.module_utils._mig import cards
from unit.plugins.module_utils._mig.brute_force import BruteForce, bag_of, carry_out

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import plan


@pytest.mark.slow
@pytest.mark.parametrize("key", [cards.A30, cards.A100, cards.RTX])
def test_change_between_all_pairs_of_layouts_is_legal_at_every_step_and_keeps_the_most(key: str) -> None:
    brute = BruteForce(key)
    profiles = cards.model(key).profiles
    layouts = brute.by_bag()
    legal = set(brute.standings())
    for row, places in enumerate(layouts.values()):
        for column, wanted in enumerate(layouts):
            # One of the ways in which the current instances may stand, another one for each wish.
            current = places[(7 * row + column) % len(places)]
            found = plan(cards.instances(key, current), dict(wanted), profiles)
            passed = [current, *carry_out(current, found.steps())]
            assert legal.issuperset(passed), (current, wanted)
            assert bag_of(passed[-1]) == wanted, current
            assert len(found.keep) == brute.most_kept(current, wanted), (current, wanted)
            assert not found.refused
            after = found.after().instances
            assert plan(after, dict(wanted), profiles).is_empty, (current, wanted)
            assert found.is_empty == (bag_of(current) == wanted), (current, wanted)

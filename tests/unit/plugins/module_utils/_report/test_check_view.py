# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run in check mode."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.check_view import show_check
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text


def test_show_check_says_wave_by_wave_what_would_be_done(story: Any) -> None:
    evictions = [{"step": "in_maintenance"}, {"step": "in_maintenance"}, {"step": "in_service"}]
    story.plan["waves"] = [["gpu-l20"], ["gpu-t4"]]
    story.plan["rehearsal"] = {
        "waves": [{"wave": 1, "evictions": evictions}, {"wave": 2, "evictions": []}],
        "summary": ["2 pods are evicted: 2 have a place at once."],
    }
    story.plan["skipped"] = [{"node": "gpu-x", "reason": "on hold: until Monday"}]
    text = render_text(show_check(story.plan, 50), Screen())
    assert text.startswith(
        "Check of plan 0123456789abcdef: nothing was changed\n2 of 2 planned GPU nodes change, in 2 waves"
    )
    assert "2 pods are evicted: 2 have a place at once." in " ".join(text.split())
    assert "· Wave 1, 1 node: gpu-l20; 2 pods evicted, 1 stale pod recreated" in " ".join(text.split())
    assert "· Wave 2, 1 node: gpu-t4; no pod evicted" in " ".join(text.split())
    assert "1 node is held by hand: gpu-x (until Monday)" in " ".join(text.split())

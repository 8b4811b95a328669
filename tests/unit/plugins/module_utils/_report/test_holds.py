# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How nodes that a person keeps come back."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.check_view import show_check
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import show_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.summary import show_summary
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.verification import verify


@pytest.mark.parametrize(("kind", "playbook"), [("sharing", "rollout"), ("rollback", "rollback")])
def test_what_was_held_is_made_up_for_by_the_playbook_that_left_it(story: Any, kind: str, playbook: str) -> None:
    story.after["nodes"]["gpu-l20"]["hold"] = "disk swap"
    story.plan["kind"] = kind
    figures = summarise(Rollout(story.plan, story.before, story.after), "2026-03-01T12:01:00Z")
    for document in (
        verify(story.plan, story.before, story.after, 50),
        show_check(story.plan, 50, story.after),
        show_plan(story.plan, 50, story.after),
        show_summary(figures, 50),
    ):
        text = " ".join(render_text(document, Screen()).split())
        assert f"remove it as below and run the {playbook} again." in text

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a wave that failed."""

from __future__ import annotations

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter.wave_verdict import wave_verdict

NODES = ["gpu-1", "gpu-2", "gpu-3", "gpu-4"]


@pytest.mark.parametrize(
    ("failed", "of", "restored", "in_service", "headline"),
    [
        (1, 1, [], [], "1 of 1 node of this wave is not in service, so no further wave is begun."),
        (2, 4, [], [], "2 of 4 nodes of this wave are not in service, so no further wave is begun."),
        (
            1,
            1,
            ["gpu-1"],
            ["gpu-1"],
            "1 of 1 node of this wave failed, and was restored to what it was before, so no further wave is begun.",
        ),
        (
            2,
            4,
            ["gpu-1", "gpu-2"],
            [],
            "2 of 4 nodes of this wave failed, and were restored to what they were before, so no further wave is begun.",
        ),
        (
            1,
            2,
            [],
            ["gpu-1"],
            "1 of 2 nodes of this wave failed, and is in service all the same, so no further wave is begun.",
        ),
        (
            3,
            4,
            ["gpu-1"],
            [],
            "2 of 4 nodes of this wave are not in service, so no further wave is begun. Of the others that failed, "
            "1 was restored to what it was before.",
        ),
        (
            3,
            4,
            ["gpu-1"],
            ["gpu-2"],
            "1 of 4 nodes of this wave is not in service, so no further wave is begun. Of the others that failed, "
            "1 was restored to what it was before and 1 is in service all the same.",
        ),
        (
            3,
            4,
            ["gpu-1", "gpu-2"],
            ["gpu-3", "gpu-4"],
            "3 of 4 nodes of this wave failed, so no further wave is begun. Of these, 2 were restored to what they were "
            "before and 1 is in service all the same.",
        ),
    ],
)
def test_headline_counts_the_nodes_that_are_really_not_in_service(
    failed: int, of: int, restored: list[str], in_service: list[str], headline: str
) -> None:
    failures = dict.fromkeys(NODES[:failed], "no")
    outcome = {"restored": restored, "words": {}}
    assert wave_verdict(failures, NODES[:of], outcome, in_service)["headline"] == headline


def test_each_node_that_failed_has_a_line_with_what_became_of_it() -> None:
    outcome = {"restored": ["gpu-2"], "words": {"gpu-2": "(it was restored)"}}
    found = wave_verdict({"gpu-1": "no driver", "gpu-2": "no plugin"}, NODES, outcome, [])
    assert found["lines"] == ["gpu-1: no driver", "gpu-2: no plugin (it was restored)"]


def test_brief_has_the_nodes_and_what_is_before_the_first_colon_of_each_reason() -> None:
    failures = {
        "gpu-1": "2 restarts of containers since the wave began, 0 allowed: nlp/web-1 (app)",
        "gpu-2": "x" * 200,
        "gpu-3": "gave up: no answer: 500",
        "gpu-4": "b",
    }
    brief = wave_verdict(failures, NODES, {"restored": [], "words": {}}, [])["brief"]
    assert (
        "so no further wave is begun. gpu-1: 2 restarts of containers since the wave began, 0 allowed; gpu-2: xxx"
        in brief
    )
    assert brief.endswith("x…; gpu-3: gave up: no answer; and 1 more.")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster against the plan."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.verification import node_differences, verify


def differences(story: Any, name: str = "gpu-l20") -> list[str]:
    return node_differences(name, story.plan["nodes"][name], story.after)


def test_verify_says_that_all_is_as_planned(story: Any) -> None:
    text = render_text(verify(story.plan, story.before, story.after, 50), Screen())
    assert "All 2 nodes as planned; 0 GPU pods pending, 1 before." in text
    assert "gpu-l20  l20     rev-l20         8           8  ✓ as planned" in text
    assert "Differences" not in text


def _node(story: Any) -> dict[str, Any]:
    return story.after["nodes"]["gpu-l20"]


def _our_pod(story: Any) -> dict[str, Any]:
    return story.after["plugins"][0]["pods"][0]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        pytest.param(lambda s: s.after["nodes"].pop("gpu-l20"), "the cluster no longer has this node", id="node-gone"),
        pytest.param(lambda s: _node(s).update(key="t4"), "its key is t4, planned is l20", id="key"),
        pytest.param(
            lambda s: _node(s).update(revision=None), "its revision is not set, planned is rev-l20", id="revision"
        ),
        pytest.param(
            lambda s: _node(s)["resources"]["nvidia.com/gpu"].update(allocatable=0),
            "it advertises 0 of nvidia.com/gpu, planned are 8",
            id="allocatable",
        ),
        pytest.param(
            lambda s: _node(s)["resources"].update({"nvidia.com/gpu.shared": {"allocatable": 8}}),
            "it advertises 8 of nvidia.com/gpu.shared, planned are 0",
            id="unplanned-resource",
        ),
        pytest.param(
            lambda s: s.after["plugins"][0].update(pods=[]), "no plugin pod of revision rev-l20 runs there", id="no-pod"
        ),
        pytest.param(lambda s: _our_pod(s).update(ready=False), "plugin pod ours-l20 is not ready", id="pod-not-ready"),
        pytest.param(
            lambda s: s.after["plugins"].append(
                {"uid": "x", "pods": [{"name": "theirs", "uid": "y", "node": "gpu-l20", "ready": True}]}
            ),
            "plugin pod theirs, which is not of revision rev-l20, is still there",
            id="foreign-pod",
        ),
        pytest.param(lambda s: _node(s).update(ready=False), "it is not Ready", id="not-ready"),
        pytest.param(
            lambda s: _node(s).update(unschedulable=True, maintenance={"reason": "allocatable is 0"}),
            "it is still in maintenance (allocatable is 0)",
            id="maintenance",
        ),
        pytest.param(lambda s: _node(s).update(unschedulable=True), "it is cordoned, by somebody else", id="cordoned"),
    ],
)
def test_node_differences_names_what_differs(story: Any, change: Callable[[Any], None], difference: str) -> None:
    assert differences(story) == []
    change(story)
    assert differences(story) == [difference]
    text = render_text(verify(story.plan, story.before, story.after, 50), Screen())
    assert "1 of 2 nodes not as planned" in text
    assert f"· gpu-l20: {difference}." in text


def test_node_differences_node_that_was_cordoned_before_may_stay_so(story: Any) -> None:
    story.plan["nodes"]["gpu-l20"]["was_unschedulable"] = True
    _node(story)["unschedulable"] = True
    assert differences(story) == []


def test_node_differences_resources_of_other_plugins_do_not_count(story: Any) -> None:
    _node(story)["resources"]["nvidia.com/hostdev"] = {"allocatable": 4}
    assert differences(story) == []


def test_verify_lists_nodes_that_differ_first_and_pods_that_wait(story: Any) -> None:
    story.after["nodes"]["gpu-t4"]["revision"] = "other"
    story.after["pending"] = story.before["pending"]
    text = render_text(verify(story.plan, None, story.after, 50), Screen())
    assert text.index("gpu-t4") < text.index("gpu-l20")
    assert "1 GPU pod pending." in text
    assert "Still pending" in text

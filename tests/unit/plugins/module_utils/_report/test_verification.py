# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster against the plan."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.node_verdict import judge_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.verification import describe_verdicts, verify


def differences(story: Any, name: str = "gpu-l20") -> list[str]:
    return list(judge_node(name, story.plan["nodes"][name], story.after).differences)


def test_verify_says_that_all_is_as_planned(story: Any) -> None:
    text = render_text(verify(story.plan, story.before, story.after, 50), Screen())
    assert "All 2 planned nodes as planned; 0 GPU pods pending, 1 before." in text
    assert "gpu-l20  l20     rev-l20         8           8  ✓ as planned" in text
    assert "Differences" not in text


def test_verify_keeps_in_sight_what_was_accepted(story: Any) -> None:
    story.plan["warnings"] = ["gpu-l20: too much. Accepted by kubegpu_accept_live_memory.", "another"]
    text = render_text(verify(story.plan, None, story.after, 50), Screen())
    assert "Accepted, not cured\n  · gpu-l20: too much." in text
    assert "another" not in text


def _node(story: Any) -> dict[str, Any]:
    return story.after["nodes"]["gpu-l20"]


def _our_pod(story: Any) -> dict[str, Any]:
    return story.after["plugins"][0]["pods"][0]


def _node_with(**values: Any) -> Callable[[Any], None]:
    """Changes the node's entry."""
    return lambda story: _node(story).update(values)


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        pytest.param(lambda s: s.after["nodes"].pop("gpu-l20"), "is not in the cluster", id="node-gone"),
        pytest.param(
            _node_with(key="t4"),
            "labels are key 't4' and revision 'rev-l20', not 'l20' and 'rev-l20'",
            id="key",
        ),
        pytest.param(
            _node_with(revision=None),
            "labels are key 'l20' and revision None, not 'l20' and 'rev-l20'",
            id="revision",
        ),
        pytest.param(
            lambda s: _node(s)["resources"]["nvidia.com/gpu"].update(allocatable=0),
            "allocatable nvidia.com/gpu is 0, expected 8",
            id="allocatable",
        ),
        pytest.param(
            lambda s: _node(s)["resources"].update({"nvidia.com/gpu.shared": {"allocatable": 8}}),
            "allocatable nvidia.com/gpu.shared is 8, expected 0",
            id="unplanned-resource",
        ),
        pytest.param(
            lambda s: s.after["plugins"][0].update(pods=[]),
            "no plugin pod of revision rev-l20 is on the node",
            id="no-pod",
        ),
        pytest.param(
            lambda s: _our_pod(s).update(ready=False),
            "plugin pod is not ready (kubegpu-system/ours-l20: no phase)",
            id="pod-not-ready",
        ),
        pytest.param(
            lambda s: s.after["plugins"].append(
                {
                    "namespace": "ns",
                    "uid": "x",
                    "pods": [{"name": "theirs", "uid": "y", "node": "gpu-l20", "ready": True}],
                }
            ),
            "another plugin pod is on the node (ns/theirs: no phase)",
            id="foreign-pod",
        ),
        pytest.param(_node_with(ready=False), "node is not Ready (see its conditions)", id="not-ready"),
        pytest.param(
            _node_with(unschedulable=True, maintenance={"run": "r1", "since": "noon", "step": "serving"}),
            "is still in maintenance (since noon) of run r1, last step serving",
            id="maintenance",
        ),
        pytest.param(
            _node_with(unschedulable=True),
            "is cordoned, and was not when the plan was made",
            id="cordoned",
        ),
    ],
)
def test_judge_node_names_what_differs(story: Any, change: Callable[[Any], None], difference: str) -> None:
    assert differences(story) == []
    change(story)
    (found,) = differences(story)
    assert found.startswith("node gpu-l20")
    assert found.endswith(difference)
    text = render_text(verify(story.plan, story.before, story.after, 50), Screen())
    assert "1 of 2 planned nodes not as planned" in text
    assert f"· {found}" in text


def test_judge_node_node_that_was_cordoned_before_may_stay_so(story: Any) -> None:
    story.plan["nodes"]["gpu-l20"]["was_unschedulable"] = True
    _node(story)["unschedulable"] = True
    assert differences(story) == []


def test_judge_node_resources_of_other_plugins_do_not_count(story: Any) -> None:
    _node(story)["resources"]["nvidia.com/hostdev"] = {"allocatable": 4}
    assert differences(story) == []


def test_verify_lists_nodes_that_differ_first_and_pods_that_wait(story: Any) -> None:
    story.after["nodes"]["gpu-t4"]["revision"] = "other"
    story.after["pending"] = story.before["pending"]
    text = render_text(verify(story.plan, None, story.after, 50), Screen())
    assert text.index("gpu-t4") < text.index("gpu-l20")
    assert "1 GPU pod pending." in text
    assert "Still pending" in text


def test_judge_node_says_that_the_label_of_another_plugin_is_back(story: Any) -> None:
    _node(story)["labels"] = {"nvidia-device-enable": "enable"}
    (found,) = differences(story)
    assert found.startswith("node gpu-l20: label nvidia-device-enable=enable is back")


@pytest.mark.parametrize("maintenance", [None, {"run": "r1", "since": "noon"}])
def test_verify_node_that_is_held_out_of_service_does_not_differ(story: Any, maintenance: Any) -> None:
    _node(story).update(unschedulable=True, hold="disk swap", maintenance=maintenance)
    assert differences(story) == []
    text = render_text(verify(story.plan, story.before, story.after, 50), Screen())
    assert "All 2 planned nodes as planned; 1 node is held by hand: gpu-l20 (disk swap);" in text
    assert "$ kubectl annotate node gpu-l20 kubegpu.sharing/hold-" in text
    assert "held: disk swap" in text
    assert "Differences" not in text


def test_verify_node_that_is_held_and_not_proven_differs(story: Any) -> None:
    _node(story).update(unschedulable=True, hold="disk swap", maintenance={"run": "r1"}, revision=None)
    assert any("labels are" in difference for difference in differences(story))


def test_verify_over_no_node_is_no_success(story: Any) -> None:
    story.plan.update(nodes={}, skipped=[{"node": "gpu-l20", "reason": "on hold: x"}])
    text = render_text(verify(story.plan, story.before, story.after, 50), Screen())
    assert "No node was planned for; 1 node is held by hand: gpu-l20 (x);" in text
    assert "All 0" not in text
    assert "Held by hand" in text


def test_verify_lists_pods_that_a_kubelet_refused_meanwhile(story: Any) -> None:
    refused = {"namespace": "nlp", "name": "a", "uid": "1", "node": "gpu-t4", "reason": "UnexpectedAdmissionError"}
    story.before["failed"] = [{**refused, "uid": "0", "name": "old", "message": "m"}]
    story.after["failed"] = [*story.before["failed"], {**refused, "message": "no healthy devices"}]
    text = render_text(verify(story.plan, story.before, story.after, 50), Screen())
    assert "refused meanwhile\n  · nlp/a on gpu-t4: UnexpectedAdmissionError: no healthy devices" in text
    assert "nlp/old" not in text


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ((0, 0), "No node was planned for"),
        ((1, 0), "The planned node is as planned"),
        ((1, 1), "1 of 1 planned node not as planned"),
        ((3, 0), "All 3 planned nodes as planned"),
        ((3, 1), "1 of 3 planned nodes not as planned"),
    ],
)
def test_describe_verdicts_counts_nodes(counts: tuple[int, int], words: str) -> None:
    assert describe_verdicts(*counts) == words


def test_node_that_went_back_to_the_plugin_of_somebody_else_is_as_planned(story: Any) -> None:
    """After a rollback the cluster is as the rollout had found it."""
    entry = story.before["nodes"]["gpu-l20"]
    theirs = next(
        plugin for plugin in story.before["plugins"] if any(pod["node"] == "gpu-l20" for pod in plugin["pods"])
    )
    count = entry["resources"]["nvidia.com/gpu"]["allocatable"]
    title = f"{theirs['namespace']}/{theirs['name']}"
    to = {"key": entry.get("key"), "revision": None, "labels": {}, "plugin": title}
    planned = {"to": to, "expected_resources": {"nvidia.com/gpu": count}, "release": None}
    assert list(judge_node("gpu-l20", planned, story.before).differences) == []
    gone = {**story.before, "plugins": []}
    assert list(judge_node("gpu-l20", planned, gone).differences) == [
        f"node gpu-l20: no plugin pod of DaemonSet {title} is on the node"
    ]


def test_verify_layout_of_gpus_counts_where_nothing_was_done_since(story: Any) -> None:
    story.plan["nodes"]["gpu-l20"]["mig"] = {"differences": ["GPU 0: 1 MIG device to create"]}
    told = verify(story.plan, None, story.after, 50)
    assert "1 of 2 planned nodes not as planned" in told.subtitle
    assert "gpu-l20: GPU 0: 1 MIG device to create" in next(
        s.items for s in told.sections if s.heading == "Differences"
    )
    # After a rollout the plan tells what had been different before it.
    assert "All 2 planned nodes as planned" in verify(story.plan, story.before, story.after, 50).subtitle

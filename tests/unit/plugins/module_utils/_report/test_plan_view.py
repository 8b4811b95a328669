# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in words."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import shorten_approved, show_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.rehearsal_view import BUDGETS
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text

from .test_rehearsal_view import budget, eviction, wave


def show(story: Any, limit: int = 50) -> str:
    return render_text(show_plan(story.plan, limit), Screen())


def test_process_memory_that_is_stated_is_not_called_measured(story: Any) -> None:
    text = render_text(show_plan(story.plan, 50), Screen())
    assert "Process  Replicas" in text
    assert "easured" not in text


def test_show_plan_makes_the_arithmetic_visible(story: Any) -> None:
    text = show(story)
    assert text.startswith(
        "Plan 0123456789abcdef\n2 of 2 planned GPU nodes change, in 1 wave; GPU slots 2 → 11 on the planned nodes.\n"
    )
    for row in (
        "gpu-l20  l20        4621         8  80.2 %  5758      1137   1 → 8",
        "gpu-t4   t4         4401         3  86.0 %  5120       719   1 → 3",
        "· Config l20: time-slicing, floor(0.9 x 46068 / 4621) = 8",
        "· Config t4: time-slicing, floor(0.9 x 15360 / 4401) = 3",
    ):
        assert row in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_shorten_approved_leaves_the_headline(story: Any) -> None:
    text = render_text(shorten_approved(show_plan(story.plan, 50)), Screen())
    assert text.rstrip() == (
        "Plan 0123456789abcdef\n"
        "As approved: 2 of 2 planned GPU nodes change, in 1 wave; GPU slots 2 → 11 on the planned nodes."
    )


def test_shorten_approved_leaves_the_budgets_that_refuse_now(story: Any) -> None:
    story.plan["rehearsal"] = {"waves": [wave(1, eviction("a"), budgets=[budget("nlp")])], "budgets_known": True}
    shown = shorten_approved(show_plan(story.plan, 50))
    assert [section.heading for section in shown.sections] == [BUDGETS]


def test_show_plan_says_who_is_disturbed_and_how_the_present_plugin_leaves(story: Any) -> None:
    text = show(story)
    assert "cordoned, plugin switched, nothing" in text
    assert "nvidia-device-enable=enable" in text
    assert "kube-system/nvidia-device-plugin-daemonset leaves 2 nodes (gpu-l20, gpu-t4)" in text


def test_show_plan_release_by_affinity_says_what_is_patched(story: Any) -> None:
    story.plan["releases"][0].update(method="affinity", label=None, patch={})
    story.plan["nodes"]["gpu-l20"]["release"].update(method="affinity", label=None)
    text = show(story)
    assert "update strategy becomes OnDelete" in text
    assert "affinity of its DaemonSet" in text


def test_show_plan_lists_stale_pods_compatibility_waves_warnings_and_skipped(story: Any) -> None:
    story.plan["nodes"]["gpu-l20"]["stale_pods"] = [{"namespace": "default", "name": "nlp-0", "uid": "u"}]
    story.plan["compatibility"] = [
        {"severity": "info", "code": "i", "object": "Quota default/gpus", "message": "counts slots, not cards"},
        {"severity": "warning", "code": "w", "object": "Deployment ml/train", "message": "asks for 2"},
    ]
    story.plan["warnings"] = ["computed 1: not shared"]
    story.plan["skipped"] = [{"node": "gpu-x", "reason": "the node is not Ready"}]
    text = show(story)
    assert "1 pod keeps its device id from before the change" in text
    assert "· default/nlp-0 on gpu-l20" in text
    assert text.index("Deployment ml/train") < text.index("Quota default/gpus"), "warnings come first"
    assert "· Wave 1, 2 nodes (canaries of l20, t4): gpu-l20, gpu-t4" in text
    assert "· computed 1: not shared" in text
    assert "· gpu-x: the node is not Ready" in text
    assert "on the planned nodes; 1 node left alone." in text


def test_show_plan_recreated_pods_and_the_rehearsal_stand_under_what_changes(story: Any) -> None:
    story.plan["nodes"]["gpu-l20"]["stale_pods"] = [{"namespace": "default", "name": "nlp-0", "uid": "u"}]
    wave = {"wave": 1, "nodes": ["gpu-l20"], "evictions": [], "blocking_budgets": [], "slots_out": 2}
    wave.update(slots_missing_at_worst=0, slots_missing=0, gpu_slots_in_cluster=2)
    story.plan.update(stale_pods="recreate", rehearsal={"waves": [wave], "budgets_known": True})
    text = show(story)
    assert "Once its node serves, such a pod is evicted within its budgets" in text
    assert "· Wave 1: 2 of 2 slots out of service; no pod is evicted." in text
    assert text.index("What changes") < text.index("Rehearsal") < text.index("Compatibility")


def test_show_plan_empty_one_says_that_nothing_changes(story: Any) -> None:
    story.plan.update(empty=True, waves=[], releases=[], totals={"slots_before": 11, "slots_after": 11})
    for node in story.plan["nodes"].values():
        node["changed"] = False
    text = show(story)
    assert "Nothing to change: 2 planned GPU nodes already as wanted; GPU slots 11 → 11 on the planned nodes." in text
    assert "What changes" not in text
    assert "Waves" not in text


def test_show_plan_refused_one_lists_the_problems_first(story: Any) -> None:
    story.plan["problems"] = ["config l20: replicas is 1. Use 2 or more."]
    text = show(story)
    assert text.index("Refused: nothing will be changed") < text.index("How each GPU is shared")
    assert "· config l20: replicas is 1. Use 2 or more." in text


def test_show_plan_replicas_by_resource_are_all_shown(story: Any) -> None:
    node = story.plan["nodes"]["gpu-l20"]
    node["replicas"] = {"nvidia.com/mig-1g.12gb": 2, "nvidia.com/gpu": 3}
    node["sizing"] = {}
    text = show(story)
    assert "mig-1g.12gb: 2" in text
    assert "gpu: 3" in text


def test_show_plan_of_many_nodes_sums_up_by_config(story: Any) -> None:
    template = story.plan["nodes"]["gpu-l20"]
    story.plan["nodes"] = {f"gpu-{n}": template for n in range(100)}
    text = show(story, limit=10)
    assert "Configs" in text
    assert "l20     time-slicing    100     100   100           100    800" in text
    assert "… and 90 more, not shown here" in text


def test_show_plan_names_canaries_only_where_a_config_is_tried_first(story: Any) -> None:
    story.plan["nodes"]["gpu-x"] = story.plan["nodes"]["gpu-l20"]
    story.plan["waves"] = [["gpu-l20"], ["gpu-t4"], ["gpu-x"]]
    text = show(story)
    assert "· Wave 1, 1 node (canary of l20): gpu-l20" in text
    assert "· Wave 2, 1 node (canary of t4): gpu-t4" in text
    assert "· Wave 3, 1 node: gpu-x" in text


def test_show_plan_says_under_the_table_how_sure_facts_from_labels_are(story: Any) -> None:
    assert "Facts of" not in show(story)
    story.plan["nodes"]["gpu-t4"].update(facts="labels", confidence="from labels, every card taken as alike")
    text = show(story)
    note = "· Facts of gpu-t4: from labels, every card taken as alike. So the memory in use there was not checked"
    assert text.index("Total") < text.index(note) < text.index("What changes")


def test_show_plan_that_plans_nothing_does_not_read_as_done(story: Any) -> None:
    story.plan.update(nodes={}, empty=True, waves=[], releases=[], skipped=[{"node": "gpu-x", "reason": "on hold: x"}])
    text = show(story)
    assert "No node is planned for; 1 node is held by hand: gpu-x (x)." in text
    assert "already as wanted" not in text


def test_show_plan_says_in_its_headline_who_is_held_and_how_to_end_that(story: Any) -> None:
    story.plan["skipped"] = [
        *({"node": f"gpu-{n}", "reason": f"on hold: reason {n}"} for n in (10, 9)),
        {"node": "gpu-x", "reason": "the node is not Ready"},
    ]
    note = {"run": "r1", "since": "2026-03-01T12:00:00.125Z"}
    nodes = {"gpu-9": {"hold": "reason 9", "unschedulable": True, "maintenance": note}, "gpu-10": {"hold": "reason 10"}}
    text = render_text(show_plan(story.plan, 50, {"nodes": nodes}), Screen())
    headline = " ".join(text.partition("How each GPU")[0].split())
    assert headline.endswith("; 1 node left alone; 2 nodes are held by hand: gpu-9 (reason 9), gpu-10 (reason 10).")
    assert "· gpu-9: reason 9; out of service since 2026-03-01 12:00 UTC (run r1)\n" in text
    assert "· gpu-10: reason 10; in service\n" in text
    assert "\n  $ kubectl annotate node gpu-9 gpu-10 kubegpu.sharing/hold-\n" in text
    assert "Left alone\n  · gpu-x: the node is not Ready" in text


def test_show_plan_reasons_do_not_repeat_other_columns(story: Any) -> None:
    l20, t4 = (story.plan["nodes"][name] for name in ("gpu-l20", "gpu-t4"))
    l20["reasons"] = ["new config l20", "advertises 1, planned 8", "served by a plugin that is not ours"]
    t4["reasons"] = ["advertises 2, planned 3"]
    text = show(story)
    assert "gpu-l20  new config l20           cordoned, plugin switched, nothing evicted" in text
    assert "gpu-t4   advertises 2, planned 3  cordoned" in text, "the only reason is shown"


def test_show_plan_node_that_is_only_resumed_keeps_its_plugin(story: Any) -> None:
    story.plan["nodes"]["gpu-l20"].update(disruption="none", release=None, reasons=["resumed after run r0"])
    (row,) = (line for line in show(story).splitlines() if "resumed after run r0" in line)
    assert "nothing: the plugin stays" in row
    assert row.split()[-1] == "-"
    assert "switched" not in row


def test_show_plan_a_plugin_of_ours_leaves_by_label(story: Any) -> None:
    story.plan["nodes"]["gpu-l20"].update(release=None)
    assert "label of our own DaemonSet" not in show(story)
    story.plan["nodes"]["gpu-l20"]["from"]["revision"] = "old"
    assert "label of our own DaemonSet" in show(story)

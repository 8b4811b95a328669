# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figures of a rollout, and the pods behind them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.summary import show_summary
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text

COUNTS = ("evicted_pods", "admission_errors", "pods_restarted")


def figures(story: Any, **extra: Any) -> dict[str, Any]:
    return summarise(Rollout(story.plan, story.before, story.after, story.journal, extra), "2026-03-01T12:01:00Z")


def pods_of(story: Any, node: str) -> list[dict[str, Any]]:
    return story.after["nodes"][node]["pods"]


def test_summarise_the_story(story: Any) -> None:
    found = figures(story)
    assert {name: found[name] for name in ("slots_before", "slots_after", "pending_before", "pending_after")} == {
        "slots_before": 2,
        "slots_after": 11,
        "pending_before": 1,
        "pending_after": 0,
    }
    assert [found[name] for name in COUNTS] == [0, 0, 0]
    assert (found["plan_id"], found["second_run_writes"], found["as_planned"]) == ("0123456789abcdef", None, True)
    l20 = found["nodes"]["gpu-l20"]
    assert {
        name: l20[name] for name in ("product", "key", "sharing", "replicas", "slot_mib", "headroom_mib", "utilization")
    } == {
        "product": "NVIDIA L20",
        "key": "l20",
        "sharing": "time_slicing",
        "replicas": 8,
        "slot_mib": 5758,
        "headroom_mib": 1137,
        "utilization": 0.8025,
    }
    assert (l20["resources_before"], l20["resources_after"]) == ({"nvidia.com/gpu": 1}, {"nvidia.com/gpu": 8})
    assert l20["seconds_out_of_service"] == 10.0
    assert json.loads(json.dumps(found)) == found


def test_summarise_pods_that_their_deployment_replaced_are_its_own_update(story: Any) -> None:
    rolled = figures(story)["pods"]["rolled_by_their_controller"]
    assert [(pod["name"], pod["node"]) for pod in rolled] == [("nlp-0", "gpu-l20"), ("nlp-1", "gpu-t4")]


def test_summarise_pod_that_vanished_without_newer_template_was_restarted(story: Any) -> None:
    story.after["nodes"]["gpu-l20"]["pods"] = [pod for pod in pods_of(story, "gpu-l20") if pod["name"] != "web-0"]
    found = figures(story)
    assert found["pods_restarted"] == 1
    assert found["pods"]["restarted"] == [
        {"namespace": "default", "name": "web-0", "uid": "uid-web-0", "node": "gpu-l20", "why": "it is gone"}
    ]


def test_summarise_pod_recreated_from_the_same_template_was_restarted(story: Any) -> None:
    replaced = pods_of(story, "gpu-l20")[1]
    replaced.update(uid="another", name="web-9")
    assert figures(story)["pods_restarted"] == 1


def test_summarise_pod_replaced_by_a_pending_newer_one_was_restarted(story: Any) -> None:
    for node in ("gpu-l20", "gpu-t4"):
        pods_of(story, node)[0]["phase"] = "Pending"
    assert figures(story)["pods_restarted"] == 2


def test_summarise_container_restarts_count_once_for_each_pod(story: Any) -> None:
    story.before["nodes"]["gpu-l20"]["pods"][1]["restarts"] = 2
    pods_of(story, "gpu-l20")[1]["restarts"] = 4
    pods_of(story, "gpu-t4")[1]["restarts"] = 0
    found = figures(story)
    assert found["pods_restarted"] == 1
    assert found["pods"]["restarted"][0]["why"] == "its containers restarted 2 times"
    pods_of(story, "gpu-l20")[1]["restarts"] = 3
    assert figures(story)["pods"]["restarted"][0]["why"] == "its containers restarted once"


@pytest.mark.parametrize(("phase", "count"), [("Failed", 1), ("Succeeded", 0)])
def test_summarise_pod_that_ended(story: Any, phase: str, count: int) -> None:
    pods_of(story, "gpu-l20")[1]["phase"] = phase
    assert figures(story)["pods_restarted"] == count


@pytest.mark.parametrize("change", [{"phase": "Pending"}, {"terminating": True}, {"phase": "Succeeded"}])
def test_summarise_pods_that_did_not_run_before_do_not_count(story: Any, change: dict[str, Any]) -> None:
    story.before["nodes"]["gpu-l20"]["pods"][1].update(change)
    story.after["nodes"]["gpu-l20"]["pods"] = pods_of(story, "gpu-l20")[:1]
    assert figures(story)["pods_restarted"] == 0


def test_summarise_plugin_pods_do_not_count(story: Any) -> None:
    plugin = {"namespace": "kube-system", "name": "plugin-x", "phase": "Running", "restarts": 0}
    by_list = {**plugin, "uid": "uid-plugin-0"}
    by_owner = {**plugin, "uid": "u", "owner": {"kind": "DaemonSet", "name": "n", "uid": "uid-plugin"}}
    story.before["nodes"]["gpu-l20"]["pods"] += [by_list, by_owner]
    assert figures(story)["pods_restarted"] == 0


def test_summarise_admission_errors_are_those_that_are_new(story: Any) -> None:
    refused = {
        "namespace": "default",
        "name": "nlp-8",
        "uid": "new",
        "node": "gpu-t4",
        "reason": "UnexpectedAdmissionError",
        "message": "m",
    }
    story.before["failed"] = [{**refused, "uid": "old"}]
    story.after["failed"] = [{**refused, "uid": "old"}, refused]
    found = figures(story)
    assert found["admission_errors"] == 1
    assert found["pods"]["admission_errors"][0]["uid"] == "new"


def test_summarise_evictions_come_from_journal_and_kubelets(story: Any) -> None:
    pod = {"namespace": "default", "name": "web-0", "uid": "uid-web-0"}
    story.journal.append(
        {"time": "2026-03-01T12:00:05Z", "node": "gpu-l20", "state": "evicted", "message": "m", "pod": pod}
    )
    pods_of(story, "gpu-t4")[1].update(phase="Failed", reason="Evicted")
    story.after["nodes"]["gpu-l20"]["pods"] = pods_of(story, "gpu-l20")[:1]
    found = figures(story)
    assert (found["evicted_pods"], found["pods_restarted"]) == (2, 0)


def test_summarise_recreated_pods_are_neither_evicted_nor_restarted(story: Any) -> None:
    pod = {"namespace": "default", "name": "web-0", "uid": "uid-web-0"}
    line = {"time": "2026-03-01T12:00:11Z", "node": "gpu-l20", "state": "recreated", "message": "m", "pod": pod}
    story.journal += [line, line]
    story.after["nodes"]["gpu-l20"]["pods"] = pods_of(story, "gpu-l20")[:1]
    found = figures(story)
    assert (found["pods_recreated"], found["evicted_pods"], found["pods_restarted"]) == (1, 0, 0)
    assert "Stale pods recreated" in render_text(show_summary(found, 50), Screen())


def test_summarise_slots_leave_out_resources_of_other_plugins(story: Any) -> None:
    story.after["nodes"]["gpu-l20"]["resources"]["nvidia.com/hostdev"] = {"allocatable": 4}
    story.after["nodes"]["gpu-l20"]["resources"]["nvidia.com/mig-1g.12gb"] = {"allocatable": 7}
    assert figures(story)["slots_after"] == 11 + 7


def test_summarise_stale_pods_are_those_that_still_run(story: Any) -> None:
    story.plan["nodes"]["gpu-l20"]["stale_pods"] = [
        {"namespace": "default", "name": name, "uid": f"uid-{name}"} for name in ("nlp-0", "web-0")
    ]
    found = figures(story)
    assert [(pod["name"], pod["node"]) for pod in found["pods"]["stale"]] == [("web-0", "gpu-l20")]
    text = render_text(show_summary(found, 50), Screen())
    assert "a reboot of their node would fail them\n  · default/web-0 on gpu-l20\n" in text


def test_summarise_pods_of_a_node_that_was_never_switched_are_not_stale(story: Any) -> None:
    stale = {"namespace": "default", "name": "web-0", "uid": "uid-web-0"}
    story.plan["nodes"]["gpu-l20"]["stale_pods"] = [stale]
    story.journal = [line for line in story.journal if line["state"] in ("cordoned", "withdrawn")]
    story.after["nodes"]["gpu-l20"].update(key=None, revision=None)
    assert figures(story)["pods"]["stale"] == []
    # on a node without a change they are from an earlier one
    story.plan["nodes"]["gpu-l20"]["changed"] = False
    assert [pod["name"] for pod in figures(story)["pods"]["stale"]] == ["web-0"]


def test_summarise_pods_of_a_node_that_was_restored_are_not_stale(story: Any) -> None:
    stale = {"namespace": "default", "name": "web-0", "uid": "uid-web-0"}
    story.plan["nodes"]["gpu-l20"]["stale_pods"] = [stale]
    failed = {"time": "2026-03-01T12:00:04.000Z", "node": "gpu-l20", "state": "failed", "message": "m"}
    story.journal = sorted([*story.journal, failed], key=lambda line: line["time"])
    story.after["nodes"]["gpu-l20"].update(key=None, revision=None)
    assert figures(story)["pods"]["stale"] == []


def test_summarise_lists_the_container_runtimes_that_were_set_up_and_no_others(story: Any) -> None:
    assert "Container runtimes" not in render_text(show_summary(figures(story), 50), Screen())
    runtime = {"engine": "containerd", "version": "1.6.20", "restart": True, "units": ["containerd.service"]}
    for name in ("gpu-l20", "gpu-t4"):
        story.plan["nodes"][name]["runtime"] = {**runtime, "restart": name == "gpu-l20"}
    found = figures(story)
    assert found["runtimes"] == [
        {"node": "gpu-l20", "runtime": "containerd 1.6.20", "restarted": ["containerd.service"]},
        {"node": "gpu-t4", "runtime": "containerd 1.6.20", "restarted": []},
    ]
    text = render_text(show_summary(found, 50), Screen())
    assert "  · gpu-l20: containerd 1.6.20, containerd.service restarted\n  · gpu-t4: containerd 1.6.20\n" in text
    # One that did not come back, and one that was not begun.
    failed = {"time": "2026-03-01T12:00:04.000Z", "node": "gpu-l20", "state": "failed", "message": "m"}
    begun = [line for line in story.journal if line.get("node") != "gpu-t4" or line["state"] == "cordoned"]
    story.journal = sorted([*begun, failed], key=lambda line: line["time"])
    assert figures(story)["runtimes"] == []


def test_show_summary_of_a_stopped_rollout_does_not_read_as_if_nodes_had_come_back(story: Any) -> None:
    story.journal = [line for line in story.journal if line["state"] in ("cordoned", "withdrawn")]
    found = figures(story)
    assert found["left_out_of_service"] == ["gpu-l20", "gpu-t4"]
    text = render_text(show_summary(found, 50), Screen())
    assert "First cordon to the stop, 2 nodes not back in service" in text
    assert "First cordon to last node in service" not in text
    assert text.count("still out") == 2


def test_summarise_extra_keys_are_added(story: Any) -> None:
    found = figures(story, second_run_writes=0, cluster="reference")
    assert (found["second_run_writes"], found["cluster"]) == (0, "reference")
    assert "Writes of a second run" in render_text(show_summary(found, 50), Screen())


def test_show_summary_fits_and_tells_the_end_of_the_wait(story: Any) -> None:
    text = render_text(show_summary(figures(story), 50), Screen())
    assert "GPU slots 2 → 11; pending GPU pods 1 → 0; all 2 planned nodes as planned." in text
    assert "· default/nlp-2, which had waited for 28 days" in text
    assert "Total 2 11" in " ".join(text.split())
    assert max(len(line) for line in text.splitlines()) <= 120


def test_show_summary_rows_add_up_to_the_total(story: Any) -> None:
    story.before["nodes"]["gpu-other"] = {"gpu": True, "resources": {"nvidia.com/gpu": {"allocatable": 4}}, "pods": []}
    story.after["nodes"]["gpu-other"] = story.before["nodes"]["gpu-other"]
    found = figures(story)
    assert (found["slots_before"], found["other_gpu_nodes"]) == (6, ["gpu-other"])
    (row,) = (line for line in render_text(show_summary(found, 50), Screen()).splitlines() if "other nodes" in line)
    assert row.split()[-6:-4] == ["4", "4"]


def test_show_summary_of_a_rollback_knows_no_gpus(story: Any) -> None:
    story.plan["kind"] = "rollback"
    for node in story.plan["nodes"].values():
        node.update(gpu_count=0, product="")
    text = render_text(show_summary(figures(story), 50), Screen())
    assert text.startswith("Report on the rollback of plan 0123456789abcdef\n")
    assert "×" not in text


def test_show_summary_lists_what_is_not_as_planned(story: Any) -> None:
    story.after["nodes"]["gpu-l20"]["revision"] = None
    found = figures(story)
    assert found["as_planned"] is False
    assert "· node gpu-l20: labels are key 'l20' and revision None, not 'l20' and 'rev-l20'" in render_text(
        show_summary(found, 50), Screen()
    )


def test_summarise_over_no_node_is_no_success(story: Any) -> None:
    story.plan.update(nodes={}, skipped=[{"node": "gpu-l20", "reason": "on hold: x"}])
    found = figures(story)
    assert found["as_planned"] is False
    text = render_text(show_summary(found, 50), Screen())
    assert (
        "in the whole cluster; pending GPU pods 1 → 0; no node was planned for; 1 node is held by hand: gpu-l20 (x)."
        in " ".join(text.split())
    )
    assert "Held by hand" in text
    assert "Left alone" not in text


def test_summarise_held_node_is_as_planned_and_said_to_be_held(story: Any) -> None:
    story.after["nodes"]["gpu-l20"].update(
        unschedulable=True, hold="until Monday", maintenance={"run": "r1", "since": "2026-03-01T12:00:00.125Z"}
    )
    found = figures(story)
    assert (found["as_planned"], found["nodes"]["gpu-l20"]["held"], found["nodes"]["gpu-t4"]["held"]) == (
        True,
        "until Monday",
        None,
    )
    text = render_text(show_summary(found, 50), Screen())
    assert "all 2 planned nodes as planned; 1 node is held by hand: gpu-l20 (until Monday)." in " ".join(text.split())
    assert "· gpu-l20: until Monday; out of service since 2026-03-01 12:00 UTC (run r1)" in text
    (held,) = found["held"]
    assert (held["node"], held["out"], held["run"]) == ("gpu-l20", True, "r1")


def test_show_summary_of_a_resumed_rollout_says_what_before_means(story: Any) -> None:
    assert "A resumed rollout" not in render_text(show_summary(figures(story), 50), Screen())
    text = render_text(show_summary(figures(story, resumed_from="run r0"), 50), Screen())
    assert "This run went on with run r0" in text


@pytest.mark.parametrize("holders", [{"daemonsets": [{"daemonset": "default/dcgm"}]}, None])
def test_summarise_pods_of_paused_daemonsets_are_not_restarted(story: Any, holders: Any) -> None:
    owner = {"kind": "DaemonSet", "name": "dcgm", "uid": "uid-dcgm"}
    daemon = {"owner": owner, "controller_hash": "1"}
    story.before["daemonsets"] = [{"namespace": "default", "name": "dcgm", "images": ["k8s/dcgm-exporter"]}]
    for name in ("gpu-l20", "gpu-t4"):
        story.before["nodes"][name]["pods"].append(
            {**pods_of(story, name)[1], **daemon, "name": f"dcgm-{name}", "uid": f"uid-{name}"}
        )
    story.plan["nodes"]["gpu-l20"]["mig"] = {"changes": True, "holders": holders}
    found = figures(story)
    assert [pod["name"] for pod in found["pods"]["paused"]] == ["dcgm-gpu-l20"]
    assert "dcgm-gpu-t4" in [pod["name"] for pod in found["pods"]["restarted"]]

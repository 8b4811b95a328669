# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who leaves a node and who stays."""

from __future__ import annotations

from .conftest import Open
from .stage import GPU, NODE, SLOTS


def test_gpu_pods_go_and_no_others(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 5)
    stage.deployment("web", 3, gpus=0)
    gone, kept = stage.uids("gpu"), stage.uids("web")
    result = stage.driver().in_maintenance(evict="gpu_pods")
    node = result["nodes"][NODE]
    assert (result["failed_nodes"], node["reason"]) == ([], None)
    assert {pod["uid"] for pod in node["evicted"]} == gone
    assert {line["pod"]["uid"] for line in stage.journal("evicted")} == gone
    assert (stage.uids("web"), stage.uids("gpu")) == (kept, set())
    assert not any(map(stage.exists, gone))
    assert node["stayed"] == {"daemonset": 1, "out_of_scope": 3}
    assert (node["blocked"], node["gpu_pods"], stage.unschedulable()) == ([], 0, True)


def test_all_goes_as_kubectl_drain_has_it(open_stage: Open) -> None:
    """Static pods and DaemonSets' stay, and what has finished; what would be lost needs a word."""
    stage = open_stage()
    stage.deployment("gpu", 1)
    stage.deployment("scratch", 1, gpus=0, emptydir=True)
    stage.pod("bare", gpus=0)
    stage.pod("both", gpus=0, emptydir=True)
    stage.pod("static", gpus=0, metadata={"annotations": {"kubernetes.io/config.mirror": "abc"}})
    driver = stage.driver(evict="all")
    refused = driver.in_maintenance()["nodes"][NODE]
    assert {(pod["name"].split("-")[0], pod["reason"]) for pod in refused["blocked"]} == {
        ("scratch", "needs_delete_emptydir_data"),
        ("bare", "needs_force"),
        ("both", "needs_force"),
    }
    assert refused["reason"].startswith("3 pods may not be evicted: ")
    assert "delete_emptydir_data too" in refused["reason"]
    assert refused["reason"].endswith("The node was not touched.")
    assert (stage.evictions(), stage.unschedulable()) == ([], False)
    forced = driver.in_maintenance(force=True)["nodes"][NODE]
    assert {pod["name"].split("-")[0] for pod in forced["blocked"]} == {"scratch", "both"}
    both = driver.in_maintenance(force=True, delete_emptydir_data=True)["nodes"][NODE]
    assert both["failed"] is False
    assert [pod["name"].split("-")[0] for pod in both["evicted"]] == ["bare", "both", "gpu", "scratch"]
    assert [pod["metadata"]["name"] for pod in stage.pods()] == ["static"]
    assert both["stayed"] == {"daemonset": 1, "mirror": 1}


def test_affected_are_pods_on_the_named_devices_and_those_nobody_knows_about(open_stage: Open) -> None:
    stage = open_stage()
    for name in ("slot", "whole", "apart", "unknown"):
        stage.deployment(name, 1)
    (slot,), (whole,), (apart,) = (stage.uids(name) for name in ("slot", "whole", "apart"))
    facts = stage.write_facts(NODE, {slot: ["GPU-1::0"], whole: ["GPU-2"], apart: ["GPU-3::1"]})
    driver = stage.driver(evict="affected", devices={NODE: ["GPU-1", "GPU-2"]}, facts_dir=facts)
    node = driver.in_maintenance()["nodes"][NODE]
    assert [pod["name"].split("-")[0] for pod in node["evicted"]] == ["slot", "unknown", "whole"]
    assert [name.split("/")[1].split("-")[0] for name in node["assumed_affected"]] == ["unknown"]
    assert [pod["metadata"]["labels"]["app"] for pod in stage.pods()] == ["apart"]


def test_gpu_users_go_with_the_gpu_pods_on_request(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 1)
    stage.deployment("around", 1, gpus=0)
    stage.deployment("web", 1, gpus=0)
    (uid,) = stage.uids("around")
    facts = stage.write_facts(NODE, {}, gpus=[{"uuid": "GPU-0", "processes": [{"pid": 7, "pod_uid": uid}]}])
    driver = stage.driver(evict="gpu_pods", facts_dir=facts)
    foreseen = driver.of(check_mode=True).in_maintenance()["nodes"][NODE]
    assert [pod["name"].split("-")[0] for pod in foreseen["evicted"]] == ["gpu"]
    node = driver.in_maintenance(include_gpu_users=True)["nodes"][NODE]
    assert [pod["name"].split("-")[0] for pod in node["evicted"]] == ["around", "gpu"]
    assert [pod["metadata"]["labels"]["app"] for pod in stage.pods()] == ["web"]


def test_no_more_pods_go_than_must_for_the_rest_to_fit(open_stage: Open) -> None:
    """First those whose devices vanish, then the least important, then the newest."""
    stage = open_stage()
    stage.deployment("important", 2, spec={"priorityClassName": "system-cluster-critical"})
    stage.deployment("common", 2)
    stage.deployment("vanishing", 1)
    (vanishing,) = stage.uids("vanishing")
    kept = {uid: [f"GPU-{number}::0"] for number, uid in enumerate(stage.uids() - {vanishing})}
    facts = stage.write_facts(NODE, {vanishing: ["GPU-7::39"], **kept})
    plan = {"evict": {"scope": "affected", "devices": [], "fit": {GPU: 3}}}
    node = stage.driver(plan=plan, facts_dir=facts).in_maintenance()["nodes"][NODE]
    assert [pod["name"].split("-")[0] for pod in node["evicted"]] == ["common", "vanishing"]
    assert node["gpu_pods"] == 3


def test_nothing_is_evicted_unless_the_plan_says_so(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 1)
    node = stage.driver().in_maintenance()["nodes"][NODE]
    assert (node["failed"], node.get("evicted", []), stage.evictions()) == (False, [], [])
    assert stage.unschedulable()


def test_check_mode_tells_what_a_run_does_and_writes_nothing(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 2)
    driver = stage.driver(evict="gpu_pods")
    since = stage.cluster.position()
    foreseen = driver.of(check_mode=True).in_maintenance()
    assert stage.cluster.writes(since) == []
    assert foreseen["nodes"][NODE]["would_wait_for"] == "the end of 2 pods"
    done = driver.in_maintenance()
    for fact in ("changed", "actions", "diff"):
        assert foreseen[fact] == done[fact], fact
    for fact in ("evicted", "blocked", "stayed", "changed"):
        assert foreseen["nodes"][NODE][fact] == done["nodes"][NODE][fact], fact
    assert len(done["actions"]) == 3


def test_node_is_emptied_for_its_own_sake_and_comes_back_as_it_was(open_stage: Open) -> None:
    """Rebooted meanwhile: it is back in service once it advertises again what it did, and has for a while.

    What reboots a node waits until it is up, as here: until then the API shows what the node advertised before.
    """
    stage = open_stage()
    stage.deployment("gpu", 2)
    driver = stage.driver(soak_seconds=1.0).of(plan_path=None)
    node = driver.in_maintenance(evict="gpu_pods")["nodes"][NODE]
    assert (node["failed"], len(node["evicted"]), stage.unschedulable()) == (False, 2, True)
    before = stage.cluster.reboot(NODE)["boot_id_before"]
    stage.cluster.wait_until(lambda: stage.boot_id() != before, what="the node's new boot")
    back = driver.in_service()["nodes"][NODE]
    assert (back["failed"], back["reason"], back["in_service"]) == (False, None, True)
    assert back["allocatable"] == {GPU: SLOTS}
    assert back["waited_seconds"] >= 1.0
    assert not stage.unschedulable()
    stage.ready("gpu", 2)

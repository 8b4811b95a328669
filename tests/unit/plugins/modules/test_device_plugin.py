# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.fake_cluster import (
    FOREIGN_PATH,
    GPU,
    KEY,
    REVISION,
    REVISIONS,
    FakeCluster,
    manifests,
    node_path,
)

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError

from .conftest import Start

CONFIG = "/api/v1/namespaces/kubegpu-system/configmaps/kubegpu-device-plugin-l20-0a1b2c3d4e"
DAEMONSET = "/apis/apps/v1/namespaces/kubegpu-system/daemonsets/kubegpu-device-plugin-l20-0a1b2c3d4e"


def begun(start: Start, *steps: str, **options: Any) -> tuple[FakeCluster, Any]:
    cluster, driver = start(**options)
    for step in ("lock", "present", *steps):
        getattr(driver, step)()
    return cluster, driver


# present


def test_present_makes_the_objects_once(start: Start) -> None:
    cluster, driver = begun(start)
    assert CONFIG in cluster.api.objects
    assert DAEMONSET in cluster.api.objects
    again = driver.present()
    assert (again["changed"], again["drift"], len(again["objects"])) == (False, [], 4)


def test_present_puts_drift_right(start: Start) -> None:
    cluster, driver = begun(start)
    cluster.api.change(DAEMONSET, {"spec": {"updateStrategy": {"type": "RollingUpdate"}}})
    cluster.api.change(CONFIG, {"data": {"config.yaml": "other"}})
    result = driver.present()
    assert result["drift"] == [
        "ConfigMap kubegpu-system/kubegpu-device-plugin-l20-0a1b2c3d4e",
        "DaemonSet kubegpu-system/kubegpu-device-plugin-l20-0a1b2c3d4e",
    ]
    assert cluster.api.objects[DAEMONSET]["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert cluster.api.objects[CONFIG]["data"] == {"config.yaml": "version: v1\n"}
    assert driver.present()["changed"] is False


def test_present_refuses_objects_of_someone_else_before_any_write(start: Start) -> None:
    cluster, driver = start(method="affinity")
    driver.lock()
    foreign = {**manifests("l20")[0], "metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}}
    cluster.api.put(CONFIG, foreign)
    cluster.api.put(DAEMONSET, {**manifests("l20")[1], "metadata": {}})
    before = len(cluster.api.writes)
    with pytest.raises(InputError) as caught:
        driver.present()
    assert len(caught.value.problems) == 2
    assert (
        "ConfigMap kubegpu-system/kubegpu-device-plugin-l20-0a1b2c3d4e exists and was not made by this collection"
        in caught.value.msg
    )
    assert cluster.api.writes[before:] == []


def test_present_tells_a_foreign_daemonset_to_stay_away_in_one_patch(start: Start) -> None:
    cluster, driver = begun(start, method="affinity")
    patches = [write for write in cluster.api.writes if write.path == FOREIGN_PATH]
    assert [write.method for write in patches] == ["PATCH"]
    assert patches[0].body["metadata"]["resourceVersion"]
    assert cluster.api.objects[FOREIGN_PATH]["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert driver.present()["changed"] is False


def test_present_names_the_owner_that_changed_its_daemonset(start: Start) -> None:
    cluster, driver = start(method="affinity")
    cluster.api.change(FOREIGN_PATH, {"metadata": {"generation": 4}})
    driver.lock()
    before = len(cluster.api.writes)
    with pytest.raises(InputError, match=r"generation 3 then, 4 now\)\. Its owner is helm nvidia-gpu"):
        driver.present()
    assert cluster.api.writes[before:] == []


def test_present_makes_a_namespace_of_its_own(start: Start, tmp_path: Path) -> None:
    cluster, driver = start()
    plan = json.loads(Path(driver.plan_path).read_text())
    plan["plugin"]["namespace"] = "gpu-plugins"
    path = tmp_path / "elsewhere.json"
    path.write_text(json.dumps(plan))
    driver.lock()
    result = driver.of(plan_path=str(path)).present()
    assert result["actions"][0] == "create Namespace gpu-plugins"
    assert "/api/v1/namespaces/gpu-plugins" in cluster.api.objects


# withdrawn


@pytest.mark.parametrize("method", ["label", "affinity"])
def test_withdrawn_waits_until_nothing_of_the_plugin_is_left(start: Start, method: str) -> None:
    cluster, driver = begun(start, "in_maintenance", method=method)
    result = driver.withdrawn()
    assert result["failed_nodes"] == []
    assert result["nodes"]["gpu-1"]["allocatable"] == {GPU: 0}
    assert cluster.plugin_pods("gpu-1") == []
    assert cluster.node("gpu-1")["metadata"]["labels"][REVISION] == "withdrawn"
    assert driver.withdrawn()["changed"] is False


def test_withdrawn_without_maintenance_is_refused(start: Start) -> None:
    cluster, driver = begun(start)
    result = driver.withdrawn()
    assert result["nodes"]["gpu-1"]["reason"] == (
        "it is not in maintenance. Run node_maintenance with state in_maintenance first."
    )
    assert cluster.schedulable("gpu-1")


def test_withdrawn_fails_while_the_pod_object_stays(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance", nodes={"gpu-1": "l20"})
    keep = cluster.plugin_pods("gpu-1")[0]
    path = "/api/v1/namespaces/kube-system/pods/stuck"
    stuck = {
        **keep,
        "metadata": {**keep["metadata"], "name": "stuck", "uid": "s", "deletionTimestamp": "2026-03-01T12:00:00Z"},
    }
    stuck["spec"] = {**keep["spec"], "containers": [{"name": "plugin", "image": "not-reaped"}]}
    cluster.api.put(path, stuck)
    # Long enough for the kubelet's report to be seen, even if the process stands still for seconds meanwhile.
    reason = driver.withdrawn(timeout_seconds=4.0)["nodes"]["gpu-1"]["reason"]
    assert reason == (
        "expected no plugin pod and allocatable nvidia.com/gpu 0, within 4 s; last seen: plugin pod is still there "
        "(kube-system/stuck: terminating). Look at the pod and at the node's kubelet, then run again: that goes on here. "
        "The node stays cordoned."
    )
    assert not cluster.schedulable("gpu-1")


def test_withdrawn_stops_if_the_owner_took_its_daemonset_back(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance", method="affinity")
    cluster.api.change(FOREIGN_PATH, {"spec": {"template": {"spec": {"affinity": None}}}})
    result = driver.withdrawn()
    assert result["failed_nodes"] == ["gpu-1", "gpu-2"]
    assert "helm nvidia-gpu has taken it back" in result["nodes"]["gpu-1"]["reason"]
    assert REVISION not in cluster.node("gpu-1")["metadata"]["labels"]


def test_withdrawn_stops_if_the_selector_needs_the_label_no_more(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance")
    changes = {"metadata": {"generation": 9}, "spec": {"template": {"spec": {"nodeSelector": None}}}}
    cluster.api.change(FOREIGN_PATH, changes)
    assert "(generation 3 then, 9 now)" in driver.withdrawn()["nodes"]["gpu-1"]["reason"]


def test_withdrawn_of_a_node_deleted_midway_fails_for_it_alone(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance")

    def vanish(kind: str, path: str, obj: Any) -> None:
        # Right after the step's own patch: not before it, and before a kubelet's report could prove anything.
        if kind == "MODIFIED" and path == node_path("gpu-1") and obj["metadata"]["labels"].get(REVISION) == "withdrawn":
            cluster.api.remove(path)

    cluster.api.listeners.append(vanish)
    result = driver.withdrawn()
    assert result["failed_nodes"] == ["gpu-1"]
    assert "the node was deleted or is no longer cordoned" in result["nodes"]["gpu-1"]["reason"]


def test_withdrawn_of_a_node_uncordoned_by_hand_fails_for_it(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance")
    cluster.api.change(node_path("gpu-1"), {"spec": {"unschedulable": None}})
    result = driver.withdrawn()
    assert "it was uncordoned by somebody else meanwhile" in result["nodes"]["gpu-1"]["reason"]
    assert cluster.allocatable("gpu-1") == 1


# serving


def test_serving_labels_and_proves(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance", "withdrawn")
    result = driver.serving()
    assert result["failed_nodes"] == []
    assert result["nodes"]["gpu-1"]["allocatable"] == {GPU: 8}
    labels = cluster.node("gpu-1")["metadata"]["labels"]
    assert (labels[KEY], labels[REVISION]) == ("l20", "0a1b2c3d4e")
    assert driver.serving()["changed"] is False


def test_serving_a_plugin_that_never_comes_up_says_what_it_saw(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance", "withdrawn")
    cluster.broken_revisions.add(REVISIONS["l20"])
    # The other node must be proven in this time, even if the process stands still for seconds meanwhile.
    result = driver.serving(timeout_seconds=4.0)
    assert result["failed_nodes"] == ["gpu-1"]
    assert result["nodes"]["gpu-1"]["reason"] == (
        "expected allocatable nvidia.com/gpu 8 for 0.02 s on end, within 4 s; last seen: plugin pod is not ready "
        "(kubegpu-system/kubegpu-device-plugin-l20-0a1b2c3d4e-gpu-1: Running, not ready, CrashLoopBackOff: back-off 10s "
        "restarting failed container: last ended with exit code 1 (Incompatible platform detected)); allocatable "
        "nvidia.com/gpu is 0, expected 8. Look at the plugin pod's log and at the node's driver, then run again: "
        "that goes on here. The node stays cordoned."
    )
    assert result["nodes"]["gpu-1"]["allocatable"] == {GPU: 0}
    assert result["nodes"]["gpu-2"]["failed"] is False
    assert not cluster.schedulable("gpu-1")
    cluster.broken_revisions.clear()
    lines = [json.loads(line) for line in driver.journal.read_text().splitlines()]
    assert [line["state"] for line in lines if line["node"] == "gpu-1"][-1] == "failed"


def test_serving_before_the_old_plugin_is_withdrawn_is_refused(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance")
    reason = driver.serving()["nodes"]["gpu-1"]["reason"]
    assert reason.startswith(
        "its plugin has not been withdrawn: label kubegpu.sharing/revision is None, not 'withdrawn'."
    )
    assert cluster.allocatable("gpu-1") == 1


def test_serving_begins_the_soak_anew_when_the_number_breaks(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance", "withdrawn", nodes={"gpu-1": "l20"})
    path = node_path("gpu-1")
    broken: list[float] = []

    def flap() -> None:
        cluster.api.change(path, {"status": {"allocatable": {GPU: "0"}}})
        broken.append(driver.clock.monotonic())
        cluster.api.change(path, {"status": {"allocatable": {GPU: "8"}}})

    threading.Timer(1.5, flap).start()
    # The soak outlasts a process that stands still for seconds: the break comes before its end even then.
    assert driver.serving(soak_seconds=5.0)["failed_nodes"] == []
    assert driver.clock.monotonic() - broken[0] >= 5.0


def test_serving_while_the_lock_is_lost_stops_and_names_the_new_holder(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance", "withdrawn", lease_seconds=1)
    lease = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
    threading.Timer(0.2, cluster.api.change, [lease, {"spec": {"holderIdentity": "run-2"}}]).start()
    with pytest.raises(Exception, match=r"Cannot write for run run-1: .* is held by run run-2"):
        driver.serving(soak_seconds=5)
    assert not cluster.schedulable("gpu-1")


def test_serving_renews_the_lock_while_it_waits(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance", "withdrawn", lease_seconds=1)
    before = len(cluster.api.writes)
    # A process that stands still for three of these seconds still renews it more than once.
    driver.serving(soak_seconds=4.5)
    renewals = [write for write in cluster.api.writes[before:] if write.path.endswith("/leases/kubegpu-rollout")]
    assert 2 <= len(renewals) <= 16


# pruned


def test_pruned_removes_only_revisions_that_nobody_bears(start: Start) -> None:
    cluster, driver = begun(start, "in_maintenance", "withdrawn", "serving", "in_service")
    config, daemonset = copy.deepcopy(manifests("t4"))
    for manifest in (config, daemonset):
        manifest["metadata"] = {"labels": {**manifest["metadata"]["labels"], REVISION: "ffffffffff"}}
    daemonset["spec"]["template"]["spec"]["nodeSelector"] = {REVISION: "ffffffffff"}
    cluster.api.put("/api/v1/namespaces/kubegpu-system/configmaps/old", config)
    cluster.api.put("/apis/apps/v1/namespaces/kubegpu-system/daemonsets/old", daemonset)
    cluster.api.put(
        "/api/v1/namespaces/kubegpu-system/configmaps/theirs", {"metadata": {"labels": {REVISION: "ffffffffff"}}}
    )
    foreseen = driver.of(check_mode=True).pruned()
    result = driver.pruned()
    assert result["actions"] == ["delete DaemonSet kubegpu-system/old", "delete ConfigMap kubegpu-system/old"]
    assert foreseen["actions"] == result["actions"]
    assert "/api/v1/namespaces/kubegpu-system/configmaps/theirs" in cluster.api.objects
    assert DAEMONSET in cluster.api.objects
    assert driver.pruned()["changed"] is False


def test_pruned_keeps_what_a_node_in_maintenance_may_go_back_to(start: Start) -> None:
    cluster, driver = begun(start)
    note = json.dumps({"run": "run-0", "restore": {"revision": "ffffffffff"}})
    changes = {"metadata": {"labels": {REVISION: "withdrawn"}, "annotations": {"kubegpu.sharing/maintenance": note}}}
    cluster.law_off.add("gpu-1")
    cluster.api.change(node_path("gpu-1"), changes)
    config = {"metadata": {"labels": {**manifests("l20")[0]["metadata"]["labels"], REVISION: "ffffffffff"}}}
    cluster.api.put("/api/v1/namespaces/kubegpu-system/configmaps/old", config)
    assert driver.pruned()["changed"] is False


def test_pruned_reads_no_node_where_all_objects_are_those_of_the_plan(start: Start) -> None:
    """In a large fleet the nodes are most of what there is to read, and a run that finds nothing to do looks as well."""
    cluster, driver = begun(start)
    before = cluster.api.requests.get
    driver.of(check_mode=True).pruned()
    assert cluster.api.requests.get - before == 2

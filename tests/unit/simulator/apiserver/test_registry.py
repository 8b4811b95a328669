# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The registry: identity, generations, conflicts, deletion, eviction."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.apiserver.options import WriteOptions
from simulator.registry import ApiError, Registry


@pytest.fixture
def registry() -> Registry:
    return Registry()


def pod(name: str, node: str = "n", **metadata: Any) -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "registry.example.com/app:1"}], "nodeName": node}
    return {"metadata": {"name": name, **metadata}, "spec": spec}


def daemon_set(name: str = "ds") -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "x:1"}]}}
    return {"metadata": {"name": name}, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def set_running(registry: Registry, name: str) -> None:
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    registry.patch("pods", "default", name, {"status": status}, subresource="status")


def test_objects_given_are_copied(registry: Registry) -> None:
    given = pod("a")
    registry.create("pods", given, "default")
    assert given == pod("a")


def test_create_needs_its_namespace_and_a_name(registry: Registry) -> None:
    with pytest.raises(ApiError, match='namespaces "nowhere" not found') as missing:
        registry.create("pods", pod("a"), "nowhere")
    assert missing.value.code == 404
    with pytest.raises(ApiError, match="name or generateName is required"):
        registry.create("pods", pod(""), "default")
    made = registry.create("pods", pod("", generateName="a-"), "default")
    assert made["metadata"]["name"].startswith("a-")
    with pytest.raises(ApiError, match="already exists"):
        registry.create("pods", pod(made["metadata"]["name"]), "default")


def test_dry_run_answers_and_stores_nothing(registry: Registry) -> None:
    revision = registry.store.revision
    assert "resourceVersion" not in registry.create("pods", pod("a"), "default", dry_run=True)["metadata"]
    registry.create("pods", pod("b"), "default")
    patched = registry.patch("pods", "default", "b", {"metadata": {"labels": {"x": "y"}}}, dry_run=True)
    assert patched["metadata"]["labels"] == {"x": "y"}
    assert registry.delete("pods", "default", "b", dry_run=True)
    assert registry.store.revision == revision + 1


def test_generation_counts_changes_of_the_specification_alone(registry: Registry) -> None:
    registry.create("apps/daemonsets", daemon_set(), "default")

    def generation(patch: dict[str, Any], subresource: str | None = None) -> int:
        changed = registry.patch("apps/daemonsets", "default", "ds", patch, subresource=subresource)
        return int(changed["metadata"]["generation"])

    assert generation({"metadata": {"labels": {"x": "y"}}}) == 1
    assert generation({"status": {"numberReady": 1}}, "status") == 1
    assert generation({"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}}) == 2
    assert generation({"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}}) == 3
    stored = registry.get("apps/daemonsets", "default", "ds")
    assert stored["metadata"]["annotations"]["deprecated.daemonset.template.generation"] == "2"


def test_status_and_specification_are_changed_apart(registry: Registry) -> None:
    registry.create("nodes", {"metadata": {"name": "n"}})
    patch = {"spec": {"unschedulable": True}, "status": {"capacity": {"nvidia.com/gpu": 8}}}
    main = registry.patch("nodes", None, "n", patch)
    assert (main["spec"].get("unschedulable"), main["status"].get("capacity")) == (True, None)
    registry.patch("nodes", None, "n", {"spec": {"unschedulable": None}})
    status = registry.patch("nodes", None, "n", patch, subresource="status")
    assert "unschedulable" not in status["spec"]
    assert status["status"]["allocatable"] == {"nvidia.com/gpu": "8"}


def test_stale_version_is_a_conflict(registry: Registry) -> None:
    old = registry.create("nodes", {"metadata": {"name": "n"}})
    registry.patch("nodes", None, "n", {"metadata": {"labels": {"a": "1"}}})
    with pytest.raises(ApiError, match="the object has been modified") as conflict:
        registry.update("nodes", old)
    assert conflict.value.code == 409
    with pytest.raises(ApiError, match="the object has been modified"):
        registry.patch("nodes", None, "n", {"metadata": {"resourceVersion": "1", "labels": {"a": "2"}}})


def test_bound_pod_stays_until_its_grace_is_over(registry: Registry) -> None:
    registry.create("pods", pod("a"), "default")
    marked = registry.delete("pods", "default", "a")
    assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
    assert registry.get("pods", "default", "a")["metadata"]["generation"] == 2
    registry.delete("pods", "default", "a", grace_period_seconds=0)
    assert registry.store.get("pods", "default", "a") is None


@pytest.mark.parametrize(("node", "phase"), [("", "Pending"), ("n", "Succeeded"), ("n", "Failed")])
def test_unbound_and_finished_pods_go_at_once(registry: Registry, node: str, phase: str) -> None:
    registry.create("pods", pod("a", node), "default")
    registry.patch("pods", "default", "a", {"status": {"phase": phase}}, subresource="status")
    registry.delete("pods", "default", "a")
    assert registry.store.get("pods", "default", "a") is None


def test_finalizer_holds_an_object_until_it_is_taken_off(registry: Registry) -> None:
    registry.create("configmaps", {"metadata": {"name": "a", "finalizers": ["example.com/hold"]}}, "default")
    registry.delete("configmaps", "default", "a")
    with pytest.raises(ApiError, match="no new finalizers can be added"):
        registry.patch(
            "configmaps", "default", "a", {"metadata": {"finalizers": ["example.com/hold", "example.com/b"]}}
        )
    registry.patch("configmaps", "default", "a", {"metadata": {"finalizers": None}})
    assert registry.store.get("configmaps", "default", "a") is None


@pytest.mark.parametrize(("propagation", "finalizer"), [("Foreground", "foregroundDeletion"), ("Orphan", "orphan")])
def test_propagation_leaves_a_finalizer_for_the_garbage_collector(
    registry: Registry, propagation: str, finalizer: str
) -> None:
    registry.create("apps/daemonsets", daemon_set(), "default")
    marked = registry.delete("apps/daemonsets", "default", "ds", propagation=propagation)
    assert marked["metadata"]["finalizers"] == [finalizer]


def test_delete_preconditions_are_checked(registry: Registry) -> None:
    registry.create("nodes", {"metadata": {"name": "n"}})
    with pytest.raises(ApiError, match='on Node "n": the UID in the precondition'):
        registry.delete("nodes", None, "n", preconditions={"uid": "other"})


def test_bind_happens_once(registry: Registry) -> None:
    registry.create("pods", pod("a", ""), "default")
    bound = registry.bind("default", "a", "n")
    assert bound["spec"]["nodeName"] == "n"
    assert bound["status"]["conditions"][0]["type"] == "PodScheduled"
    with pytest.raises(ApiError, match="already assigned to node"):
        registry.bind("default", "a", "m")


def test_eviction_marks_the_pod_and_spends_its_budget(registry: Registry) -> None:
    registry.create("pods", pod("a", labels={"app": "x"}), "default")
    set_running(registry, "a")
    budget = {"metadata": {"name": "b"}, "spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": "x"}}}}
    registry.create("policy/poddisruptionbudgets", budget, "default")
    with pytest.raises(ApiError, match="disruption budget") as stale:
        registry.evict("default", "a")
    assert stale.value.headers == {"Retry-After": "10"}
    status = {
        "observedGeneration": 1,
        "disruptionsAllowed": 1,
        "currentHealthy": 1,
        "desiredHealthy": 0,
        "expectedPods": 1,
    }
    registry.patch("policy/poddisruptionbudgets", "default", "b", {"status": status}, subresource="status")
    registry.evict("default", "a", {"deleteOptions": {"dryRun": ["All"]}})
    assert "deletionTimestamp" not in registry.get("pods", "default", "a")["metadata"]
    registry.evict("default", "a")
    evicted = registry.get("pods", "default", "a")
    assert "deletionTimestamp" in evicted["metadata"]
    assert evicted["status"]["conditions"][-1]["reason"] == "EvictionByEvictionAPI"
    spent = registry.get("policy/poddisruptionbudgets", "default", "b")["status"]
    assert spent["disruptionsAllowed"] == 0
    assert list(spent["disruptedPods"]) == ["a"]


def test_unknown_fields_warn_or_are_refused(registry: Registry) -> None:
    options = WriteOptions(validation="Warn")
    registry.create("configmaps", {"metadata": {"name": "a"}, "junk": 1}, "default", options=options)
    assert options.warnings == ['unknown field "junk"']
    with pytest.raises(ApiError, match='strict decoding error: unknown field "spec.junk"'):
        registry.create(
            "nodes", {"metadata": {"name": "n"}, "spec": {"junk": 1}}, options=WriteOptions(validation="Strict")
        )


def test_events_of_the_same_thing_are_counted(registry: Registry) -> None:
    node = registry.create("nodes", {"metadata": {"name": "n"}})
    for component in ("kubelet", "kubelet", "default-scheduler", "default-scheduler"):
        registry.record_event(node, reason="Test", message="text", type="Normal", component=component)
    older, newer = sorted(registry.store.list("events"), key=lambda event: "series" in event)
    assert (older["count"], older["source"]) == (2, {"component": "kubelet"})
    assert newer["series"]["count"] == 2
    assert newer["eventTime"]


def test_load_fills_in_what_create_would(registry: Registry) -> None:
    registry.load("pods", [{**pod("a"), "metadata": {"name": "a", "namespace": "default"}}])
    registry.create("pods", pod("b"), "default")
    loaded, created = registry.store.list("pods")
    assert loaded["spec"] == created["spec"]
    assert loaded["status"] == created["status"]
    assert loaded["metadata"].keys() == created["metadata"].keys()


def test_custom_resources_follow_their_definition(registry: Registry) -> None:
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": {"mode": {"type": "string", "enum": ["on", "off"]}}}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "gadgets", "kind": "Gadget"}
    spec = {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version]}
    definitions = "apiextensions.k8s.io/customresourcedefinitions"
    registry.create(definitions, {"metadata": {"name": "gadgets.example.com"}, "spec": spec})
    gadget = {"metadata": {"name": "g"}, "spec": {"mode": "on", "junk": 1}}
    assert registry.create("example.com/gadgets", gadget)["spec"] == {"mode": "on"}
    with pytest.raises(ApiError, match='supported values: "on", "off"'):
        registry.patch("example.com/gadgets", None, "g", {"spec": {"mode": "dim"}})
    registry.delete(definitions, None, "gadgets.example.com")
    assert registry.store.list("example.com/gadgets") == []
    assert registry.resources.find("example.com", "v1", "gadgets") is None

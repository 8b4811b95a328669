# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubectl, as the machine has it, against the simulated API server."""

from __future__ import annotations

import json
import subprocess

import pytest

from .conftest import KUBECTL, Kubectl, daemon_set, deployment


@pytest.fixture(scope="module", autouse=True)
def _version_is_shown() -> None:
    if KUBECTL:
        command = [KUBECTL, "version", "--client"]
        print(subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout)


def test_version_and_resources_are_discovered(kubectl: Kubectl) -> None:
    assert "Server Version: v1.36.2" in kubectl.run("version").stdout
    resources = kubectl.run("api-resources", "--no-headers").stdout
    assert "daemonsets" in resources
    assert "poddisruptionbudgets" in resources


def test_get_prints_tables(kubectl: Kubectl) -> None:
    lines = kubectl.run("get", "nodes").stdout.splitlines()
    assert lines[0].split() == ["NAME", "STATUS", "ROLES", "AGE", "VERSION"]
    assert [line.split()[:2] for line in lines[1:]] == [[f"node-{number}", "Ready"] for number in (1, 2, 3)]
    wide = kubectl.run("get", "nodes", "-o", "wide").stdout.splitlines()[0]
    assert "CONTAINER-RUNTIME" in wide
    assert "kube-system" in kubectl.run("get", "namespaces").stdout
    assert "No resources found" in kubectl.run("get", "pods").stderr


def test_apply_creates_then_changes_then_leaves_alone(kubectl: Kubectl) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "1"}}
    assert kubectl.apply(manifest) == "configmap/settings created\n"
    assert kubectl.apply(manifest) == "configmap/settings unchanged\n"
    manifest["data"] = {"a": "2", "b": "3"}
    assert kubectl.apply(manifest) == "configmap/settings configured\n"
    assert kubectl.json("get", "configmap", "settings")["data"] == {"a": "2", "b": "3"}
    dry = kubectl.run(
        "apply",
        "--validate=false",
        "--dry-run=server",
        "-f",
        "-",
        stdin='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}',
    )
    assert "server dry run" in dry.stdout
    assert "not found" in kubectl.run("get", "configmap", "x", ok=False).stderr


def test_server_side_apply_names_the_conflicting_manager(kubectl: Kubectl) -> None:
    manifest = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"shared"},"data":{"a":"%s"}}'
    apply = ("apply", "--server-side", "--validate=false", "-f", "-", "--field-manager")
    kubectl.run(*apply, "one", stdin=manifest % "1")
    refused = kubectl.run(*apply, "two", stdin=manifest % "2", ok=False)
    assert 'conflict with "one": .data.a' in refused.stderr
    kubectl.run(*apply, "two", "--force-conflicts", stdin=manifest % "2")
    assert kubectl.json("get", "configmap", "shared")["data"] == {"a": "2"}


def test_rollout_status_waits_for_deployment_and_daemon_set(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("web"))
    kubectl.apply(daemon_set("agent"))
    assert "successfully rolled out" in kubectl.run("rollout", "status", "deployment/web", "--timeout=50s").stdout
    assert "successfully rolled out" in kubectl.run("rollout", "status", "daemonset/agent", "--timeout=50s").stdout
    before = kubectl.json("get", "pods", "-l", "app=web")["items"]
    kubectl.run("set", "image", "deployment/web", "main=registry.example.com/app:2")
    assert "successfully rolled out" in kubectl.run("rollout", "status", "deployment/web", "--timeout=50s").stdout
    kubectl.run("rollout", "restart", "daemonset/agent")
    assert "successfully rolled out" in kubectl.run("rollout", "status", "daemonset/agent", "--timeout=50s").stdout
    running = kubectl.json("get", "pods", "-l", "app=web", "--field-selector", "status.phase=Running")["items"]
    # The rollout is over when the last old pod is told to end, and that pod runs until it has.
    after = [pod for pod in running if "deletionTimestamp" not in pod["metadata"]]
    assert {pod["spec"]["containers"][0]["image"] for pod in after} == {"registry.example.com/app:2"}
    assert not {pod["metadata"]["uid"] for pod in before} & {pod["metadata"]["uid"] for pod in after}
    assert "agent" in kubectl.run("get", "daemonsets").stdout


def test_wait_follows_conditions_and_deletions(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("web"))
    assert "condition met" in kubectl.run("wait", "deployment/web", "--for=condition=Available", "--timeout=50s").stdout
    kubectl.run("wait", "pods", "-l", "app=web", "--for=condition=Ready", "--timeout=50s")
    kubectl.run("delete", "deployment", "web", "--wait=false")
    kubectl.run("wait", "pods", "-l", "app=web", "--for=delete", "--timeout=50s")
    assert "No resources found" in kubectl.run("get", "pods").stderr
    refused = kubectl.run("wait", "nodes/node-1", "--for=condition=Gone", "--timeout=4s", ok=False)
    assert "timed out waiting" in refused.stderr


def test_describe_shows_node_and_pod_with_events(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("web", replicas=1))
    kubectl.run("rollout", "status", "deployment/web", "--timeout=50s")
    pod = kubectl.json("get", "pods")["items"][0]["metadata"]["name"]
    described = kubectl.run("describe", "pod", pod).stdout
    assert "Controlled By:  ReplicaSet/web-" in described
    assert "Successfully assigned" in described
    node = kubectl.run("describe", "node", "node-1").stdout
    assert "Allocatable:" in node
    assert "KubeletReady" in node
    assert "Replicas:" in kubectl.run("describe", "deployment", "web").stdout


def test_describe_node_lists_events_that_clients_wrote(kubectl: Kubectl) -> None:
    uid = kubectl.json("get", "node", "node-1")["metadata"]["uid"]
    told = {"Maintained": uid, "KubeletStyle": "node-1"}
    for reason, involved_uid in told.items():
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"node-1.{reason.lower()}", "namespace": "default"},
            "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": "node-1", "uid": involved_uid},
            "reason": reason,
            "message": f"{reason} by a client",
            "type": "Normal",
            "source": {"component": "tester"},
            "reportingComponent": "tester",
            "firstTimestamp": "2026-01-01T00:00:00Z",
            "lastTimestamp": "2026-01-01T00:00:00Z",
            "count": 1,
        }
        kubectl.run("create", "--namespace=default", "--validate=false", "-f", "-", stdin=json.dumps(event))
    described = kubectl.run("describe", "node", "node-1").stdout
    assert all(f"{reason} by a client" in described for reason in told)
    assert "Maintained by a client" not in kubectl.run("describe", "node", "node-2").stdout


def test_label_annotate_and_taint_nodes(kubectl: Kubectl) -> None:
    kubectl.run("label", "node", "node-1", "example.com/a=1")
    assert "not labeled" in kubectl.run("label", "node", "node-1", "example.com/a=1").stdout
    assert "already has a value" in kubectl.run("label", "node", "node-1", "example.com/a=2", ok=False).stderr
    kubectl.run("label", "node", "node-1", "example.com/a=2", "--overwrite")
    kubectl.run("annotate", "node", "node-1", "example.com/note=text with spaces")
    selected = kubectl.json("get", "nodes", "-l", "example.com/a=2")["items"]
    assert [node["metadata"]["name"] for node in selected] == ["node-1"]
    assert selected[0]["metadata"]["annotations"]["example.com/note"] == "text with spaces"
    kubectl.run("taint", "node", "node-1", "example.com/t=v:NoSchedule")
    assert kubectl.json("get", "node", "node-1")["spec"]["taints"][0]["key"] == "example.com/t"
    kubectl.run("taint", "node", "node-1", "example.com/t-")
    kubectl.run("label", "node", "node-1", "example.com/a-")
    assert kubectl.json("get", "nodes", "-l", "example.com/a")["items"] == []


def test_cordon_drain_and_uncordon_a_node(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("web", replicas=3))
    kubectl.apply(daemon_set("agent"))
    kubectl.run("rollout", "status", "deployment/web", "--timeout=50s")
    kubectl.run("rollout", "status", "daemonset/agent", "--timeout=50s")
    kubectl.run("cordon", "node-2")
    assert "SchedulingDisabled" in kubectl.run("get", "node", "node-2").stdout
    refused = kubectl.run("drain", "node-2", "--timeout=20s", ok=False)
    assert "cannot delete DaemonSet-managed Pods" in refused.stderr
    drained = kubectl.run("drain", "node-2", "--ignore-daemonsets", "--force", "--timeout=50s").stdout
    assert "node/node-2 drained" in drained
    left = kubectl.json("get", "pods", "--field-selector", "spec.nodeName=node-2")["items"]
    assert [pod["metadata"]["labels"]["app"] for pod in left] == ["agent"]
    kubectl.run("rollout", "status", "deployment/web", "--timeout=50s")
    kubectl.run("uncordon", "node-2")
    assert "unschedulable" not in kubectl.json("get", "node", "node-2")["spec"]


def test_drain_waits_for_a_disruption_budget(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("web", replicas=2))
    kubectl.run("rollout", "status", "deployment/web", "--timeout=50s")
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}},
    }
    kubectl.apply(budget)
    kubectl.run("wait", "pdb/web", "--for=jsonpath={.status.currentHealthy}=2", "--timeout=30s")
    node = kubectl.json("get", "pods", "-l", "app=web")["items"][0]["spec"]["nodeName"]
    refused = kubectl.run("drain", node, "--ignore-daemonsets", "--force", "--timeout=4s", ok=False)
    assert "Cannot evict pod as it would violate the pod's disruption budget" in refused.stderr
    kubectl.run("delete", "pdb", "web")
    kubectl.run("drain", node, "--ignore-daemonsets", "--force", "--timeout=50s")
    kubectl.run("uncordon", node)


def test_logs_and_patch_and_scale(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("web", replicas=1))
    kubectl.run("rollout", "status", "deployment/web", "--timeout=50s")
    pod = kubectl.json("get", "pods")["items"][0]["metadata"]["name"]
    assert "is not valid for pod" in kubectl.run("logs", pod, "-c", "nope", ok=False).stderr
    kubectl.run("logs", pod, "--tail=5")
    kubectl.run("scale", "deployment/web", "--replicas=2")
    kubectl.run("rollout", "status", "deployment/web", "--timeout=50s")
    assert kubectl.json("get", "deployment", "web")["status"]["readyReplicas"] == 2
    for kind, patch in (
        ("merge", '{"metadata":{"labels":{"a":"1"}}}'),
        ("strategic", '{"metadata":{"labels":{"b":"2"}}}'),
    ):
        kubectl.run("patch", "deployment", "web", "--type", kind, "-p", patch)
    kubectl.run("patch", "deployment", "web", "--type", "json", "-p", '[{"op":"remove","path":"/metadata/labels/a"}]')
    assert kubectl.json("get", "deployment", "web")["metadata"]["labels"] == {"b": "2"}


def test_custom_resources_come_and_go_with_their_definition(kubectl: Kubectl) -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "gadgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "gadgets", "kind": "Gadget"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    kubectl.apply(definition)
    kubectl.run("wait", "crd/gadgets.example.com", "--for=condition=Established", "--timeout=20s")
    kubectl.apply({"apiVersion": "example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": {"size": 3}})
    assert kubectl.json("get", "gadgets")["items"][0]["spec"] == {"size": 3}
    kubectl.run("delete", "crd", "gadgets.example.com")
    assert "could not find the requested resource" in kubectl.run("get", "gadgets", ok=False).stderr


def test_create_by_generator_sends_protobuf_and_is_told_so(kubectl: Kubectl) -> None:
    assert "unknown format" in kubectl.run("auth", "can-i", "patch", "nodes", ok=False).stderr
    refused = kubectl.run("create", "configmap", "x", ok=False)
    assert "unknown format" in refused.stderr
    manifest = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"}}'
    kubectl.run("create", "--validate=false", "-f", "-", stdin=manifest)


def test_delete_removes_objects_and_whole_namespaces(kubectl: Kubectl) -> None:
    kubectl.apply(deployment("web"))
    kubectl.run("rollout", "status", "deployment/web", "--timeout=50s")
    pod = kubectl.json("get", "pods")["items"][0]["metadata"]["name"]
    assert f'pod "{pod}" deleted' in kubectl.run("delete", "pod", pod, "--timeout=50s").stdout
    assert "force deleted" in kubectl.run("delete", "pods", "--all", "--force", "--grace-period=0").stdout
    kubectl.run("delete", "namespace", kubectl.namespace, "--timeout=50s")
    assert "not found" in kubectl.run("get", "namespace", kubectl.namespace, ok=False).stderr

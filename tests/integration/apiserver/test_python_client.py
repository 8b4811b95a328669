# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The official Python client, typed and dynamic, against the simulated API server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes import client as k8s
from kubernetes import config, dynamic, watch
from kubernetes.client.exceptions import ApiException

from simulator.cluster import SimulatedCluster

from .conftest import deployment


@pytest.fixture(scope="module")
def api(cluster: SimulatedCluster) -> Iterator[k8s.ApiClient]:
    with config.new_client_from_config(str(cluster.kubeconfig)) as client:
        yield client


def config_map(name: str, **data: str) -> k8s.V1ConfigMap:
    return k8s.V1ConfigMap(metadata=k8s.V1ObjectMeta(name=name), data=data)


def test_typed_objects_make_the_round_trip(api: k8s.ApiClient, namespace: str) -> None:
    core = k8s.CoreV1Api(api)
    created = core.create_namespaced_config_map(namespace, config_map("a", key="1"))
    assert created.metadata.uid
    created.data["key"] = "2"
    replaced = core.replace_namespaced_config_map("a", namespace, created)
    assert replaced.data == {"key": "2"}
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map("a", namespace, created)
    assert (stale.value.status, stale.value.reason) == (409, "Conflict")
    patched = core.patch_namespaced_config_map("a", namespace, {"data": {"other": "3"}})
    assert patched.data == {"key": "2", "other": "3"}
    core.delete_namespaced_config_map("a", namespace)
    with pytest.raises(ApiException) as missing:
        core.read_namespaced_config_map("a", namespace)
    assert missing.value.status == 404


def test_typed_workloads_nodes_and_versions_are_read(api: k8s.ApiClient, namespace: str) -> None:
    apps, core = k8s.AppsV1Api(api), k8s.CoreV1Api(api)
    apps.create_namespaced_deployment(namespace, deployment("web", replicas=1))
    end = time.monotonic() + 60
    while not apps.read_namespaced_deployment_status("web", namespace).status.available_replicas:
        assert time.monotonic() < end
        time.sleep(0.1)
    pod = core.list_namespaced_pod(namespace).items[0]
    assert pod.status.phase == "Running"
    assert pod.metadata.owner_references[0].kind == "ReplicaSet"
    node = core.read_node(pod.spec.node_name)
    assert {condition.type: condition.status for condition in node.status.conditions}["Ready"] == "True"
    assert node.status.allocatable["pods"] == "110"
    assert k8s.VersionApi(api).get_code().git_version == "v1.36.2"
    assert core.list_namespaced_event(namespace).items
    eviction = k8s.V1Eviction(metadata=k8s.V1ObjectMeta(name=pod.metadata.name, namespace=namespace))
    core.create_namespaced_pod_eviction(pod.metadata.name, namespace, eviction)
    end = time.monotonic() + 60
    while pod.metadata.name in [item.metadata.name for item in core.list_namespaced_pod(namespace).items]:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_lists_come_in_pages_of_one_moment(api: k8s.ApiClient, namespace: str) -> None:
    core = k8s.CoreV1Api(api)
    for number in range(5):
        core.create_namespaced_config_map(namespace, config_map(f"page-{number}"))
    first = core.list_namespaced_config_map(namespace, limit=2)
    assert first.metadata.remaining_item_count == 4  # three more, and the root certificate that every namespace has
    core.delete_namespaced_config_map("page-4", namespace)
    names = [item.metadata.name for item in first.items]
    token = first.metadata._continue
    while token:
        page = core.list_namespaced_config_map(namespace, limit=2, _continue=token)
        assert page.metadata.resource_version == first.metadata.resource_version
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
    assert names == ["kube-root-ca.crt", *(f"page-{number}" for number in range(5))]


def test_watch_reports_changes_and_goes_on_from_a_version(api: k8s.ApiClient, namespace: str) -> None:
    core = k8s.CoreV1Api(api)
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    seen: list[tuple[str, str]] = []

    def follow() -> None:
        stream = watch.Watch().stream(
            core.list_namespaced_config_map,
            namespace,
            resource_version=version,
            label_selector="w=1",
            timeout_seconds=60,
        )
        for event in stream:
            seen.append((event["type"], event["object"].metadata.name))
            if event["type"] == "DELETED":
                return

    thread = threading.Thread(target=follow)
    thread.start()
    labelled = k8s.V1ConfigMap(metadata=k8s.V1ObjectMeta(name="seen", labels={"w": "1"}))
    core.create_namespaced_config_map(namespace, config_map("unseen"))
    core.create_namespaced_config_map(namespace, labelled)
    core.patch_namespaced_config_map("seen", namespace, {"data": {"a": "1"}})
    core.patch_namespaced_config_map("seen", namespace, {"metadata": {"labels": {"w": None}}})
    thread.join(timeout=65)
    assert seen == [("ADDED", "seen"), ("MODIFIED", "seen"), ("DELETED", "seen")]


def test_dynamic_client_discovers_and_applies(api: k8s.ApiClient, namespace: str) -> None:
    resources = dynamic.DynamicClient(api).resources.get(api_version="apps/v1", kind="DaemonSet")
    manifest: dict[str, Any] = deployment("agent")
    manifest["kind"] = "DaemonSet"
    del manifest["spec"]["replicas"]
    applied = resources.server_side_apply(manifest, namespace=namespace, field_manager="tests")
    assert applied.metadata.managedFields[0].manager == "tests"
    listed = resources.get(namespace=namespace, label_selector="app!=other")
    assert [item.metadata.name for item in listed.items] == ["agent"]
    resources.patch(
        {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}},
        name="agent",
        namespace=namespace,
        content_type="application/merge-patch+json",
    )
    assert resources.get(name="agent", namespace=namespace).spec.updateStrategy.to_dict() == {"type": "OnDelete"}
    dry = resources.delete(name="agent", namespace=namespace, body={"dryRun": ["All"]})
    assert dry.status == "Success"
    assert resources.get(name="agent", namespace=namespace)


def test_tokens_of_service_accounts_are_held_to_their_roles(
    cluster: SimulatedCluster, api: k8s.ApiClient, namespace: str
) -> None:
    core, rbac = k8s.CoreV1Api(api), k8s.RbacAuthorizationV1Api(api)
    core.create_namespaced_service_account(namespace, k8s.V1ServiceAccount(metadata=k8s.V1ObjectMeta(name="robot")))
    request = k8s.AuthenticationV1TokenRequest(spec=k8s.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token("robot", namespace, request).status.token
    settings = k8s.Configuration()
    settings.host, settings.ssl_ca_cert = api.configuration.host, api.configuration.ssl_ca_cert
    settings.api_key = {"authorization": token}
    settings.api_key_prefix = {"authorization": "Bearer"}
    with k8s.ApiClient(settings) as robot:
        with pytest.raises(ApiException) as refused:
            k8s.CoreV1Api(robot).list_node()
        message = json.loads(refused.value.body)["message"]
        assert f'User "system:serviceaccount:{namespace}:robot" cannot list resource "nodes"' in message
        rule = k8s.V1PolicyRule(api_groups=[""], resources=["nodes"], verbs=["list"])
        meta = k8s.V1ObjectMeta(name=namespace)
        rbac.create_cluster_role(k8s.V1ClusterRole(metadata=meta, rules=[rule]))
        subject = k8s.RbacV1Subject(kind="ServiceAccount", name="robot", namespace=namespace)
        role = k8s.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="ClusterRole", name=namespace)
        rbac.create_cluster_role_binding(k8s.V1ClusterRoleBinding(metadata=meta, subjects=[subject], role_ref=role))
        assert len(k8s.CoreV1Api(robot).list_node().items) == 3
        attributes = k8s.V1ResourceAttributes(verb="patch", resource="nodes")
        review = k8s.V1SelfSubjectAccessReview(spec=k8s.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes))
        assert not k8s.AuthorizationV1Api(robot).create_self_subject_access_review(review).status.allowed
    reviews = [item for item in cluster.audit() if item["review"]]
    assert reviews[-1]["resource"] == "authorization.k8s.io/selfsubjectaccessreviews"

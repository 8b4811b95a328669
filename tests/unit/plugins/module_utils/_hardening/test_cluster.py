# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hardening reads off a cluster's objects: how plugins name devices, who has GPUs, and who sees them otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.cluster import GpuNode, HardeningView
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.strategies import Strategy

BEFORE, STARTED, AFTER = "2026-03-01T11:00:00Z", "2026-03-01T12:00:00Z", "2026-03-01T13:00:00Z"
IMAGE = "nvcr.io/nvidia/k8s-device-plugin:v0.17.0"
FILE = "version: v1\nflags: {plugin: {deviceListStrategy: [volume-mounts]}}\n"
MOUNTED: dict[str, Any] = {
    "volumes": [{"name": "config", "configMap": {"name": "plugin"}}],
    "args": ["--config-file=/config/config.yaml"],
    "volumeMounts": [{"name": "config", "mountPath": "/config"}],
}
MANAGER = {
    "name": "sidecar",
    "image": IMAGE,
    "command": ["config-manager"],
    "volumeMounts": [{"name": "config", "mountPath": "/available-configs"}],
}


def gpu_node(**labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": "gpu-1", "labels": labels},
        "spec": {},
        "status": {"capacity": {"nvidia.com/gpu": "1"}, "allocatable": {"nvidia.com/gpu": "1"}},
    }


def pod(container: dict[str, Any], *others: dict[str, Any], **spec: Any) -> dict[str, Any]:
    named = {"name": "main", **container}
    state = {"running": {"startedAt": STARTED}}
    return {
        "metadata": {"name": "pod", "namespace": "kube-system", "uid": "uid-1"},
        "spec": {"nodeName": "gpu-1", "containers": [named, *others], **spec},
        "status": {"phase": "Running", "containerStatuses": [{"name": named["name"], "state": state}]},
    }


def plugin(volumes: Any = (), sidecar: bool = False, **container: Any) -> dict[str, Any]:
    others = [MANAGER] if sidecar else []
    privileged = {"securityContext": {"privileged": True}}
    return pod({"image": IMAGE, **privileged, **container}, *others, volumes=list(volumes))


def config_map(immutable: bool = False, changed: str = BEFORE, data: dict[str, str] | None = None) -> dict[str, Any]:
    metadata = {"creationTimestamp": BEFORE, "managedFields": [{"time": BEFORE}, {"time": changed}]}
    return {"metadata": metadata, "data": data or {"config.yaml": FILE}, "immutable": immutable}


def read(*pods: dict[str, Any], found: dict[str, Any] | None = None, **labels: str) -> GpuNode:
    view = HardeningView()
    view.add_nodes([gpu_node(**labels)])
    view.add_pods(pods)
    for title in view.config_maps():
        assert title == "kube-system/plugin"
        if found is not None:
            view.add_config_map(title, found)
    (node,) = view.nodes()
    return node


def strategy(one: dict[str, Any], found: dict[str, Any] | None = None, **labels: str) -> Strategy:
    (only,) = read(one, found=found, **labels).plugins
    return only.strategy


ENV = [{"name": "DEVICE_LIST_STRATEGY", "value": "envvar"}]
FROM_ELSEWHERE: list[Any] = [
    {"name": "DEVICE_LIST_STRATEGY", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}
]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (plugin(), (("envvar",), "default")),
        (plugin(args=["--device-list-strategy=volume-mounts"]), (("volume-mounts",), "command line")),
        (
            plugin(args=["--device-list-strategy", "volume-mounts,envvar"], env=ENV),
            (("volume-mounts", "envvar"), "command line"),
        ),
        (plugin(env=ENV, **MOUNTED), (("envvar",), "environment")),
        (plugin(**MOUNTED), (("volume-mounts",), "file")),
        (
            plugin(env=FROM_ELSEWHERE, **{**MOUNTED, "args": ["--device-list-strategy=envvar"]}),
            (("envvar",), "command line"),
        ),
    ],
    ids=[
        "default",
        "argument",
        "argument-before-environment",
        "environment-before-file",
        "file",
        "argument-before-all",
    ],
)
def test_command_line_beats_environment_beats_file(one: dict[str, Any], expected: tuple[Any, str]) -> None:
    found = strategy(one, config_map())
    assert (found.values, found.source, found.since, found.problem) == (*expected, STARTED, "")


@pytest.mark.parametrize(
    ("one", "found", "words"),
    [
        (plugin(env=FROM_ELSEWHERE), None, "taken from other objects"),
        (plugin(envFrom=[{"configMapRef": {"name": "a"}}]), None, "taken from other objects"),
        (plugin(**MOUNTED), None, "the ConfigMap kube-system/plugin, and cannot be read there"),
        (plugin(**MOUNTED), config_map(data={"other.yaml": FILE}), "cannot be read there"),
        (plugin(**MOUNTED), config_map(data={"config.yaml": "a: ["}), "cannot be read there"),
        (plugin(args=["--config-file=/etc/plugin.yaml"]), None, "a file that is not in the cluster"),
        (
            plugin(**MOUNTED),
            config_map(changed=AFTER),
            f"has been written to at {AFTER}, after it started at {STARTED}",
        ),
    ],
    ids=["value-from", "env-from", "no-configmap", "no-key", "broken", "host-file", "changed"],
)
def test_what_is_not_known_counts_as_the_variable(one: dict[str, Any], found: Any, words: str) -> None:
    unknown = strategy(one, found)
    assert words in unknown.problem
    assert unknown.needs_environment
    assert unknown.describe() == unknown.problem


def test_config_that_cannot_change_is_not_asked_for_its_time() -> None:
    assert strategy(plugin(**MOUNTED), config_map(immutable=True, changed=AFTER)).values == ("volume-mounts",)


@pytest.mark.parametrize("given", [ENV, []], ids=["environment", "argument"])
def test_file_that_was_changed_does_not_matter_where_it_is_not_asked(given: list[dict[str, str]]) -> None:
    one = plugin(
        env=given, **{**MOUNTED, "args": [*MOUNTED["args"], *([] if given else ["--device-list-strategy=envvar"])]}
    )
    found = strategy(one, config_map(changed=AFTER))
    assert (found.values, found.problem) == (("envvar",), "")


@pytest.mark.parametrize("state", [{"waiting": {"reason": "CrashLoopBackOff"}}, {"terminated": {}}, {}])
def test_plugin_that_does_not_run_is_not_known(state: dict[str, Any]) -> None:
    one = plugin(args=["--device-list-strategy=volume-mounts"])
    one["status"]["containerStatuses"][0]["state"] = state
    assert strategy(one).problem == "not known, for it does not run"


@pytest.mark.parametrize(
    ("data", "label", "expected"),
    [
        ({"t4": FILE, "other": ""}, "t4", ("volume-mounts",)),
        ({"t4": FILE, "other": "version: v1\n"}, "other", ("envvar",)),
        ({"only": FILE}, "", ("volume-mounts",)),
        ({"t4": FILE, "other": FILE}, "", ()),
        ({"t4": FILE}, "gone", ()),
    ],
    ids=["label", "other-label", "only-one", "undecided", "label-of-none"],
)
def test_sidecar_chooses_by_the_nodes_label(data: dict[str, str], label: str, expected: tuple[str, ...]) -> None:
    one = plugin(volumes=MOUNTED["volumes"], sidecar=True, args=["--config-file=/config/config.yaml"])
    labels = {"nvidia.com/device-plugin.config": label} if label else {}
    assert strategy(one, config_map(data=data), **labels).values == expected


def test_template_tells_what_the_next_pod_does() -> None:
    view = HardeningView()
    view.add_nodes([gpu_node()])
    spec = plugin(args=["--device-list-strategy=volume-mounts"])["spec"]
    view.add_daemonsets(
        {
            "metadata": {"name": name, "namespace": "kube-system"},
            "spec": {"template": {"spec": template}},
            "status": {"desiredNumberScheduled": wanted},
        }
        for name, template, wanted in (
            ("good", spec, 1),
            ("unused", plugin()["spec"], 0),
            ("back", plugin()["spec"], 2),
            ("by-node", plugin(volumes=MOUNTED["volumes"], sidecar=True)["spec"], 1),
            ("web", {"containers": [{"name": "web", "image": "web"}]}, 1),
        )
    )
    found = {one.title: one.strategy.values for one in view.templates()}
    assert found == {"kube-system/good": ("volume-mounts",), "kube-system/back": ("envvar",)}


GPU: dict[str, Any] = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
ADMIN: dict[str, Any] = {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}


@pytest.mark.parametrize(
    ("one", "count"),
    [
        (pod(GPU), 1),
        (pod({"image": "web"}), 0),
        (pod({**GPU, "securityContext": {"privileged": True}}), 0),
        (pod({**GPU, **ADMIN}), 0),
        (pod({**GPU, **ADMIN}, {"name": "b", **GPU}), 1),
        ({**pod(GPU), "status": {"phase": "Failed"}}, 0),
    ],
    ids=["gpu", "none", "privileged", "sys-admin", "one-of-two", "ended"],
)
def test_pods_that_have_gpus_and_need_the_variable(one: dict[str, Any], count: int) -> None:
    assert len(read(one).pods) == count


def test_static_pod_is_known_by_both_of_its_ids() -> None:
    static = pod(GPU)
    static["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "hash"}
    assert read(static).pods[0].uids == {"uid-1", "hash"}


ALL = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"}]
VOID = [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]
EXPORTER: dict[str, Any] = {"image": "nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3-ubuntu22.04"}
NULL_MOUNT: dict[str, Any] = {"volumeMounts": [{"name": "null", "mountPath": "/var/run/nvidia-container-devices/all"}]}


@pytest.mark.parametrize(
    ("container", "watches"),
    [
        ({"image": IMAGE}, True),
        ({"image": IMAGE, "env": ALL, "securityContext": {"capabilities": {"drop": ["ALL"]}}}, True),
        ({"image": IMAGE, "env": ALL, **ADMIN}, False),
        ({"image": IMAGE, "env": VOID}, False),
        (EXPORTER, True),
        ({**EXPORTER, **ADMIN}, False),
        ({**EXPORTER, **NULL_MOUNT}, False),
        ({"image": "own/monitor", "env": ALL}, True),
        ({"image": "own/monitor", "env": [{"name": "NVIDIA_VISIBLE_DEVICES", "valueFrom": {}}]}, True),
        ({"image": "own/monitor", "env": ALL, **GPU}, False),
        ({"image": "own/monitor"}, False),
    ],
    ids=[
        "plugin", "own-plugin", "plugin-sys-admin", "plugin-void", "exporter", "exporter-sys-admin", "exporter-mount",
        "variable", "variable-from-elsewhere", "gpu-of-its-own", "nothing",
    ],
)  # fmt: skip
def test_who_sees_gpus_by_the_variable_alone(container: dict[str, Any], watches: bool) -> None:
    assert bool(read(pod(container)).watchers) == watches


def test_watcher_is_named_by_what_makes_its_pods() -> None:
    owned = pod(EXPORTER)
    owner = {"kind": "DaemonSet", "name": "exporter", "uid": "u", "controller": True}
    owned["metadata"]["ownerReferences"] = [owner]
    assert [one.title for one in read(owned, pod(EXPORTER)).watchers] == [
        "DaemonSet kube-system/exporter",
        "Pod kube-system/pod",
    ]

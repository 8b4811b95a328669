# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.config_file import ConfigFile, TimeSlicing
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.objects import KeyObjects, build_objects
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.options import PluginOptions

SHARED = ConfigFile(time_slicing=TimeSlicing({"nvidia.com/gpu": 8}))


def build(key: str = "l20", config: ConfigFile = SHARED, **options: Any) -> KeyObjects:
    return build_objects(key, config, replace(PluginOptions(), **options))


def pod(objects: KeyObjects) -> dict[str, Any]:
    return objects.daemon_set["spec"]["template"]["spec"]


def test_build_objects_never_change_under_a_node() -> None:
    objects = build()
    assert objects.config_map["immutable"] is True
    assert objects.daemon_set["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert objects.name == f"kubegpu-device-plugin-l20-{objects.revision}"
    assert pod(objects)["volumes"][-1] == {"name": "config", "configMap": {"name": objects.name}}


def test_build_objects_select_key_and_revision_and_what_the_operator_adds() -> None:
    objects = build(node_selector={"pool": "gpu"})
    assert pod(objects)["nodeSelector"] == {
        "pool": "gpu",
        "nvidia.com/device-plugin.config": "l20",
        "kubegpu.sharing/revision": objects.revision,
    }
    labels = objects.daemon_set["spec"]["template"]["metadata"]["labels"]
    assert objects.daemon_set["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for manifest in objects.manifests:
        assert manifest["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "kubegpu.sharing"
        assert manifest["metadata"]["labels"]["kubegpu.sharing/revision"] == objects.revision


def test_build_objects_name_a_file_and_mount_its_directory() -> None:
    # v0.14.5 ends with "is a directory" otherwise.
    container = pod(build(version="v0.14.5"))["containers"][0]
    assert container["args"] == ["--config-file=/etc/kubegpu/config.yaml"]
    assert {"name": "config", "mountPath": "/etc/kubegpu", "readOnly": True} in container["volumeMounts"]
    assert build().config_map["data"].keys() == {"config.yaml"}
    assert container["image"] == "nvcr.io/nvidia/k8s-device-plugin:v0.14.5"


def test_build_objects_are_as_in_production() -> None:
    spec = pod(build(tolerations=({"key": "dedicated", "operator": "Exists"},)))
    container = spec["containers"][0]
    assert spec["priorityClassName"] == "system-node-critical"
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert container["resources"]["requests"]
    assert [toleration["key"] for toleration in spec["tolerations"]] == [
        "CriticalAddonsOnly",
        "nvidia.com/gpu",
        "dedicated",
    ]
    assert spec["volumes"][0]["hostPath"]["path"] == "/var/lib/kubelet/device-plugins"


def test_build_objects_options_reach_the_pod() -> None:
    spec = pod(
        build(privileged=True, runtime_class="nvidia", image_pull_secrets=("pull",), kubelet_root="/data/kubelet/")
    )
    container = spec["containers"][0]
    assert container["securityContext"] == {"privileged": True}
    assert (spec["runtimeClassName"], spec["imagePullSecrets"]) == ("nvidia", [{"name": "pull"}])
    # The plugin looks for the kubelet's socket where the kubelet has it by default, wherever that is on the host.
    assert spec["volumes"][0]["hostPath"]["path"] == "/data/kubelet/device-plugins"
    assert container["volumeMounts"][0]["mountPath"] == "/var/lib/kubelet/device-plugins"


def test_build_objects_mount_a_driver_that_comes_in_a_container() -> None:
    spec = pod(build(config=ConfigFile({"nvidiaDriverRoot": "/run/nvidia/driver"})))
    assert {"name": "driver-root", "hostPath": {"path": "/run/nvidia/driver", "type": "Directory"}} in spec["volumes"]
    assert "driver-root" in [mount["name"] for mount in spec["containers"][0]["volumeMounts"]]


@pytest.mark.parametrize(
    "other",
    [
        build(key="t4"),
        build(config=ConfigFile(time_slicing=TimeSlicing({"nvidia.com/gpu": 7}))),
        build(version="v0.17.1"),
        build(namespace="gpu-system"),
        build(tolerations=({"key": "dedicated", "operator": "Exists"},)),
        build(resources={}),
        build(privileged=True),
    ],
    ids=["key", "replicas", "version", "namespace", "tolerations", "resources", "privileged"],
)
def test_revision_covers_all_that_decides_what_runs(other: KeyObjects) -> None:
    assert other.revision != build().revision


def test_revision_is_the_same_for_the_same_content() -> None:
    one = build(resources={"requests": {"cpu": "1", "memory": "1Gi"}})
    other = build(resources={"requests": {"memory": "1Gi", "cpu": "1"}})
    assert one.revision == other.revision
    assert len(one.revision) == 10
    assert one.manifests == other.manifests


@pytest.mark.parametrize("strategy", ["single", "mixed"])
def test_build_objects_that_serve_mig_may_see_it_and_wait_for_it(strategy: str) -> None:
    spec = pod(build(config=ConfigFile(mig_strategy=strategy)))
    container = spec["containers"][0]
    # One without the other is refused: by the container runtime, or by NVML.
    assert container["securityContext"] == {"capabilities": {"add": ["SYS_ADMIN"]}}
    assert {"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"} in container["env"]
    path = "/run/kubegpu-sharing/mig-ready"
    assert {"name": "mig-ready", "hostPath": {"path": path, "type": "File"}} in spec["volumes"]
    assert {"name": "mig-ready", "mountPath": path, "readOnly": True} in container["volumeMounts"]


def test_build_objects_that_serve_no_mig_have_nothing_of_it() -> None:
    spec = pod(build(config=ConfigFile(mig_strategy="none")))
    assert build(config=ConfigFile(mig_strategy="none")).revision == build(config=ConfigFile()).revision
    assert [volume["name"] for volume in spec["volumes"]] == ["device-plugins", "config"]
    assert "NVIDIA_MIG_MONITOR_DEVICES" not in {one["name"] for one in spec["containers"][0]["env"]}


def test_build_objects_privileged_plugin_needs_no_capability_for_mig() -> None:
    container = pod(build(config=ConfigFile(mig_strategy="mixed"), privileged=True))["containers"][0]
    assert container["securityContext"] == {"privileged": True}
    assert "NVIDIA_MIG_MONITOR_DEVICES" in {one["name"] for one in container["env"]}

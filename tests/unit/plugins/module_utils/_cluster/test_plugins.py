# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import (
    ConfigSource,
    find_config_source,
    find_plugin_container,
    find_version,
    image_tag,
    read_plugin,
)

CONFIG = "version: v1\nflags: {migStrategy: none}\nsharing: {timeSlicing: {resources: [{name: nvidia.com/gpu, replicas: 8}]}}\n"
MOUNT = {"name": "config", "mountPath": "/etc/nvidia/time-slicing-config"}
VOLUME = {"name": "config", "configMap": {"name": "time-slicing-config"}}


@pytest.mark.parametrize(
    ("container", "found"),
    [
        pytest.param({}, True, id="NVIDIA's own"),
        pytest.param(
            {"image": "registry.local:5000/mirror/k8s-device-plugin@sha256:0a"}, True, id="mirrored, by digest"
        ),
        pytest.param({"image": "gke.gcr.io/nvidia-gpu-device-plugin:v1"}, True, id="GKE"),
        pytest.param({"image": "local/gpu:1", "command": ["/usr/bin/nvidia-device-plugin"]}, True, id="by its program"),
        pytest.param({"image": "x/hami:1", "args": ["-c", "x", "nvidia-device-plugin"]}, True, id="by its arguments"),
        pytest.param(
            {"command": ["/usr/bin/gpu-feature-discovery"]}, False, id="GPU Feature Discovery in the same image"
        ),
        pytest.param({"command": ["config-manager"]}, False, id="the sidecar"),
        pytest.param({"name": "mps-control-daemon-ctr", "command": ["mps-control-daemon"]}, False, id="MPS daemon"),
        pytest.param({"image": "rocm/k8s-device-plugin:1"}, False, id="AMD's"),
        pytest.param({"image": "intel/intel-gpu-plugin:1"}, False, id="Intel's"),
        pytest.param({"image": "nginx", "args": []}, False, id="something else"),
    ],
)
def test_find_plugin_container_knows_device_plugins(daemonset: Any, container: dict[str, Any], found: bool) -> None:
    assert (find_plugin_container(daemonset(container=container)) is not None) is found


@pytest.mark.parametrize(
    ("image", "labels", "version"),
    [
        ("nvcr.io/nvidia/k8s-device-plugin:v0.14.5", {}, "v0.14.5"),
        ("registry:5000/k8s-device-plugin:0.17.1-ubi9", {}, "v0.17.1"),
        ("a/k8s-device-plugin:v0.17.4@sha256:0a", {}, "v0.17.4"),
        ("a/k8s-device-plugin@sha256:0a", {"helm.sh/chart": "nvidia-device-plugin-0.17.1"}, "v0.17.1"),
        ("a/k8s-device-plugin:latest", {"app.kubernetes.io/version": "0.16.2"}, "v0.16.2"),
        ("registry:5000/k8s-device-plugin", {}, None),
        ("", {}, None),
    ],
)
def test_find_version_by_tag_then_by_chart(image: str, labels: dict[str, str], version: str | None) -> None:
    assert find_version(image, labels) == version


@pytest.mark.parametrize(
    ("image", "tag"), [("a/b:v1", "v1"), ("reg:5000/b", None), ("a/b@sha256:0a", ""), ("a/b:v1@sha256:0a", "v1")]
)
def test_image_tag_is_not_the_port_of_a_registry(image: str, tag: str | None) -> None:
    assert image_tag(image) == tag


class TestConfigSource:
    def test_a_plugin_without_config_file_has_none(self, daemonset: Any) -> None:
        obj = daemonset()
        assert find_config_source(obj, find_plugin_container(obj) or {}) == ConfigSource()

    @pytest.mark.parametrize(
        ("mount", "volume", "path", "key"),
        [
            pytest.param(MOUNT, VOLUME, "/etc/nvidia/time-slicing-config/l20", "l20", id="a key of the ConfigMap"),
            pytest.param(
                {**MOUNT, "mountPath": "/config.yaml", "subPath": "t4"},
                VOLUME,
                "/config.yaml",
                "t4",
                id="mounted as a single file",
            ),
            pytest.param(
                MOUNT,
                {
                    "name": "config",
                    "configMap": {"name": "time-slicing-config", "items": [{"key": "any", "path": "c.yaml"}]},
                },
                "/etc/nvidia/time-slicing-config/c.yaml",
                "any",
                id="under another name",
            ),
            pytest.param(
                MOUNT,
                {"name": "config", "projected": {"sources": [{"configMap": {"name": "time-slicing-config"}}]}},
                "/etc/nvidia/time-slicing-config/l20",
                "l20",
                id="projected",
            ),
        ],
    )
    def test_a_mounted_config_map_is_found(self, daemonset: Any, mount: Any, volume: Any, path: str, key: str) -> None:
        container = {"args": [f"--config-file={path}"], "volumeMounts": [mount]}
        obj = daemonset(container=container, pod={"volumes": [volume]})
        source = find_config_source(obj, find_plugin_container(obj) or {})
        assert source == ConfigSource("configmap", "kube-system/time-slicing-config", key)

    def test_a_file_of_the_host_is_told_apart(self, daemonset: Any) -> None:
        container = {
            "env": [{"name": "CONFIG_FILE", "value": "/etc/x.yaml"}],
            "volumeMounts": [{**MOUNT, "mountPath": "/etc"}],
        }
        obj = daemonset(container=container, pod={"volumes": [{"name": "config", "hostPath": {"path": "/etc"}}]})
        assert find_config_source(obj, find_plugin_container(obj) or {}).kind == "file"

    def test_a_config_manager_takes_its_key_from_the_node(self, daemonset: Any) -> None:
        manager = {
            "name": "nvidia-device-plugin-sidecar",
            "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1",
            "command": ["config-manager"],
            "env": [{"name": "CONFIG_FILE_SRCDIR", "value": "/available-configs"}],
            "volumeMounts": [{"name": "available-configs", "mountPath": "/available-configs"}],
        }
        plugin = {
            "name": "nvidia-device-plugin-ctr",
            "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1",
            "command": ["nvidia-device-plugin"],
            "env": [{"name": "CONFIG_FILE", "value": "/config/config.yaml"}],
            "volumeMounts": [{"name": "config", "mountPath": "/config"}],
        }
        volumes = [
            {"name": "available-configs", "configMap": {"name": "plugin-configs"}},
            {"name": "config", "emptyDir": {}},
        ]
        obj = daemonset(pod={"containers": [manager, plugin], "volumes": volumes})
        container = find_plugin_container(obj)
        assert container == plugin
        assert find_config_source(obj, plugin) == ConfigSource("configmap", "kube-system/plugin-configs", per_node=True)


def test_read_plugin_describes_the_reference_plugin(daemonset: Any) -> None:
    annotations = {"meta.helm.sh/release-name": "nvidia-gpu"}
    obj = daemonset(metadata={"annotations": annotations})
    plugin = read_plugin(obj, find_plugin_container(obj) or {}, None)
    assert plugin["owner"] == {"kind": "helm", "name": "nvidia-gpu"}
    assert (plugin["version"], plugin["config_source"], plugin["config"]) == ("v0.14.5", "none", None)
    assert plugin["args"] == ["--mig-strategy=single", "--fail-on-init-error=false", "--pass-device-specs=true"]
    assert plugin["settings"]["migStrategy"] == "single"
    assert plugin["settings"]["failOnInitError"] is False
    assert plugin["setting_sources"]["passDeviceSpecs"] == "command line"
    assert plugin["node_selector"] == {"nvidia-device-enable": "enable"}
    assert plugin["update_strategy"] == "RollingUpdate"


@pytest.mark.parametrize(
    ("text", "strategy", "known"),
    [(CONFIG, "none", True), ("- a\n", "single", False), ("a: [", "single", False), (None, "single", False)],
)
def test_read_plugin_with_its_config_file(daemonset: Any, text: str | None, strategy: str, known: bool) -> None:
    args = ["--config-file=/etc/nvidia/time-slicing-config/l20"] + ([] if known else ["--mig-strategy=single"])
    obj = daemonset(container={"args": args, "volumeMounts": [MOUNT]}, pod={"volumes": [VOLUME]})
    plugin = read_plugin(obj, find_plugin_container(obj) or {}, text)
    assert plugin["settings"]["migStrategy"] == strategy
    assert (plugin["config"] is not None) is known
    assert (plugin["config_source"], plugin["config_key"]) == ("configmap", "l20")

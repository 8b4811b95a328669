# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import find_plugin_container, read_plugin
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.risks import find_overlaps, find_risks

MOUNT = {"name": "config", "mountPath": "/c"}
WITH_FILE = {"volumes": [{"name": "config", "configMap": {"name": "c"}}]}
#: A plugin without any risk, to put one in at a time.
SOUND = {"image": "nvcr.io/nvidia/k8s-device-plugin:v0.20.0", "args": ["--config-file=/c/l20"], "volumeMounts": [MOUNT]}


def found(obj: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**read_plugin(obj, find_plugin_container(obj) or {}, None), **more}


def codes(plugin: dict[str, Any]) -> set[str]:
    risks = find_risks(plugin)
    assert all(risk["message"].endswith(".") for risk in risks)
    return {risk["code"] for risk in risks}


def test_find_risks_of_a_sound_plugin_are_none(daemonset: Any) -> None:
    assert codes(found(daemonset(container=SOUND, pod=WITH_FILE, strategy="OnDelete"))) == set()


@pytest.mark.parametrize(
    ("container", "more", "code"),
    [
        pytest.param(
            {"args": [*SOUND["args"], "--fail-on-init-error=false"]},
            {},
            "fail_on_init_error_false",
            id="hides broken nodes",
        ),
        pytest.param(
            {"env": [{"name": "FAIL_ON_INIT_ERROR", "value": "false"}]},
            {},
            "fail_on_init_error_false",
            id="by environment",
        ),
        pytest.param(
            {"args": [*SOUND["args"], "--mig-strategy=single"]}, {}, "mig_strategy_beats_file", id="argument beats file"
        ),
        pytest.param(
            {"env": [{"name": "MIG_STRATEGY", "value": "none"}]},
            {},
            "mig_strategy_beats_file",
            id="variable beats file",
        ),
        pytest.param({"args": []}, {}, "no_config_file", id="no config file"),
        pytest.param({}, {"strategy": "RollingUpdate"}, "rolling_update", id="rolls by itself"),
        pytest.param({"securityContext": {"privileged": True}}, {}, "privileged", id="privileged"),
        pytest.param({"image": "nvcr.io/nvidia/k8s-device-plugin:v0.14.5"}, {}, "old_version", id="old"),
        pytest.param(
            {}, {"metadata": {"annotations": {"meta.helm.sh/release-name": "x"}}}, "owned", id="owned by Helm"
        ),
        pytest.param({}, {"pod": {**WITH_FILE, "priorityClassName": ""}}, "no_priority_class", id="no priority"),
    ],
)
def test_find_risks_finds_each_alone(daemonset: Any, container: Any, more: Any, code: str) -> None:
    obj = daemonset(container={**SOUND, **container}, **{"strategy": "OnDelete", "pod": WITH_FILE, **more})
    assert codes(found(obj)) == {code}


@pytest.mark.parametrize("image", ["nvcr.io/nvidia/k8s-device-plugin:latest", "reg:5000/k8s-device-plugin"])
def test_find_risks_of_an_image_without_version(daemonset: Any, image: str) -> None:
    obj = daemonset(container={**SOUND, "image": image}, pod=WITH_FILE, strategy="OnDelete")
    assert codes(found(obj)) == {"floating_image", "unknown_version"}


def test_find_risks_of_the_reference_plugin(daemonset: Any) -> None:
    obj = daemonset(metadata={"annotations": {"meta.helm.sh/release-name": "nvidia-gpu"}})
    assert codes(found(obj)) == {"owned", "fail_on_init_error_false", "no_config_file", "rolling_update", "old_version"}
    owned = next(risk for risk in find_risks(found(obj)) if risk["code"] == "owned")
    assert owned["message"].startswith("Helm release nvidia-gpu owns it")


def test_find_risks_of_our_own_are_only_pods_that_are_not_ready(daemonset: Any) -> None:
    obj = daemonset(metadata={"labels": {"app.kubernetes.io/managed-by": "kubegpu.sharing"}})
    pod = {"name": "p", "node": "gpu-1", "ready": False, "terminating": False}
    assert codes(found(obj)) == set()
    assert codes(found(obj, pods=[pod])) == {"not_ready"}
    assert codes(found(obj, pods=[{**pod, "terminating": True}])) == set()


def test_find_overlaps_names_the_other_plugin_and_the_node(daemonset: Any) -> None:
    one = found(daemonset("one"), nodes=["gpu-1", "gpu-2"])
    two = found(daemonset("two"), nodes=["gpu-2"])
    three = found(daemonset("three"), nodes=["gpu-3"])
    overlaps = find_overlaps([one, two, three])
    assert set(overlaps) == {"uid-one", "uid-two"}
    assert overlaps["uid-one"]["message"].startswith("runs beside kube-system/two on gpu-2:")

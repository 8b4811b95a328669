# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import (
    admission_failures,
    observe_pod,
    unknown_plugins,
    unsettled,
)


def pod(name: str = "p", image: str = "nvcr.io/nvidia/k8s-device-plugin:v0.17.1", **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "kube-system", "name": name, "uid": f"uid-{name}"},
        "spec": {"nodeName": "gpu-1", "containers": [{"image": image}]},
        "status": status,
    }


def with_gpu(obj: dict[str, Any]) -> dict[str, Any]:
    obj["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}
    return obj


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nvcr.io/nvidia/k8s-device-plugin:v0.17.1", True),
        ("ccr.ccs.tencentyun.com/tkeimages/k8s-device-plugin:v0.14.5", True),
        ("registry:5000/mirror/k8s-device-plugin", True),
        ("k8s-device-plugin@sha256:0123", True),
        ("k8s-device-plugin:v1@sha256:0123", True),
        ("gke.gcr.io/nvidia-gpu-device-plugin:v1", True),
        ("example/amd-k8s-device-plugin-like:1", False),
        ("rocm/k8s-device-plugin:1", False),
        ("nginx", False),
        ("", False),
    ],
)
def test_is_plugin_goes_by_the_last_part_of_the_image(image: str, expected: bool) -> None:
    assert observe_pod(pod(image=image)).is_plugin is expected


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"name": "nvidia-device-plugin-ctr", "command": ["nvidia-device-plugin"]}, True),
        ({"name": "x", "image": "local/gpu:1", "command": ["/usr/bin/nvidia-device-plugin"]}, True),
        ({"name": "gpu-feature-discovery-ctr", "command": ["/usr/bin/gpu-feature-discovery"]}, False),
        ({"name": "gpu-feature-discovery-sidecar", "command": ["config-manager"]}, False),
        ({"name": "mps-control-daemon-ctr", "command": ["mps-control-daemon"]}, False),
    ],
)
def test_is_plugin_goes_by_the_program_too(container: dict[str, Any], expected: bool) -> None:
    """The chart's other programs come in the plugin's image."""
    obj = pod()
    obj["spec"]["containers"] = [{**obj["spec"]["containers"][0], **container}]
    assert observe_pod(obj).is_plugin is expected


def test_is_plugin_knows_ours_by_its_revision() -> None:
    obj = pod(image="mirror/renamed:1")
    obj["metadata"]["labels"] = {"kubegpu.sharing/revision": "0a"}
    assert observe_pod(obj).is_plugin


def test_may_serve_is_told_by_the_daemonset_too() -> None:
    obj = pod(image="mirror/renamed:1")
    assert not observe_pod(obj).may_serve(["kube-system/ds"])
    obj["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": "ds", "controller": True}]
    assert observe_pod(obj).may_serve(["kube-system/ds"])
    assert unknown_plugins([observe_pod(pod())], "kube-system/ds") == [observe_pod(pod())]
    assert unknown_plugins([observe_pod(obj)], "kube-system/ds") == []


def test_describe_pod_that_crashes_says_why_and_how_it_ended() -> None:
    status: dict[str, Any] = {
        "phase": "Running",
        "containerStatuses": [
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
                "lastState": {"terminated": {"exitCode": 1, "message": "read /etc/x: is a directory\n"}},
            }
        ],
    }
    assert observe_pod(pod(**status)).describe() == (
        "kube-system/p: Running, not ready, CrashLoopBackOff: back-off 10s: last ended with exit code 1 (read /etc/x: is a directory)"
    )


def test_describe_pod_that_was_refused_gives_its_reason() -> None:
    status = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed"}
    assert observe_pod(pod(**status)).describe() == "kube-system/p: Failed, UnexpectedAdmissionError: Allocate failed"


def test_describe_pod_that_is_going() -> None:
    going = pod(phase="Running")
    going["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
    assert observe_pod(going).describe() == "kube-system/p: terminating"


def test_unsettled_are_gpu_pods_that_no_kubelet_has_answered() -> None:
    pods = [
        with_gpu(pod("bound", phase="Pending")),
        with_gpu(pod("pulling", phase="Pending", startTime="2026-03-01T12:00:00Z")),
        with_gpu(pod("running", phase="Running")),
        pod("cpu-only", phase="Pending"),
    ]
    assert [one.name for one in unsettled(map(observe_pod, pods))] == ["bound"]


def test_owned_by_needs_namespace_kind_and_controller() -> None:
    obj = pod()
    obj["metadata"]["ownerReferences"] = [{"kind": "DaemonSet", "name": "ds", "controller": True}]
    assert observe_pod(obj).owned_by("kube-system/ds")
    assert not observe_pod(obj).owned_by("default/ds")
    assert not observe_pod(pod()).owned_by("kube-system/ds")


def test_admission_failures_tells_them_from_other_failures() -> None:
    pods = [
        pod("refused", phase="Failed", reason="UnexpectedAdmissionError", message="no healthy devices present"),
        pod("full", phase="Failed", reason="OutOfnvidia.com/gpu"),
        pod("evicted", phase="Failed", reason="Evicted"),
        pod("running", phase="Running"),
    ]
    assert [one["name"] for one in admission_failures(map(observe_pod, pods))] == ["full", "refused"]


@pytest.mark.parametrize(
    ("status", "before"),
    [
        (
            {"conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-01T11:59:59Z"}]},
            True,
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-01T12:00:00Z"}]},
            False,
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "lastTransitionTime": "2026-02-01T12:00:00Z"}]},
            False,
        ),
        ({"startTime": "2026-03-01T11:00:00Z"}, True),
        ({}, False),
    ],
)
def test_bound_before_goes_by_the_time_it_came_to_its_node(status: dict[str, Any], before: bool) -> None:
    assert observe_pod(pod(**status)).bound_before("2026-03-01T12:00:00.500Z") is before

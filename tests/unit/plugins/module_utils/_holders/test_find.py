# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._holders.scene import NODE, cluster, exporter, pod, process

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.find import Found, Request, find
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.kinds import kind_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.methods import Method
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.record import Record, SetLabel


def look(found_in: dict[str, Any], *holders: dict[str, Any], **request: Any) -> Found:
    return find(NODE, found_in, {"holders": list(holders)}, Request(**request))


@pytest.mark.parametrize(
    ("container", "kind"),
    [
        ({"image": "nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3-4.1.3-ubuntu22.04"}, "dcgm_exporter"),
        ({"image": "mirror:5000/dcgm-exporter@sha256:0123"}, "dcgm_exporter"),
        ({"image": "nvcr.io/nvidia/cloud-native/dcgm:4.2.3"}, "dcgm"),
        ({"image": "x/y:1", "command": ["/usr/bin/nv-hostengine"]}, "dcgm"),
        ({"image": "nvcr.io/nvidia/gpu-feature-discovery:v0.8.2"}, "gpu_feature_discovery"),
        (
            {"image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1", "command": ["gpu-feature-discovery"]},
            "gpu_feature_discovery",
        ),
        (
            {"image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1", "command": ["mps-control-daemon"]},
            "mps_control_daemon",
        ),
        ({"image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1"}, "device_plugin"),
        ({"image": "nvcr.io/nvidia/cloud-native/k8s-mig-manager:v0.12.1"}, "mig_manager"),
        ({"image": "nvcr.io/nvidia/driver:570", "name": "nvidia-driver-ctr"}, "driver"),
        ({"image": "utkuozdemir/nvidia_gpu_exporter:1.3.0"}, "gpu_exporter"),
        ({"image": "prom/node-exporter:v1.9"}, ""),
        ({"image": "registry.k8s.io/node-problem-detector:v0.8"}, ""),
    ],
)
def test_kind_of_a_workload_is_told_by_what_it_runs(container: dict[str, Any], kind: str) -> None:
    assert kind_of(exporter(containers=[{"name": "main", **container}])) == kind


def test_find_takes_known_kinds_whether_seen_or_not() -> None:
    found = look(cluster(exporter(), exporter("web", "nginx:1")))
    assert found.problems == ()
    assert [holder.daemonset for holder in found.holders] == ["monitoring/exporter"]
    assert found.to_dict()["daemonsets"] == [
        {
            "daemonset": "monitoring/exporter",
            "uid": "uid-exporter",
            "kind": "dcgm_exporter",
            "observed": False,
            "method": "taint",
            "label": None,
            "value": None,
        }
    ]


def test_find_takes_what_was_seen_whatever_it_is() -> None:
    scene = cluster(exporter("probe", "example/probe:1", nodeSelector={"probe": "on"}), pods=[pod("probe")])
    (holder,) = look(scene, process(pod_uid="pod-1")).holders
    assert (holder.daemonset, holder.observed, holder.method.label) == ("monitoring/probe", True, "probe")
    assert look(scene).holders == ()
    assert find(NODE, scene, None, Request(observed={"monitoring/probe"})).holders == (holder,)


def test_find_leaves_a_known_kind_on_other_nodes_alone() -> None:
    scene = cluster(exporter(nodeSelector={"metrics": "on"}), labels={})
    assert look(scene) == Found()
    assert look(cluster(exporter(nodeSelector={"metrics": "on"}), labels={}, pods=[pod()])).holders != ()


def test_find_leaves_device_plugins_to_the_switch() -> None:
    plugin = exporter("plugin", "nvcr.io/nvidia/k8s-device-plugin:v0.17.1")
    scene = cluster(plugin, exporter("other", "cloud/accelerator:1"), pods=[pod("plugin"), pod("other", "pod-2")])
    seen = [process(pod_uid="pod-1"), process(pod_uid="pod-2")]
    assert look(scene, *seen, gone={"monitoring/other"}) == Found()


def test_find_one_that_cannot_be_paused_says_what_to_type() -> None:
    found = look(cluster(exporter(tolerations=[{"operator": "Exists"}])))
    assert found.holders == ()
    (problem,) = found.problems
    assert problem.startswith(
        "DaemonSet monitoring/exporter keeps NVIDIA's driver open and cannot be paused: each node label"
    )
    assert "kubectl -n monitoring patch daemonset exporter --type=merge -p '{" in problem
    assert problem.endswith("(kubegpu_mig_ignore_holders: [monitoring/exporter]); then the driver decides.")


@pytest.mark.parametrize("name", ["exporter", "monitoring/exporter"])
def test_find_leaves_out_what_it_is_told_to(name: str) -> None:
    found = look(cluster(exporter(tolerations=[{"operator": "Exists"}])), ignore=[name])
    assert (found.problems, found.holders, found.ignored) == ((), (), ("monitoring/exporter",))


def test_find_never_takes_the_driver_off() -> None:
    driver = exporter(
        "driver", "nvcr.io/nvidia/driver:570", containers=[{"name": "nvidia-driver-ctr", "image": "driver"}]
    )
    found = look(cluster(driver, pods=[pod("driver")]), process(pod_uid="pod-1"))
    assert (found.holders, found.ignored, found.problems) == ((), ("monitoring/driver",), ())


def test_find_says_that_another_manager_would_undo_the_layout() -> None:
    selector = {"nvidia.com/gpu.deploy.mig-manager": "true", "kubernetes.io/os": "linux"}
    manager = exporter("mig", "nvcr.io/nvidia/cloud-native/k8s-mig-manager:v0.12.1", nodeSelector=selector)
    found = look(cluster(manager))
    assert "kubectl label node gpu-1 nvidia.com/gpu.deploy.mig-manager=false --overwrite" in found.problems[0]
    assert look(cluster(manager), ignore=["mig"]).problems == ()


def test_find_during_a_maintenance_finds_what_is_paused_by_it() -> None:
    one, other = exporter("a", nodeSelector={"metrics": "on"}), exporter("b", "example/probe:1")
    before = find(NODE, cluster(one, other), None, Request(observed={"monitoring/b"}))
    record = Record({"metrics": SetLabel("on", None)}, True, ("monitoring/a", "monitoring/b"))
    note = {"restore": {"paused": record.to_dict()}}
    after = look(cluster(one, other, labels={}, maintenance=note))
    assert [holder.method for holder in after.holders] == [holder.method for holder in before.holders]
    assert [holder.daemonset for holder in after.holders] == ["monitoring/a", "monitoring/b"]


@pytest.mark.parametrize(
    ("held_by", "request_", "problem"),
    [
        pytest.param(
            pod(None),
            {},
            "pod monitoring/bare-x keeps NVIDIA's driver open (process 4312 (exporter)) without",
            id="pod",
        ),
        pytest.param(pod(None), {"scope": "all"}, None, id="pod that is evicted with all"),
        pytest.param(pod(None), {"leaving": {"pod-1"}}, None, id="pod that is evicted"),
        pytest.param(pod(None, requests={"nvidia.com/gpu": 1}), {}, None, id="pod with a device"),
        pytest.param(pod(requests={"nvidia.com/gpu": 1}), {}, None, id="pod of a DaemonSet with a device"),
        pytest.param(pod(None, terminating=True), {}, None, id="pod that ends"),
        pytest.param(pod(None, mirror=True), {"scope": "all"}, "static pod monitoring/bare-x keeps", id="static pod"),
        pytest.param(pod(None), {"ignore": ["bare-x"]}, None, id="pod left out"),
        pytest.param(pod(uid="x"), {}, "process 4312 (exporter) of a pod that the API does not list", id="unknown pod"),
        pytest.param(pod(uid="x"), {"ignore": ["exporter"]}, None, id="unknown pod left out"),
    ],
)
def test_find_sorts_pods_that_hold_the_driver(
    held_by: dict[str, Any], request_: dict[str, Any], problem: str | None
) -> None:
    found = look(cluster(pods=[held_by]), process(pod_uid="pod-1"), **request_)
    assert found.holders == ()
    assert len(found.problems) == (problem is not None)
    assert problem is None or found.problems[0].startswith(problem)


def test_find_says_so_if_nobody_was_allowed_to_look() -> None:
    facts = {"holders": None, "holders_reason": "/proc cannot be read. Run with become."}
    assert find(NODE, cluster(), facts, Request()).problems == (
        "who keeps NVIDIA's driver open could not be read: /proc cannot be read. Run with become.",
    )
    assert find(NODE, cluster(), {"gpus": []}, Request()).problems == ()


def test_find_sorts_processes_of_the_host() -> None:
    persistenced = process(pid=1, command="nvidia-persiste", unit="nvidia-persistenced.service")
    monitor = [process(pid=2, command="mon", unit="mon.service"), process(pid=3, command="mon", unit="mon.service")]
    found = look(
        cluster(), persistenced, *monitor, process(pid=4, command="python3"), host_services=["nvidia-persistenced"]
    )
    assert found.host == ({"pid": 1, "command": "nvidia-persiste", "unit": "nvidia-persistenced.service"},)
    assert found.problems == (
        "process 4 (python3) on its host, of no unit, keeps NVIDIA's driver open: end it, or leave it as it is "
        "(kubegpu_mig_ignore_holders: [python3]).",
        "processes 2, 3 (mon) on its host, of unit mon.service, keep NVIDIA's driver open: stop it, or have it stopped for the "
        "time (kubegpu_mig_host_services with mon added), or leave it as it is (kubegpu_mig_ignore_holders: [mon]).",
    )
    ignored = look(cluster(), *monitor, process(pid=4, command="python3"), ignore=["mon", "python3"])
    assert (ignored.problems, ignored.ignored) == ((), ("mon", "python3"))


def test_find_leaves_out_a_measurement_for_it_gives_way() -> None:
    found = look(cluster(), process(pid=4, command="kubegpu-usage", unit="session-3.scope"))
    assert (found.problems, found.host, found.ignored) == ((), (), ())


METHODS = {"monitoring/a": Method("label", "metrics"), "monitoring/b": Method("taint")}


def test_find_again_is_held_to_the_plan() -> None:
    scene = cluster(exporter("a", nodeSelector={"metrics": "on"}), exporter("b"))
    assert {holder.daemonset: holder.method for holder in look(scene, planned=METHODS).holders} == METHODS
    # The plan has seen that others depend on the label; the means stays.
    taint = {**METHODS, "monitoring/a": Method("taint")}
    assert {holder.daemonset: holder.method for holder in look(scene, planned=taint).holders} == taint


@pytest.mark.parametrize(
    ("scene", "problem"),
    [
        pytest.param(
            cluster(exporter("a", nodeSelector={"metrics": "on"}), exporter("b"), exporter("c")),
            "DaemonSet monitoring/c keeps NVIDIA's driver open and came since the plan was made. Make a new plan.",
            id="a new one",
        ),
        pytest.param(
            cluster(
                exporter("a", nodeSelector={"metrics": "on"}), exporter("w", "nginx:1", nodeSelector={"metrics": "on"})
            ),
            "DaemonSet monitoring/a can no longer be paused by the label metrics, as the plan says: it, or what selects on that",
            id="another selects on its label",
        ),
        pytest.param(
            cluster(exporter("b", tolerations=[{"operator": "Exists"}])),
            "DaemonSet monitoring/b can no longer be paused by a taint, as the plan says",
            id="it tolerates the taint",
        ),
    ],
)
def test_find_again_what_is_otherwise_than_planned_is_a_problem(scene: dict[str, Any], problem: str) -> None:
    (found,) = look(scene, planned=METHODS).problems
    assert found.startswith(problem)

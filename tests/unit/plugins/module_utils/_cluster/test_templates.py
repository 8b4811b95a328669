# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import LabelUsers, node_label_keys

LABEL = "nvidia-device-enable"
EXPRESSION = {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]}


def workload(kind: str, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    template: dict[str, Any] = {"template": {"spec": spec}}
    if kind == "CronJob":
        template = {"jobTemplate": {"spec": template}}
    return {"metadata": {"namespace": "a", "name": "b"}, "spec": template, **more}


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"nodeSelector": {LABEL: "enable"}}, id="node selector"),
        pytest.param(
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [EXPRESSION]}
                    }
                }
            },
            id="required affinity",
        ),
        pytest.param(
            {
                "affinity": {
                    "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"preference": EXPRESSION}]}
                }
            },
            id="preferred affinity",
        ),
        pytest.param({"topologySpreadConstraints": [{"topologyKey": LABEL}]}, id="spreading"),
        pytest.param(
            {
                "affinity": {
                    "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": LABEL}]}
                }
            },
            id="pods kept apart",
        ),
        pytest.param(
            {
                "affinity": {
                    "podAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": {"topologyKey": LABEL}}]
                    }
                }
            },
            id="pods kept together",
        ),
    ],
)
def test_node_label_keys_finds_every_way_to_depend_on_a_label(spec: dict[str, Any]) -> None:
    assert node_label_keys(spec) == {LABEL}


@pytest.mark.parametrize("kind", ["DaemonSet", "Deployment", "StatefulSet", "Job", "CronJob"])
def test_label_users_names_each_kind_of_workload(kind: str) -> None:
    users = LabelUsers()
    users.add_workload(kind, workload(kind, {"nodeSelector": {LABEL: "enable"}}))
    assert users.to_dict({LABEL}, "nvidia.com/") == {LABEL: [f"{kind} a/b"]}


def test_label_users_leaves_out_finished_jobs() -> None:
    users = LabelUsers()
    done = {"conditions": [{"type": "Complete", "status": "True"}]}
    users.add_workload("Job", workload("Job", {"nodeSelector": {LABEL: "x"}}, status=done))
    assert users.to_dict({LABEL}, "nvidia.com/") == {LABEL: []}


@pytest.mark.parametrize(
    ("owner", "labels", "user"),
    [
        pytest.param(None, {}, ["Pod default/pod"], id="bare"),
        pytest.param(("RayCluster", "ray", "u"), {}, ["RayCluster default/ray"], id="of an operator"),
        pytest.param(("ReplicaSet", "rs", "u"), {}, ["ReplicaSet default/rs"], id="of a bare ReplicaSet"),
        pytest.param(("ReplicaSet", "d-1", "u"), {"pod-template-hash": "1"}, [], id="of a Deployment"),
        pytest.param(("DaemonSet", "d", "u"), {}, [], id="of a DaemonSet"),
    ],
)
def test_label_users_counts_pods_that_no_listed_workload_stands_for(
    pod: Any, owner: Any, labels: Any, user: list[str]
) -> None:
    users = LabelUsers()
    more = {"owner": owner} if owner else {}
    users.add_pod(pod(labels=labels, spec={"nodeSelector": {LABEL: "x"}}, **more))
    assert users.to_dict({LABEL}, "nvidia.com/") == {LABEL: user}


def test_label_users_tells_only_of_labels_that_matter() -> None:
    users = LabelUsers()
    selector = {"kubernetes.io/os": "linux", "nvidia.com/gpu.product": "NVIDIA-L20"}
    users.add_workload("Deployment", workload("Deployment", {"nodeSelector": selector}))
    assert users.to_dict(set(), "nvidia.com/") == {"nvidia.com/gpu.product": ["Deployment a/b"]}

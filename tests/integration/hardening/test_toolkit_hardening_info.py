# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The safe order of hardening on the reference cluster, walked from its beginning to its end over HTTP."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.modules import toolkit_hardening_info
from simulator.cluster import SimulatedCluster

PLUGIN = "/apis/apps/v1/namespaces/kube-system/daemonsets/nvidia-device-plugin-daemonset"
MOUNTS = "accept-nvidia-visible-devices-as-volume-mounts = true\n"
REFUSED = f"{MOUNTS}accept-nvidia-visible-devices-envvar-when-unprivileged = false\n"
NODES = ("gpu-l20", "gpu-t4")


def ask(cluster: SimulatedCluster, *texts: str, seen: Any = ()) -> dict[str, Any]:
    params = {
        "configs": dict(zip(NODES, texts)),
        "volume_mount_pods": list(seen),
        "resource_prefix": "nvidia.com/",
    }
    client = KubeClient.from_params({"kubeconfig": str(cluster.kubeconfig)})
    position = cluster.position()
    facts = toolkit_hardening_info.run(params, client).facts
    assert cluster.writes(position) == []
    assert facts["requests"]["get"] == 3
    return facts


def undone(facts: dict[str, Any]) -> list[str]:
    return [step["name"] for step in facts["steps"] if not step["done"]]


def gpu_pods(cluster: SimulatedCluster) -> list[dict[str, Any]]:
    pods = cluster.client().items("/api/v1/pods")
    return [
        one
        for one in pods
        if one["metadata"]["namespace"] == "nlp" and one["spec"].get("nodeName") and one["status"]["phase"] == "Running"
    ]


def name_devices_by_mounts(cluster: SimulatedCluster) -> None:
    """The device plugin does, and its pods run with it."""
    client = cluster.client()
    template = client.get(PLUGIN)["spec"]["template"]
    template["spec"]["containers"][0]["args"].append("--device-list-strategy=volume-mounts")
    client.patch(PLUGIN, {"spec": {"template": template}})

    def rolled() -> bool:
        status = client.get(PLUGIN)["status"]
        return bool(status.get("updatedNumberScheduled") == status.get("numberReady") == len(NODES))

    cluster.wait_until(rolled, 120, "the plugin's new pods")
    cluster.settle()


def recreate(cluster: SimulatedCluster, old: list[dict[str, Any]]) -> None:
    """Have new pods with GPUs in the place of the old ones."""
    # Kubernetes tells whole seconds, and a pod of the same second may have come before the plugin.
    time.sleep(1.1)
    gone = {one["metadata"]["uid"] for one in old}
    for one in old:
        cluster.client().delete(f"/api/v1/namespaces/nlp/pods/{one['metadata']['name']}")
    cluster.wait_until(
        lambda: (
            len([one for one in gpu_pods(cluster) if one["metadata"]["uid"] not in gone]) == len(NODES)
            and not [one for one in gpu_pods(cluster) if one["metadata"]["uid"] in gone]
        ),
        120,
        "new pods with GPUs",
    )


@pytest.mark.timeout(240)
def test_order_from_a_cluster_as_it_is_found_to_one_that_may_be_hardened(tmp_path: Path) -> None:
    with SimulatedCluster.start("reference", tmp_path, speed=50) as cluster:
        found = ask(cluster, "", MOUNTS)
        assert not found["ready"]
        assert (found["nodes"], found["hardened"]) == (list(NODES), [])
        assert undone(found) == ["accept_volume_mounts", "name_devices_by_mounts"]
        assert found["steps"][0]["missing"] == ["node gpu-l20 does not accept volume mounts."]
        assert "kubegpu_runtime_visible_devices: both" in found["next"]
        assert "DaemonSet kube-system/nvidia-device-plugin-daemonset" in found["message"]

        assert undone(ask(cluster, MOUNTS, MOUNTS)) == ["name_devices_by_mounts"]
        name_devices_by_mounts(cluster)
        old = gpu_pods(cluster)
        found = ask(cluster, MOUNTS, MOUNTS)
        assert undone(found) == ["recreate_pods"]
        listed = " ".join(found["steps"][3]["missing"])
        assert all(
            f"pod nlp/{one['metadata']['name']} on node {one['spec']['nodeName']} came at" in listed for one in old
        )
        assert len(found["steps"][3]["missing"]) == len(old) == len(NODES)

        # Seen on their nodes to have their devices by mounts, they would not have to be made anew.
        seen = [one["metadata"]["uid"] for one in old]
        assert ask(cluster, MOUNTS, MOUNTS, seen=seen)["ready"]

        recreate(cluster, old)
        found = ask(cluster, MOUNTS, MOUNTS)
        assert (found["ready"], found["message"], found["next"]) == (True, "", "")
        assert ask(cluster, REFUSED, MOUNTS)["hardened"] == ["gpu-l20"]
        # A node that comes, or that nobody looked at, holds up the others.
        assert undone(ask(cluster, MOUNTS)) == ["accept_volume_mounts"]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.fake_cluster import FOREIGN, GPU, LABEL, FakeCluster

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.modules import device_plugin, rollback_plan

from .conftest import Start

# What a sharing plan returns, for the role treats both alike.
COMMON = {"plan_id", "empty", "waves", "wave_sizes", "wave_hosts", "plan", "dest"}


def write_cluster(cluster: FakeCluster, path: Path) -> str:
    """The cluster file, as far as a rollback looks at it."""
    namespace, _slash, name = FOREIGN.partition("/")
    plugin = {"namespace": namespace, "name": name, "owner": {"kind": "none"}, "node_selector": LABEL, "nodes": []}
    nodes: dict[str, Any] = {}
    for node in cluster.keys:
        obj = cluster.node(node)
        labels, slots = obj["metadata"].get("labels") or {}, cluster.allocatable(node)
        nodes[node] = {
            "labels": labels,
            "key": labels.get("nvidia.com/device-plugin.config"),
            "revision": labels.get("kubegpu.sharing/revision"),
            "ready": True,
            "resources": {GPU: {"capacity": slots, "allocatable": slots, "requested": 0, "free": slots}},
            "pods": [],
        }
    path.write_text(json.dumps({"nodes": nodes, "plugins": [plugin]}))
    return str(path)


def run(api: KubeApi, cluster_path: str, **params: Any) -> dict[str, Any]:
    spec = rollback_plan.argument_spec().options
    given = {name: option.get("default") for name, option in spec.items()}
    return rollback_plan.run({**given, "cluster_path": cluster_path, **params}, api).to_result()


def test_the_plan_is_written_and_returned_in_the_words_of_every_plan(start: Start, tmp_path: Path) -> None:
    cluster, driver = start()
    driver.roll_out()
    cluster.settle()
    before = len(cluster.api.writes)
    path, dest = write_cluster(cluster, tmp_path / "cluster.json"), str(tmp_path / "back.json")
    result = run(cluster.api, path, dest=dest, hosts={"host-1": "gpu-1", "gpu-2": ""})
    assert set(result) >= COMMON
    assert (result["changed"], result["empty"], result["kind"]) == (False, False, "rollback")
    assert {entry["node"]: entry["host"] for entry in result["wave_hosts"]} == {"gpu-1": "host-1", "gpu-2": "gpu-2"}
    assert json.loads(Path(dest).read_text())["plan_id"] == result["plan_id"]
    assert result["diff"]["after"]["gpu-1"]["labels"] == LABEL
    limited = run(cluster.api, path, hosts={"host-1": "gpu-1"}, limited=True)
    assert limited["waves"] == [["gpu-1"]]
    assert cluster.api.writes[before:] == []


def test_without_a_snapshot_or_a_cluster_file_it_is_refused(start: Start, tmp_path: Path) -> None:
    cluster, _driver = start()
    with pytest.raises(InputError, match="nothing to go back to"):
        run(cluster.api, write_cluster(cluster, tmp_path / "cluster.json"))
    with pytest.raises(KubeGpuError, match="Cannot read the cluster file"):
        run(cluster.api, str(tmp_path / "missing.json"))
    assert cluster.api.writes == []


def test_reverted_of_a_plan_that_goes_forward_does_nothing(start: Start) -> None:
    cluster, driver = start(method="affinity")
    driver.lock()
    before = len(cluster.api.writes)
    result = driver.reverted()
    assert (result["changed"], result["left"]) == (False, [])
    assert cluster.api.writes[before:] == []
    assert "reverted" in device_plugin.argument_spec().options["state"]["choices"]

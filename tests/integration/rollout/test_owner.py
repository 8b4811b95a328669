# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An owner who takes its DaemonSet back between two waves."""

from __future__ import annotations

import threading
from pathlib import Path

from simulator.cluster import SimulatedCluster

from .operator import Operator

ADDON = "kube-system/nvidia-gpu-device-plugin"
REVISION = "kubegpu.sharing/revision"


def test_owner_that_takes_its_daemonset_back_between_waves_stops_the_rollout(tmp_path: Path) -> None:
    with SimulatedCluster.start("addon-owned", tmp_path / "cluster", speed=20) as cluster:
        client = cluster.client(user_agent="owner")
        nodes = client.items("/api/v1/nodes")
        gpus = [item["metadata"]["name"] for item in nodes if int(item["status"]["capacity"].get("nvidia.com/gpu", 0))]
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory(
            gpus,
            {
                "kubegpu_sharing_configs": {"all": {"sharing": "time_slicing", "replicas": 4}},
                "kubegpu_default_config": "all",
            },
        )

        def done() -> list[str]:
            return [
                item["metadata"]["name"]
                for item in client.items("/api/v1/nodes")
                if item["metadata"]["labels"].get(REVISION, "withdrawn") != "withdrawn"
                and not item["spec"].get("unschedulable")
            ]

        def owner() -> None:
            cluster.wait_until(done, 120, "the first wave to end")
            cluster.fault("owner", daemonset=ADDON)

        thread = threading.Thread(target=owner, daemon=True)
        thread.start()
        ended = operator.play("rollout")
        thread.join(10)
        words = " ".join(ended.output.split())
        assert ended.returncode != 0
        # The gate of the next wave sees it, or else the step that takes the old plugin off.
        assert "another plugin pod is on the node" in words or "has taken it back" in words
        waves = operator.plan()["waves"]
        assert [len(wave) for wave in waves] == [1, 1, 1]
        last = client.get(f"/api/v1/nodes/{waves[-1][0]}")
        assert not last["spec"].get("unschedulable")
        assert REVISION not in last["metadata"]["labels"]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan says of MIG devices, what the host's part then does, and what the next plan says: with gpu_info's own facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from integration.mig_config.node import Node
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node import NodeReader
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest

pytestmark = pytest.mark.integration

SEVEN = {"devices": {"1g.12gb": 7}}
TWO_KINDS = {"devices": {"3g.48gb": 1, "1g.12gb": 4}}
HALF = {"devices": [{"gpus": [1], "devices": {"3g.48gb": 2}}, {"gpus": 0, "devices": {"7g.96gb": 1}}]}
SINGLE = {"strategy": "single", "devices": {"1g.24gb": 4}}
OFF = {"strategy": "none"}


def read_facts(node: Node) -> dict[str, Any]:
    """What gpu_info finds."""

    files = NodeFiles(str(node.directory / "proc"), str(node.directory / "kubelet"))
    return node.apart(NodeReader(str(node.directory / "libnvidia-ml.so.1"), files=files).read)


def make_plan(node: Node, cluster: dict[str, Any], product: str, mig: Any) -> dict[str, Any]:
    config = {"match": {"product": product}, "mig": mig}
    return build_plan(PlanRequest({"mig": config}, cluster, {"node": read_facts(node)}, {"node": ""}))


@pytest.mark.parametrize(
    ("card", "product", "wishes"),
    [
        ("H20", "NVIDIA H20", (SEVEN, TWO_KINDS, HALF, SINGLE, OFF)),
        ("A30", "NVIDIA A30", ({"devices": {"1g.6gb": 2, "2g.12gb": 1}}, {"devices": {"1g.6gb": 4}}, OFF)),
    ],
)
def test_deed_is_what_the_plan_said_and_the_next_plan_is_empty(
    tmp_path: Path, card: str, product: str, wishes: tuple[Any, ...]
) -> None:
    node = Node.make(tmp_path, card, card, reset="nvml")
    cluster = fleet.cluster({"node": fleet.node(2)}, daemonsets=[])
    for mig in wishes:
        had = {*node.devices(0).values(), *node.devices(1).values()}
        plan = make_plan(node, cluster, product, mig)
        entry = plan["nodes"]["node"]
        assert entry["mig"]["changes"]
        done = node.configure(**entry["mig"]["request"])
        assert "failed" not in done, done
        has = {*node.devices(0).values(), *node.devices(1).values()}
        lost = {device for device in entry["mig"]["lost_devices"] if device.startswith("MIG-")}
        assert lost == had - has
        assert sum(entry["mig_devices"].values()) == len(has)
        assert [without_parts(gpu) for gpu in done["after"]["gpus"]] == [
            without_parts(gpu) for gpu in entry["mig"]["after"]["gpus"]
        ]
        cluster = fleet.roll_out(cluster, plan)
        assert make_plan(node, cluster, product, mig)["empty"]


def without_parts(gpu: dict[str, Any]) -> dict[str, Any]:
    """A GPU of a layout, without the places of compute instances: those of new ones the driver chooses."""
    return {**gpu, "instances": [{**one, "compute": len(one["compute"])} for one in gpu["instances"]]}

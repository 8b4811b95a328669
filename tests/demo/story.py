# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Act one: two GPUs that are taken whole become eleven slots. Every figure shown comes out of the playbooks or the cluster."""

from __future__ import annotations

import json
from typing import Any

from demo.stage import BUILD, SCENARIOS, DemoError, Stage, heading, wait_until
from simulator.cluster import SimulatedCluster

REPORTS = BUILD / "demo"
DEPLOYMENT = "/apis/apps/v1/namespaces/nlp/deployments/nlp"
ROLLING_UPDATE_SECONDS = 120


def tell(*, keep: bool) -> None:
    """Inspect, plan, roll out, roll out again, report, roll back, and roll out once more.

    :param keep: leave the cluster running for hands-on use of inventories/demo.
    :raises DemoError: a playbook failed or the stuck rolling update did not finish.
    """
    heading("Start the simulated reference cluster (8 nodes, 2 of them with a GPU)")
    with Stage.set_up(SCENARIOS / "reference.yml", BUILD / "cluster", "inventories/demo", REPORTS, keep=keep) as stage:
        print(f"kubeconfig: {stage.cluster.kubeconfig}")
        print("Of the playbooks' tasks only those that change something are shown (ANSIBLE_DISPLAY_OK_HOSTS=false).")
        _scenes(stage)


def _scenes(stage: Stage) -> None:
    """What an operator would do, in order."""
    heading("1. inspect: what is there")
    stage.play("inspect")
    heading("2. plan: what would be done, the arithmetic, and a rehearsal")
    stage.play("plan")
    plan_id = stage.newest_plan()["plan_id"]
    heading(f"3. rollout of plan {plan_id}: wave by wave, nothing evicted")
    stage.play("rollout", "-e", f"kubegpu_plan_id={plan_id}")
    heading("4. the rolling update that was stuck")
    _finish_rolling_update(stage.cluster)
    heading("5. a second rollout finds nothing to do")
    writes = stage.count_writes(lambda: stage.play("rollout"))
    print(f"Requests of the second rollout that were not GET: {writes}")
    heading("6. before and after")
    stage.play("report", "-e", json.dumps({"kubegpu_report_extra": {"second_run_writes": writes}}))
    heading("7. rollback to 2 slots: what no longer fits is evicted")
    stage.play("rollback", "-e", "kubegpu_on_overcommit=evict", "-e", "kubegpu_stale_pods=recreate")
    _show_slots(stage.cluster, 2)
    heading("8. and forward again: the same decisions have the same plan_id")
    stage.play("rollout", "-e", f"kubegpu_plan_id={plan_id}")
    _show_slots(stage.cluster, 11)


def _show_slots(cluster: SimulatedCluster, expected: int) -> None:
    """Say what all nodes advertise together."""
    client = cluster.client()
    slots = sum(
        int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", 0)) for node in client.items("/api/v1/nodes")
    )
    print(f"GPU slots that the nodes advertise now: {slots}")
    if slots != expected:
        raise DemoError(f"the nodes advertise {slots} GPU slots, not {expected}")


def _finish_rolling_update(cluster: SimulatedCluster) -> None:
    """Wait until the Deployment that was stuck is rolled out."""

    def status() -> dict[str, Any]:
        return cluster.client().get(DEPLOYMENT)["status"]

    wanted = cluster.client().get(DEPLOYMENT)["spec"]["replicas"]

    def done() -> bool:
        now = status()
        return now.get("updatedReplicas") == now.get("readyReplicas") == now.get("replicas") == wanted

    wait_until(done, ROLLING_UPDATE_SECONDS, lambda: f"the Deployment nlp is not rolled out; its status is {status()}")
    print(f'deployment "nlp" successfully rolled out: {wanted} of {wanted} updated replicas are ready')

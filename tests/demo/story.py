# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Act one: two GPUs that are taken whole become eleven slots. Every figure shown comes out of the playbooks or the cluster."""

from __future__ import annotations

import json
import shutil
from typing import Any

import yaml

from demo.stage import BUILD, REPOSITORY, SCENARIOS, DemoError, Stage, heading, wait_until
from simulator.cluster import SimulatedCluster

REPORTS = BUILD / "demo"
INVENTORY_VARIABLES = REPOSITORY / "inventories/demo/group_vars/all.yml"
UNSIZED = REPOSITORY / "tests/demo/unsized.yml"
DEPLOYMENT = "/apis/apps/v1/namespaces/nlp/deployments/nlp"
ROLLING_UPDATE_SECONDS = 120


def tell(*, keep: bool) -> None:
    """Inspect, measure, plan, roll out, roll out again, report, roll back, and roll out once more.

    :param keep: leave the cluster running for hands-on use of inventories/demo.
    :raises DemoError: a playbook failed or the stuck rolling update did not finish.
    """
    # Several measurements count together, and those of an earlier demo are of other pods.
    shutil.rmtree(REPORTS / "measurements", ignore_errors=True)
    heading("Start the simulated reference cluster (8 nodes, 2 of them with a GPU)")
    with Stage.set_up(SCENARIOS / "reference.yml", BUILD / "cluster", "inventories/demo", REPORTS, keep=keep) as stage:
        print(f"kubeconfig: {stage.cluster.kubeconfig}")
        print("Of the playbooks' tasks only those that change something are shown (ANSIBLE_DISPLAY_OK_HOSTS=false).")
        _scenes(stage)


def _scenes(stage: Stage) -> None:
    """What an operator would do, in order."""
    heading("1. inspect: what is there")
    stage.play("inspect")
    heading("2. measure: what does a process need?")
    stage.play("measure", "-e", f"@{UNSIZED.relative_to(REPOSITORY)}")
    _compare_sizes(stage)
    heading("3. plan: what would be done, the arithmetic, and a rehearsal")
    stage.play("plan")
    plan_id = stage.newest_plan()["plan_id"]
    heading(f"4. rollout of plan {plan_id}: wave by wave, nothing evicted")
    stage.play("rollout", "-e", f"kubegpu_plan_id={plan_id}")
    heading("5. the rolling update that was stuck")
    _finish_rolling_update(stage.cluster)
    heading("6. a second rollout finds nothing to do")
    writes = stage.count_writes(lambda: stage.play("rollout"))
    print(f"Requests of the second rollout that were not GET: {writes}")
    heading("7. before and after")
    stage.play("report", "-e", json.dumps({"kubegpu_report_extra": {"second_run_writes": writes}}))
    heading("8. rollback to 2 slots: what no longer fits is evicted")
    stage.play("rollback", "-e", "kubegpu_on_overcommit=evict", "-e", "kubegpu_stale_pods=recreate")
    _show_slots(stage.cluster, 2)
    heading("9. and forward again: the same decisions have the same plan_id")
    stage.play("rollout", "-e", f"kubegpu_plan_id={plan_id}")
    _show_slots(stage.cluster, 11)


def _compare_sizes(stage: Stage) -> None:
    """Say that the inventory has what was proposed: the plan stands on what was measured, not on figures that somebody made up.

    :raises DemoError: it has not.
    """
    fragment = max((stage.reports / "measurements").glob("*/proposal.yml"), key=lambda path: path.stat().st_mtime)
    proposed = yaml.safe_load(fragment.read_text(encoding="utf-8"))["kubegpu_sharing_configs"]
    taken_over = yaml.safe_load(INVENTORY_VARIABLES.read_text(encoding="utf-8"))["kubegpu_sharing_configs"]
    if proposed != taken_over:
        raise DemoError(f"{fragment} proposes {proposed}, and {INVENTORY_VARIABLES} has {taken_over}")
    sizes = ", ".join(f"{key} {words['process_memory_mib']} MiB" for key, words in proposed.items())
    print(f"{INVENTORY_VARIABLES.relative_to(REPOSITORY)} has just what is proposed: {sizes}")


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

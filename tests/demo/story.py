# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The acts of the demo, in order. Every figure shown comes out of the playbooks or the cluster."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

from simulator.cluster import SimulatedCluster

REPOSITORY = Path(__file__).resolve().parents[2]
SCENARIO = REPOSITORY / "tests/simulator/scenarios/reference.yml"
CLUSTER_DIR = REPOSITORY / "build/cluster"
REPORT_DIR = REPOSITORY / "build/demo"
DEPLOYMENT = "/apis/apps/v1/namespaces/nlp/deployments/nlp"
ROLLING_UPDATE_SECONDS = 120
WIDTH = 105
# As it is typed in the checkout.
PLAYBOOK = ".venv/bin/ansible-playbook"
# Tasks that read and compare would fill the screen.
QUIET = {"ANSIBLE_DISPLAY_OK_HOSTS": "false", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}


class DemoError(Exception):
    """An act did not end as it should."""


def tell(*, keep: bool) -> None:
    """Start the cluster, inspect, plan, roll out, roll out again, report, roll back, and roll out once more.

    :param keep: leave the cluster running for hands-on use of inventories/demo.
    :raises DemoError: a playbook failed or the stuck rolling update did not finish.
    """
    started = time.monotonic()
    _heading("Start the simulated reference cluster (8 nodes, 2 of them with a GPU)")
    # Detached, so that it can outlive the demo; whatever happens, it ends here unless it is to be kept.
    cluster = SimulatedCluster.start(SCENARIO, CLUSTER_DIR, detached=True)
    try:
        print(f"kubeconfig: {cluster.kubeconfig}")
        print("Of the playbooks' tasks only those that change something are shown (ANSIBLE_DISPLAY_OK_HOSTS=false).")
        _acts(cluster)
    finally:
        if not keep:
            cluster.stop()
    print(f"\nThe whole story took {time.monotonic() - started:.0f} s. Open {REPORT_DIR / 'report.html'} in a browser.")
    if keep:
        print("The cluster goes on running (KEEP=1): use it with inventories/demo, end it with: make cluster-down")


def _acts(cluster: SimulatedCluster) -> None:
    """What an operator would do, in order."""
    _heading("1. inspect: what is there")
    _play("inspect")
    _heading("2. plan: what would be done, the arithmetic, and a rehearsal")
    _play("plan")
    plan_id = _newest_plan()["plan_id"]
    _heading(f"3. rollout of plan {plan_id}: wave by wave, nothing evicted")
    _play("rollout", "-e", f"kubegpu_plan_id={plan_id}")
    _heading("4. the rolling update that was stuck")
    _finish_rolling_update(cluster)
    _heading("5. a second rollout finds nothing to do")
    before = cluster.position()
    _play("rollout")
    writes = len(cluster.writes(before))
    print(f"Requests of the second rollout that were not GET: {writes}")
    _heading("6. before and after")
    _play("report", "-e", json.dumps({"kubegpu_report_extra": {"second_run_writes": writes}}))
    _heading("7. rollback to 2 slots: what no longer fits is evicted")
    _play("rollback", "-e", "kubegpu_on_overcommit=evict", "-e", "kubegpu_stale_pods=recreate")
    _show_slots(cluster, 2)
    _heading("8. and forward again: the same decisions have the same plan_id")
    _play("rollout", "-e", f"kubegpu_plan_id={plan_id}")
    _show_slots(cluster, 11)


def _show_slots(cluster: SimulatedCluster, expected: int) -> None:
    """Say what all nodes advertise together."""
    client = cluster.client()
    slots = sum(
        int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", 0)) for node in client.items("/api/v1/nodes")
    )
    print(f"GPU slots that the nodes advertise now: {slots}")
    if slots != expected:
        raise DemoError(f"the nodes advertise {slots} GPU slots, not {expected}")


def _heading(text: str) -> None:
    """A line that divides the acts."""
    width = min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH)
    print(f"\n=== {text} {'=' * max(4, width - len(text) - 5)}\n", flush=True)


def _play(name: str, *arguments: str) -> None:
    """Run one playbook of the collection as an operator would, from the checkout."""
    command = [PLAYBOOK, f"kubegpu.sharing.{name}", "-i", "inventories/demo", *arguments]
    print(f"$ {shlex.join(command)}", flush=True)
    environment = {**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), **QUIET}
    result = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False)
    if result.returncode != 0:
        raise DemoError(f"playbook {name} ended with {result.returncode}; its output is above")


def _newest_plan() -> dict[str, Any]:
    """The plan that was made last."""
    plans = sorted((REPORT_DIR / "runs").glob("*/plan.json"), key=lambda path: path.stat().st_mtime)
    if not plans:
        raise DemoError(f"playbook plan left no plan in {REPORT_DIR / 'runs'}")
    return json.loads(plans[-1].read_text(encoding="utf-8"))


def _finish_rolling_update(cluster: SimulatedCluster) -> None:
    """Wait until the Deployment that was stuck is rolled out, and say how long ago it began to wait."""
    deadline = time.monotonic() + ROLLING_UPDATE_SECONDS
    while True:
        deployment = cluster.client().get(DEPLOYMENT)
        status, wanted = deployment["status"], deployment["spec"]["replicas"]
        if status.get("updatedReplicas") == status.get("readyReplicas") == status.get("replicas") == wanted:
            print(f'deployment "nlp" successfully rolled out: {wanted} of {wanted} updated replicas are ready')
            return
        if time.monotonic() > deadline:
            raise DemoError(
                f"the Deployment nlp is not rolled out after {ROLLING_UPDATE_SECONDS} s; its status is {status}"
            )
        time.sleep(0.5)

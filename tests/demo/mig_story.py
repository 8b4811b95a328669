# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Act two: an H20 is cut into seven, then cut otherwise. Every figure shown comes out of the playbooks or the cluster."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, Mapping

from demo.stage import BUILD, REPOSITORY, SCENARIOS, DemoError, Stage, heading, wait_until

REPORTS = BUILD / "demo-mig"
CLUSTER = BUILD / "cluster-mig"
NODE = "gpu-h20"
NVIDIA_SMI = CLUSTER / "nodes" / NODE / "nvidia-smi"
MIG = "nvidia.com/mig-"
POD_SECONDS = 60

Pods = Mapping[str, Mapping[str, Any]]


def tell(*, keep: bool) -> None:
    """Inspect, plan and roll out seven parts; then another layout, which keeps what can stay; then once more, which does nothing.

    :param keep: leave the cluster running for hands-on use of inventories/demo-mig.
    :raises DemoError: a playbook failed, or the cluster is not as it should be.
    """
    heading("Start a simulated cluster with an H20 that one pod has taken whole")
    with Stage.set_up(SCENARIOS / "h20.yml", CLUSTER, "inventories/demo-mig", REPORTS, keep=keep) as stage:
        print(f"kubeconfig: {stage.cluster.kubeconfig}")
        _scenes(stage)


def _scenes(stage: Stage) -> None:
    """What an operator would do, in order."""
    bystander = _pod(stage, "web")
    heading("10. inspect: an H20, notebooks and a training that wait for parts of it")
    stage.play("inspect")
    heading("11. plan: what is created where, who has to go, what is paused")
    stage.play("plan")
    plan_id = stage.newest_plan()["plan_id"]
    heading(f"12. rollout of plan {plan_id}: emptied of GPU pods alone, cut, proven, back in service")
    stage.play("rollout", "-e", f"kubegpu_plan_id={plan_id}")
    _show_node(stage, {"mig-1g.12gb": 7})
    _wait_for_pods(stage, "ml", "notebook", 3)
    _show_bystander(stage, bystander)
    first_run = (REPORTS / "last_rollout").resolve().name
    heading("13. the same card cut otherwise: what can stay stays")
    before = _devices()
    stage.play("rollout", "-e", "demo_layout=training")
    _show_node(stage, {"mig-1g.12gb": 4, "mig-3g.48gb": 1})
    kept = _show_kept(before, _devices())
    _wait_for_pods(stage, "ml", "training", 1)
    _show_bystander(stage, bystander)
    heading("14. once more: nothing to do")
    writes = stage.count_writes(lambda: stage.play("rollout", "-e", "demo_layout=training"))
    print(f"Requests of that rollout that were not GET: {writes}")
    heading("15. before and after the first cut")
    extra = {"second_run_writes": writes, "repartition": {"mig_devices_kept": kept}}
    stage.play("report", "-e", json.dumps({"kubegpu_report_run": first_run, "kubegpu_report_extra": extra}))


def _pods(stage: Stage, app: str) -> list[dict[str, Any]]:
    """Pods of an app, on any node."""
    found = stage.cluster.client().items("/api/v1/pods")
    return [pod for pod in found if pod["metadata"].get("labels", {}).get("app") == app]


def _pod(stage: Stage, app: str) -> dict[str, Any]:
    """The pod of an app on the node with the H20."""
    (pod,) = [pod for pod in _pods(stage, app) if pod["spec"].get("nodeName") == NODE]
    return pod


def _show_node(stage: Stage, expected: Mapping[str, int]) -> None:
    """Say what the node advertises, and whether pods may go there."""
    node = stage.cluster.client().get(f"/api/v1/nodes/{NODE}")
    found = {
        name.removeprefix("nvidia.com/"): int(count)
        for name, count in node["status"]["allocatable"].items()
        if name.startswith("nvidia.com/") and int(count)
    }
    service = "out of service" if node["spec"].get("unschedulable") else "in service"
    print(
        f"{NODE} is {service} and advertises {', '.join(f'{count} x {name}' for name, count in sorted(found.items()))}"
    )
    if found != expected or service != "in service":
        raise DemoError(f"{NODE} is {service} and advertises {found}, not {dict(expected)}")


def _show_bystander(stage: Stage, before: Mapping[str, Any]) -> None:
    """Say that the pod without a GPU is the one that was there before."""
    now = _pod(stage, "web")
    restarts = sum(status["restartCount"] for status in now["status"]["containerStatuses"])
    name, uid = now["metadata"]["name"], now["metadata"]["uid"]
    print(f"web pod {name} on {NODE}: uid {uid}, restarts {restarts}, since {now['status']['startTime']}")
    if uid != before["metadata"]["uid"] or restarts:
        raise DemoError(f"the web pod {before['metadata']['name']} did not stay as it was")


def _wait_for_pods(stage: Stage, namespace: str, app: str, count: int) -> None:
    """Wait until pods that waited for parts of the card run."""

    def running() -> list[str]:
        return sorted(
            pod["metadata"]["name"]
            for pod in _pods(stage, app)
            if pod["status"].get("phase") == "Running" and pod["spec"].get("nodeName") == NODE
        )

    wait_until(
        lambda: len(running()) == count, POD_SECONDS, lambda: f"of {namespace}/{app} only {running()} run on {NODE}"
    )
    print(f"pods that had waited for days run on {NODE} now: {', '.join(running())}")


def _devices() -> set[str]:
    """UUIDs of the card's MIG devices, as the node's nvidia-smi lists them; it is shown, too."""
    command = [str(NVIDIA_SMI), "-L"]
    print(f"$ {NVIDIA_SMI.relative_to(REPOSITORY)} -L", flush=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    print(done.stdout, end="", flush=True)
    if done.returncode != 0:
        raise DemoError(f"nvidia-smi -L ended with {done.returncode}: {done.stderr}")
    return set(re.findall(r"UUID: (MIG-[^)\s]+)", done.stdout))


def _show_kept(before: set[str], after: set[str]) -> int:
    """Say how many MIG devices are the same ones as before; an instance made anew has another UUID."""
    kept = len(before & after)
    print(
        f"MIG devices of before that still stand, by their UUIDs: {kept} of {len(before)}; new ones: {len(after - before)}"
    )
    if kept != 4:
        raise DemoError(f"{kept} MIG devices were kept; 4 can stay")
    return kept

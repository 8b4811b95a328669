# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways to empty a node that are compared. Each leaves every pod the grace that it asks for itself.

Tools that cannot tell GPU pods by what they request get a label that these pods bear, and no others.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.crowded_node import LABEL, NAMESPACE, NODE, VALUE, Pods
from benchmarks.floor import evict_at_once
from simulator.cluster import SimulatedCluster

REPOSITORY = Path(__file__).resolve().parents[2]
COLLECTIONS = REPOSITORY / ".venv/collections"
KUBECTL = shutil.which("kubectl")
ANSIBLE = Path(sys.executable).with_name("ansible")
OURS, THEIRS = "kubegpu.sharing.node_maintenance", "kubernetes.core.k8s_drain"
SELECTOR = f"{LABEL}={VALUE}"
RUN = "benchmark"
SECONDS = 300

Way = Callable[[Pods], float]


class DrainError(Exception):
    """A tool did not do it, in its own words."""


def versions() -> str:
    """Of what is compared."""
    manifest = json.loads((COLLECTIONS / "ansible_collections/kubernetes/core/MANIFEST.json").read_text("utf-8"))
    found = f"kubernetes.core {manifest['collection_info']['version']}"
    if KUBECTL is None:
        return f"{found}; there is no kubectl on the PATH, so its drain is not measured."
    told = _run([KUBECTL, "version", "--client", "-o", "json"], {})
    return f"{found}, kubectl {json.loads(told.stdout)['clientVersion']['gitVersion']}."


class Drains:
    """Ways to empty the node of a cluster; each takes the pods that are there and returns seconds.

    :param scratch: a folder for what the tools leave.
    """

    def __init__(self, cluster: SimulatedCluster, scratch: Path) -> None:
        self._cluster = cluster
        self._scratch = scratch
        self._hold_the_lock()

    def of_gpu_pods(self) -> dict[str, Way]:
        """The floor first."""
        return {
            "floor": lambda pods: self._floor(pods.gpu),
            "node_maintenance, gpu_pods": lambda _pods: self._in_process(OURS, self._ours("gpu_pods")),
            "k8s_drain, pod_selectors": lambda _pods: self._in_process(THEIRS, self._theirs([SELECTOR])),
            **self._kubectl(f"--pod-selector={SELECTOR}"),
            "node_maintenance, gpu_pods, with Ansible's start": lambda _pods: self._ansible(
                OURS, self._ours("gpu_pods")
            ),
            "k8s_drain, pod_selectors, with Ansible's start": lambda _pods: self._ansible(
                THEIRS, self._theirs([SELECTOR])
            ),
        }

    def of_all_pods(self) -> dict[str, Way]:
        """The floor first."""
        return {
            "floor": lambda pods: self._floor(pods.gpu | pods.other),
            "node_maintenance, all": lambda _pods: self._in_process(OURS, self._ours("all")),
            "k8s_drain": lambda _pods: self._in_process(THEIRS, self._theirs([])),
            **self._kubectl(),
        }

    def _floor(self, uids: frozenset[str]) -> float:
        found = self._cluster.client(user_agent=RUN).items(f"/api/v1/namespaces/{NAMESPACE}/pods")
        return evict_at_once(self._cluster.kubeconfig, [pod for pod in found if pod["metadata"]["uid"] in uids])

    def _ours(self, evict: str) -> dict[str, Any]:
        return {
            "kubeconfig": str(self._cluster.kubeconfig),
            "state": "in_maintenance",
            "nodes": [NODE],
            "evict": evict,
            "run": RUN,
            "journal_path": str(self._scratch / "journal.jsonl"),
        }

    def _theirs(self, selectors: list[str]) -> dict[str, Any]:
        # Their default looks after the pods every 5 s.
        options = {"ignore_daemonsets": True, "wait_timeout": SECONDS, "wait_sleep": 1}
        access = {"kubeconfig": str(self._cluster.kubeconfig), "name": NODE, "state": "drain"}
        return {**access, "delete_options": options, **({"pod_selectors": selectors} if selectors else {})}

    def _kubectl(self, *options: str) -> dict[str, Way]:
        if KUBECTL is None:
            return {}
        command = [KUBECTL, "--kubeconfig", str(self._cluster.kubeconfig), "drain", NODE, "--ignore-daemonsets"]
        command += [f"--timeout={SECONDS}s", *options]

        def drain(_pods: Pods) -> float:
            began = time.perf_counter()
            done = _run(command, {"HOME": str(self._scratch)})
            seconds = time.perf_counter() - began
            if done.returncode != 0:
                raise DrainError(done.stderr.strip()[-500:])
            return seconds

        return {f"kubectl drain{' --pod-selector' if options else ''}": drain}

    def _in_process(self, module: str, options: dict[str, Any]) -> float:
        """Without Ansible's start-up, and without the module's imports."""
        namespace, collection, name = module.split(".")
        path = f"ansible_collections.{namespace}.{collection}.plugins.modules.{name}"
        environment = {"PYTHONPATH": os.pathsep.join([str(COLLECTIONS), str(REPOSITORY / "tests")])}
        command = [sys.executable, "-m", "benchmarks.module_in_process", path, json.dumps(options)]
        done = _run(command, environment)
        if done.returncode != 0:
            raise DrainError(done.stderr.strip()[-500:])
        told = json.loads(done.stdout)
        _check(told["result"])
        return float(told["seconds"])

    def _ansible(self, module: str, options: dict[str, Any]) -> float:
        """As a task of its own."""
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        command = [str(ANSIBLE), "localhost", "-i", "localhost,", "-e", json.dumps(variables)]
        command += ["-m", module, "-a", json.dumps(options)]
        began = time.perf_counter()
        done = _run(command, {"ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"})
        seconds = time.perf_counter() - began
        if done.returncode != 0:
            raise DrainError((done.stdout + done.stderr).strip()[-500:])
        return seconds

    def _hold_the_lock(self) -> None:
        """Ours writes for the one who holds the cluster's lock, and for nobody else."""
        options = {"kubeconfig": str(self._cluster.kubeconfig), "state": "present", "run": RUN, "lease_seconds": 3600}
        self._in_process("kubegpu.sharing.maintenance_lock", options)


def _check(result: dict[str, Any]) -> None:
    failed = result.get("failed_nodes") or []
    if result.get("failed") or failed:
        raise DrainError(str(result.get("msg") or {name: result["nodes"][name]["reason"] for name in failed})[:500])


def _run(command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        env={**os.environ, **environment},
        cwd=REPOSITORY,
        check=False,
    )

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated fleets, playbooks run against them, and what those cost."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import yaml

from simulator.cluster import SimulatedCluster
from simulator.nvml.cards import CARDS
from simulator.scenario import generate

REPOSITORY = Path(__file__).resolve().parents[2]
REFERENCE = REPOSITORY / "tests/simulator/scenarios/reference.yml"
MODELS = ("L20", "T4")
PLAYBOOK_SECONDS = 580
SETTLE_SECONDS = 300
CONNECTIONS = 16

# Wall seconds and peak memory of one command and all that it starts, as /usr/bin/time would say; that is not everywhere.
MEASURE = """
import json, resource, subprocess, sys, time
started = time.monotonic()
code = subprocess.run(sys.argv[2:]).returncode
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
with open(sys.argv[1], "w") as out:
    json.dump({"wall": time.monotonic() - started, "rss_mib": peak, "code": code}, out)
"""


@dataclass(frozen=True)
class Cost:
    """What one playbook run cost.

    :param wall: seconds.
    :param rss_mib: peak resident memory of its largest process, MiB.
    :param reads: GET requests that the API server answered; writes: all others.
    :param sent: bytes that the API server sent.
    :param executed: task results, that is tasks x hosts.
    """

    wall: float
    rss_mib: int
    reads: int
    writes: int
    sent: int
    executed: int


@dataclass(frozen=True)
class Fleet:
    """A cluster and the folder of the operator who works on it."""

    cluster: SimulatedCluster
    directory: Path

    @classmethod
    @contextmanager
    def start(cls, nodes: int, gpus_per_node: int, directory: Path) -> Iterator[Fleet]:
        """GPU nodes with the labels of GPU Feature Discovery and no device plugin yet; facts come from the labels."""
        data = generate(nodes, MODELS, gpus_per_node, plugin_version=None, speed=20)
        directory.mkdir(parents=True)
        with SimulatedCluster.start(data, directory / "cluster") as cluster:
            fleet = cls(cluster, directory)
            hosts = [node["name"] for node in data["nodes"]]
            fleet.write_inventory(hosts, {"kubegpu_facts": "labels"}, {})
            yield fleet

    @property
    def inventory(self) -> Path:
        """The operator's inventory."""
        return self.directory / "inventory.yml"

    def write_inventory(self, hosts: list[str], variables: dict[str, Any], connection: dict[str, Any]) -> None:
        """Hosts and variables; the configs are the reference's."""
        shared = {
            "kubegpu_kubeconfig": str(self.cluster.kubeconfig),
            "kubegpu_work_dir": str(self.directory / "work"),
            "kubegpu_soak_seconds": 1,
            "kubegpu_health_seconds": 1,
            "kubegpu_settle_seconds": 20,
            "kubegpu_sharing_configs": {
                key.lower(): {
                    "match": {"product": CARDS[key].product},
                    "sharing": "time_slicing",
                    "process_memory_mib": memory,
                }
                for key, memory in (("L20", 4621), ("T4", 4401))
            },
        }
        inventory = {
            "all": {"vars": {**shared, **variables}},
            "gpu_nodes": {"hosts": dict.fromkeys(hosts), "vars": connection},
        }
        self.inventory.write_text(yaml.safe_dump(inventory), encoding="utf-8")

    def apply_plan(self) -> None:
        """Put the whole fleet into the planned state at once, as no rollout would, to see what a second run costs."""
        client = self.cluster.client(user_agent="benchmark")
        newest = max((self.directory / "work/runs").glob("*/plan.json"), key=lambda path: path.stat().st_mtime)
        plan = json.loads(newest.read_text(encoding="utf-8"))

        def label(name: str) -> None:
            wanted = plan["nodes"][name]["to"]
            labels = {"nvidia.com/device-plugin.config": wanted["key"], "kubegpu.sharing/revision": wanted["revision"]}
            client.patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": labels}})

        # Labels come before the DaemonSets, whose controller would look at all nodes for each of them. The test client makes a
        # connection for each request, and waits for most of each.
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            list(pool.map(label, plan["nodes"]))
        client.create("/api/v1/namespaces", {"metadata": {"name": plan["plugin"]["namespace"]}})
        for config in plan["configs"].values():
            for item in config["objects"]:
                group, kind = (
                    ("api/v1", "configmaps") if item["kind"] == "ConfigMap" else ("apis/apps/v1", "daemonsets")
                )
                client.create(f"/{group}/namespaces/{item['metadata']['namespace']}/{kind}", item)
        self._wait_for(plan)

    def _wait_for(self, plan: dict[str, Any]) -> None:
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            nodes = self.cluster.client(user_agent="benchmark").items("/api/v1/nodes")
            behind = sum(
                int(node["status"].get("allocatable", {}).get(resource, 0)) != count
                for node in nodes
                for resource, count in plan["nodes"][node["metadata"]["name"]]["expected_resources"].items()
            )
            if not behind:
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"{behind} of {len(nodes)} nodes do not advertise the plan after {SETTLE_SECONDS} s")
            time.sleep(1)


def measure(playbook: str, fleet: Fleet) -> Cost:
    """Run ``kubegpu.sharing.<playbook>`` once.

    :raises RuntimeError: the playbook failed; the end of its output is in the message.
    """
    last = fleet.cluster.position()
    figures = fleet.directory / "figures.json"
    ansible = Path(sys.executable).parent / "ansible-playbook"
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            MEASURE,
            str(figures),
            str(ansible),
            f"kubegpu.sharing.{playbook}",
            "-i",
            str(fleet.inventory),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        timeout=PLAYBOOK_SECONDS,
        check=True,
    )
    measured = json.loads(figures.read_text(encoding="utf-8"))
    if measured["code"] != 0:
        raise RuntimeError(f"playbook {playbook} failed:\n{result.stdout[-4000:]}\n{result.stderr[-2000:]}")
    requests = fleet.cluster.audit(last)
    return Cost(
        wall=measured["wall"],
        rss_mib=measured["rss_mib"],
        reads=sum(entry["verb"] == "GET" for entry in requests),
        writes=sum(entry["verb"] != "GET" for entry in requests),
        sent=sum(entry["bytes"] for entry in requests),
        executed=len(re.findall(r"^(?:ok|changed|skipping|fatal|included): ", result.stdout, re.MULTILINE)),
    )


def reference_rollout(directory: Path) -> tuple[Cost, Cost, dict[str, int]]:
    """A rollout of the reference cluster, the one after it, and the first one's writes by verb and resource."""
    directory.mkdir(parents=True)
    with SimulatedCluster.start(REFERENCE, directory / "cluster") as cluster:
        fleet = Fleet(cluster, directory)
        node = f"{cluster.directory}/nodes/{{{{ inventory_hostname }}}}"
        connection = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "kubegpu_nvml_library": f"{node}/libnvidia-ml.so.1",
            "kubegpu_proc_root": f"{node}/proc",
            "kubegpu_kubelet_root": f"{node}/kubelet",
        }
        fleet.write_inventory(["gpu-l20", "gpu-t4"], {}, connection)
        last = cluster.position()
        first = measure("rollout", fleet)
        writes = Counter(
            f"{entry['verb']} {entry['resource']} {entry['name'] or ''}".strip() for entry in cluster.writes(last)
        )
        return first, measure("rollout", fleet), dict(writes)

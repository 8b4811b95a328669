# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One small cluster for all tests of a file, each of which works in a namespace of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from simulator.cluster import SimulatedCluster

SECONDS = 60
SCENARIO: dict[str, Any] = {"name": "clients", "nodes": [{"name": "node-{n}", "count": 3}], "history": []}
KUBECTL = shutil.which("kubectl")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedCluster]:
    with SimulatedCluster.start(SCENARIO, tmp_path_factory.mktemp("cluster"), speed=50) as running:
        yield running


@pytest.fixture
def namespace(cluster: SimulatedCluster, request: pytest.FixtureRequest) -> str:
    """A fresh namespace, named after the test."""
    name = request.node.name.removeprefix("test_").partition("[")[0].replace("_", "-")[:50].strip("-")
    cluster.client().create("/api/v1/namespaces", {"metadata": {"name": name}})
    return name


@dataclass(frozen=True)
class Kubectl:
    kubeconfig: Path
    namespace: str

    def run(self, *arguments: str, stdin: str = "", ok: bool = True) -> subprocess.CompletedProcess[str]:
        """``ok`` False: the command is expected to fail."""
        assert KUBECTL is not None
        command = [KUBECTL, "--kubeconfig", str(self.kubeconfig), "--namespace", self.namespace, *arguments]
        environment = {**os.environ, "HOME": str(self.kubeconfig.parent)}
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, timeout=SECONDS, env=environment, check=False
        )
        assert (done.returncode == 0) is ok, f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "-o", "json").stdout)

    def apply(self, manifest: Any) -> str:
        return self.run("apply", "--validate=false", "-f", "-", stdin=json.dumps(manifest)).stdout


@pytest.fixture
def kubectl(cluster: SimulatedCluster, namespace: str) -> Kubectl:
    if KUBECTL is None:
        pytest.skip(
            "There is no kubectl on the PATH of this machine: its use of the simulated API server is not tested."
        )
    return Kubectl(cluster.kubeconfig, namespace)


def deployment(name: str, *, image: str = "registry.example.com/app:1", replicas: int = 2) -> dict[str, Any]:
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": image}], "terminationGracePeriodSeconds": 5},
            },
        },
    }


def daemon_set(name: str) -> dict[str, Any]:
    manifest = deployment(name)
    spec = {key: value for key, value in manifest["spec"].items() if key != "replicas"}
    return {**manifest, "kind": "DaemonSet", "spec": spec}

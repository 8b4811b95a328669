# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference cluster, and its reading modules called as Ansible calls them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest

from simulator.cluster import SimulatedCluster

BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Caller:
    """Calls modules against a cluster."""

    kubeconfig: Path

    def __call__(self, module: str, **params: Any) -> dict[str, Any]:
        """The result of an ad-hoc task, whether it failed or not."""
        arguments = {"kubeconfig": str(self.kubeconfig), **params}
        command = [str(BIN / "ansible"), "localhost", "--inventory", "localhost,", "--connection", "local"]
        command += ["--extra-vars", f"ansible_python_interpreter={sys.executable}"]
        command += ["--module-name", f"kubegpu.sharing.{module}", "--args", json.dumps(arguments), "--one-line"]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=120)
        line = next(line for line in done.stdout.splitlines() if line.startswith("localhost | "))
        result: dict[str, Any] = json.loads(line.partition("=>")[2])
        return {**result, "failed": "FAILED" in line.partition("=>")[0]}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedCluster]:
    with SimulatedCluster.start("reference", tmp_path_factory.mktemp("cluster"), speed=50) as running:
        yield running


@pytest.fixture
def call(cluster: SimulatedCluster) -> Caller:
    return Caller(cluster.kubeconfig)


@pytest.fixture
def restricted(cluster: SimulatedCluster, tmp_path: Path) -> Caller:
    """A caller whose user may list everything and write nothing."""
    client = cluster.client()
    namespace, name = "default", "reader"
    role = {
        "metadata": {"name": name},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
    }
    subject = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    if name not in [item["metadata"]["name"] for item in client.items(accounts)]:
        client.create(accounts, {"metadata": {"name": name}})
        client.create(f"{rbac}/clusterroles", role)
        client.create(
            f"{rbac}/clusterrolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": [subject]}
        )
    token = client.create(
        f"{accounts}/{name}/token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    )
    return Caller(with_token(cluster.kubeconfig, tmp_path, token["status"]["token"]))


def with_token(kubeconfig: Path, directory: Path, token: str) -> Path:
    """The kubeconfig, for another user."""
    import yaml

    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state of the cluster after the rollout, as the Kubernetes API tells it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kubernetes import client, config

CLUSTER = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build/molecule/cluster"
testinfra_hosts = ["ansible://gpu_nodes"]


@pytest.fixture(scope="module")
def api() -> client.CoreV1Api:
    """The API of the simulated cluster."""
    return client.CoreV1Api(config.new_client_from_config(str(CLUSTER / "kubeconfig")))


@pytest.mark.parametrize(("name", "slots"), [("gpu-l20", "8"), ("gpu-t4", "3")])
def test_node_advertises_its_slots_and_takes_pods(api, name, slots):
    node = api.read_node(name)
    assert node.status.allocatable["nvidia.com/gpu"] == slots
    assert not node.spec.unschedulable
    assert "kubegpu.sharing/maintenance" not in (node.metadata.annotations or {})


def test_no_pod_is_pending(api):
    assert [pod.metadata.name for pod in api.list_pod_for_all_namespaces().items if pod.status.phase == "Pending"] == []


def test_node_keeps_its_kubelet_checkpoint(host):
    """The rollout reads the node's own files and leaves them as they are."""
    node = host.backend.get_hostname()
    assert host.file(f"{CLUSTER}/nodes/{node}/kubelet/device-plugins/kubelet_internal_checkpoint").is_file

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the cluster itself tells of a rollout, and what a rollout is permitted to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient

from .conftest import Open
from .permissions import operator_of
from .stage import Stage, failures

KUBECTL = shutil.which("kubectl")
SCALE_DOWN, DISRUPT = "cluster-autoscaler.kubernetes.io/scale-down-disabled", "karpenter.sh/do-not-disrupt"


def test_describe_node_tells_the_story(open_stage: Open) -> None:
    if KUBECTL is None:
        pytest.skip("There is no kubectl on the PATH of this machine: what it shows of a rollout is not tested.")
    stage = open_stage()
    driver = stage.driver()
    for step in (*driver.begin_steps, driver.in_maintenance, driver.withdrawn):
        assert step().get("failed_nodes", []) == []
    stage.cluster.fault("nvml", node="gpu-l20", error="DRIVER_NOT_LOADED")
    assert driver.of(nodes=("gpu-t4",)).serving()["failed_nodes"] == []
    assert driver.of(nodes=("gpu-l20",)).serving(timeout_seconds=2.0)["failed_nodes"] == ["gpu-l20"]
    driver.unlock()
    stage.cluster.fault("nvml", node="gpu-l20", clear=True)
    assert failures(stage.driver("run-2").roll_out()) == {}
    shown = describe(KUBECTL, stage, "gpu-l20").partition("\nEvents:")[2]
    told = [line for line in shown.splitlines() if "kubegpu.sharing" in line]
    assert [line.split()[:2] for line in told] == [
        ["Normal", "MaintenanceBegun"],
        ["Warning", "MaintenanceFailed"],
        ["Normal", "MaintenanceTakenOver"],
        ["Normal", "MaintenanceFinished"],
    ]
    assert "serving failed: expected allocatable nvidia.com/gpu 8" in told[1]
    assert f"run run-2, plan {stage.plan['plan_id']}: serves l20 revision" in told[3]


def test_autoscalers_are_kept_away_for_the_time_and_told_again_what_they_were_told(open_stage: Open) -> None:
    stage = open_stage()
    stage.patch_node("gpu-t4", {"metadata": {"annotations": {DISRUPT: "false"}}})
    driver = stage.driver()
    for step in (*driver.begin_steps, driver.in_maintenance):
        assert step().get("failed_nodes", []) == []
    assert {name: protection(stage, name) for name in driver.nodes} == {
        name: {SCALE_DOWN: "true", DISRUPT: "true"} for name in driver.nodes
    }
    for step in driver.wave_steps[1:]:
        assert step()["failed_nodes"] == []
    assert protection(stage, "gpu-l20") == {}
    assert protection(stage, "gpu-t4") == {DISRUPT: "false"}


@pytest.mark.parametrize("scenario", ["reference", "addon-owned"])
def test_what_is_asked_for_suffices(open_stage: Open, tmp_path: Path, scenario: str) -> None:
    """A rollout by a user who may do just what access_info asks about: nothing is denied, not even an Event."""
    stage = open_stage(scenario)
    kubeconfig = operator_of(stage.cluster, stage.plan, tmp_path)
    results = stage.driver().of(api=KubeClient.from_params({"kubeconfig": str(kubeconfig)})).roll_out()
    assert failures(results) == {}
    assert all("warnings" not in result for result in results.values())
    assert [item["path"] for item in stage.cluster.audit() if item["status"] == 403] == []
    assert stage.unfinished() == {}


def describe(kubectl: str, stage: Stage, node: str) -> str:
    command = [kubectl, "--kubeconfig", str(stage.cluster.kubeconfig), "describe", "node", node]
    environment = {**os.environ, "HOME": str(stage.directory)}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=True, env=environment, stdin=subprocess.DEVNULL
    ).stdout


def protection(stage: Stage, name: str) -> dict[str, str]:
    annotations: dict[str, str] = stage.node(name)["metadata"].get("annotations") or {}
    return {annotation: annotations[annotation] for annotation in (SCALE_DOWN, DISRUPT) if annotation in annotations}

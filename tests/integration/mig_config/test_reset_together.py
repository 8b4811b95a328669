# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on a node whose GPUs NVLink couples: one that has to be reset takes the other along, and its instances come back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.mig_config.node import Node
from integration.mig_config.role_play import play_role

pytestmark = pytest.mark.integration

UID = "3f6a1c2d-0000-4b6e-8f1b-2f2e2d2c2b2a"
#: What stands on the other one. The wish is the same for both.
STANDS = (("3g.20gb", 0), ("3g.20gb", 4))


def give(node: Node, device: str) -> None:
    """An idle pod has it, by the kubelet's checkpoint."""
    entry = {"PodUID": UID, "ContainerName": "app", "ResourceName": "nvidia.com/gpu", "DeviceIDs": {"-1": [device]}}
    plugins = node.directory / "kubelet/device-plugins"
    plugins.mkdir(parents=True)
    checkpoint = {"Data": {"PodDeviceEntries": [entry], "RegisteredDevices": {}}, "Checksum": 0}
    (plugins / "kubelet_internal_checkpoint").write_text(json.dumps(checkpoint), encoding="utf-8")
    (node.directory / "kubelet/pods" / UID).mkdir(parents=True)


def guarded(node: Node) -> Path:
    """An nvidia-smi that notes whether those who would read the GPUs are kept out meanwhile."""
    command = node.directory / "guarded-nvidia-smi"
    noting = f"flock --shared --nonblock {node.directory}/lock true && echo free || echo locked"
    command.write_text(
        f'#!/bin/sh\n({noting}) > {node.directory}/reset\nexec {node.directory}/nvidia-smi "$@"\n', "utf-8"
    )
    command.chmod(0o755)
    return command


def test_coupled_gpus_are_reset_together_unless_a_pod_has_one(tmp_path: Path) -> None:
    node = Node.make(tmp_path, "A100-40", "A100-40", reset="command")
    node.lay_out(STANDS, 1)
    with_other = {
        "mig_config_devices": {"3g.20gb": 2},
        "mig_config_reset_with": [node.uuid(0), node.uuid(1)],
        "mig_config_pods": {UID: "ml/idle"},
    }
    give(node, next(iter(node.devices(1).values())))
    refused = play_role(node, **with_other)
    assert refused.returncode != 0
    assert "pods have them: ml/idle. Nothing was reset." in refused.stdout
    assert (node.places(0), node.places(1), node.mode(0)) == ((), STANDS, (False, False))

    before = node.devices(1)
    done = play_role(node, **with_other, mig_config_finished_pods=[UID], mig_config_nvidia_smi=str(guarded(node)))
    assert done.returncode == 0, done.stdout
    assert (node.directory / "reset").read_text(encoding="utf-8") == "locked\n"
    assert (node.places(0), node.places(1)) == (STANDS, STANDS)
    assert not {*before.values()} & {*node.devices(1).values()}
    assert node.ready.exists()

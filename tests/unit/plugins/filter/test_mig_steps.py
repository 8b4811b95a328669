# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts are told of a plan's MIG instances."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kubegpu.sharing.plugins.filter.mig_steps import mig_steps

REQUEST = {"state": "present", "mig_devices": {"1g.12gb": 7}}


def write(path: Path, nodes: dict[str, Any]) -> str:
    path.write_text(json.dumps({"nodes": nodes}), encoding="utf-8")
    return str(path)


def test_mig_steps_tells_the_nodes_of_the_wave_of_which_the_plan_has_mig(tmp_path: Path) -> None:
    entry: dict[str, Any] = {"mig": {"request": REQUEST, "changes": False}, "evict": {"scope": "affected"}}
    whole = {"mig": {**entry["mig"], "reset": ["GPU-0", "GPU-1"]}, "evict": {"scope": "all"}}
    nodes = {"gpu-1": entry, "gpu-2": {"mig": None}, "gpu-3": whole, "gpu-4": entry}
    pods = [{"namespace": "default", "name": "notebook", "uid": "u-1", "requests": {}}]
    plan, cluster = write(tmp_path / "plan", nodes), write(tmp_path / "cluster", {"gpu-1": {"pods": pods}})
    emptied = {"gpu-1": {"failed": False, "finished_pods": ["u-2"]}, "gpu-3": {"failed": False}}
    assert mig_steps(plan, ["gpu-1", "gpu-2", "gpu-3"], cluster, emptied) == {
        "gpu-1": {
            "request": REQUEST,
            "node_emptied": "none",
            "reset_with": [],
            "pods": {"u-1": "default/notebook"},
            "finished_pods": ["u-2"],
        },
        "gpu-3": {
            "request": REQUEST,
            "node_emptied": "all",
            "reset_with": ["GPU-0", "GPU-1"],
            "pods": {},
            "finished_pods": [],
        },
    }
    assert mig_steps(plan, ["gpu-1"])["gpu-1"]["pods"] == {}


def test_mig_steps_says_which_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(AnsibleFilterError, match="no-plan cannot be read as the file of a plan or a cluster"):
        mig_steps(str(tmp_path / "no-plan"), ["gpu-1"])

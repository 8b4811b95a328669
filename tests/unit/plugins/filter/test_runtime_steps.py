# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts are held to of a plan's container runtimes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kubegpu.sharing.plugins.filter.runtime_steps import runtime_steps


def entry(disruption: str, digest: str) -> dict[str, Any]:
    return {
        "runtime": {"engine": "docker", "digest": digest, "disruption": disruption, "live_loss": disruption == "all"}
    }


def test_runtime_steps_tells_the_nodes_of_the_wave_whose_runtime_is_set_up(tmp_path: Path) -> None:
    nodes = {"gpu-1": entry("all", "aa"), "gpu-2": {"runtime": None}, "gpu-3": entry("none", "bb"), "gpu-4": {}}
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"nodes": {**nodes, "gpu-5": entry("all", "cc")}}), encoding="utf-8")
    assert runtime_steps(str(plan), ["gpu-1", "gpu-2", "gpu-3", "gpu-4", "gpu-6"]) == {
        "gpu-1": {"digest": "aa", "live_loss": True},
        "gpu-3": {"digest": "bb", "live_loss": False},
    }


@pytest.mark.parametrize("content", [None, "{", "[]"])
def test_runtime_steps_says_which_file_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    plan = tmp_path / "plan.json"
    if content is not None:
        plan.write_text(content, encoding="utf-8")
    with pytest.raises(AnsibleFilterError, match="plan.json cannot be read as the file of a plan"):
        runtime_steps(str(plan), ["gpu-1"])

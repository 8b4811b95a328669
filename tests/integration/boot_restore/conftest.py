# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program, and a node for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from integration.boot_restore.restoring import LAYOUT, boot, instance
from integration.mig_config.node import Node

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program import build_program, find_pynvml


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "kubegpu-sharing.pyz"
    path.write_bytes(build_program(find_pynvml()))
    return path


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """An H20 whose layout was recorded, just after a reboot; what the boot before has said is still there."""
    node = Node.make(tmp_path / "node", "H20")
    node.lay_out(LAYOUT)
    layout = {"mode": "enabled", "instances": [instance("1g.12gb", 0, 1, 1), instance("3g.48gb", 4, 4, 3)]}
    gpu = {"uuid": node.uuid(), "pci_bus_id": "", "product": "NVIDIA H20", **layout}
    node.state_dir.mkdir()
    document = json.dumps({"schema_version": 1, "gpus": [gpu]})
    (node.state_dir / "layout.json").write_text(document, encoding="utf-8")
    node.ready.parent.mkdir()
    node.ready.write_text("of before", encoding="utf-8")
    boot(node)
    return node

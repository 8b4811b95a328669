# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guide on repartitioning prints: configs that are understood, errors in these words, and a playbook that works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from unit.plugins.module_utils._mig import cards

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import plan_gpus
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import read_wishes
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import read_config
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import parse_version
from simulator.nvml.mig_state import MigState
from simulator.nvml.state import NodeGpus, install

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs/docsite/rst/guide_repartition_safely.rst"


def blocks() -> Iterator[Any]:
    """The YAML that is printed, in order."""
    for found in re.finditer(
        r"^\.\. code-block:: yaml\n\n((?:(?: {4}.*)?\n)+)", GUIDE.read_text("utf-8"), re.MULTILINE
    ):
        yield yaml.safe_load(textwrap.dedent(found[1]))


def printed(key: str) -> Any:
    """The first block that has this key, or is a list of plays for None."""
    return next(block for block in blocks() if isinstance(block, dict) and key in block)


def printed_configs() -> dict[str, Any]:
    """Configs, and devices that are printed alone."""
    devices = printed("devices")["devices"]
    return {
        "first": printed("kubegpu_sharing_configs")["kubegpu_sharing_configs"]["h20"],
        "by_gpu": {"match": {"product": "NVIDIA H20"}, "mig": {"devices": devices}},
        "shared": printed("h20")["h20"],
    }


@pytest.mark.parametrize("name", ["first", "by_gpu", "shared"])
def test_configs_of_the_guide_are_understood(name: str) -> None:
    _config, problems = read_config("h20", printed_configs()[name], False, parse_version("v0.17.1"))
    assert not problems


def test_impossible_layout_is_refused_in_the_words_of_the_guide() -> None:
    where, gpus = "kubegpu_sharing_configs.h20.mig.devices", [cards.gpu(cards.H20)]
    with pytest.raises(InputError) as refused:
        plan_gpus(where, gpus, read_wishes(where, {"3g.48gb": 2, "1g.12gb": 1}, gpus))
    (problem,) = refused.value.problems
    assert problem in " ".join(GUIDE.read_text("utf-8").split())


def test_playbook_with_a_mig_parted_file_lays_out_a_card_and_then_changes_nothing(tmp_path: Path) -> None:
    node = tmp_path / "node"
    library = install(node)
    NodeGpus.of("gpu-h20", ["H20"]).write(node)
    for folder in ("proc", "kubelet/pods", "run"):
        (node / folder).mkdir(parents=True)
    (plays,) = [block for block in blocks() if isinstance(block, list) and "roles" in block[0]]
    role = plays[0]["roles"][0]
    file = tmp_path / Path(role["vars"]["mig_config_parted_config"]).name
    file.write_text(yaml.safe_dump(printed("mig-configs")), encoding="utf-8")
    role["vars"]["mig_config_parted_config"] = str(file)
    # A host that is a folder has neither services nor a boot.
    plays[0].update(gather_facts=False, become=False)
    (tmp_path / "mig.yml").write_text(yaml.safe_dump(plays), encoding="utf-8")
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "kubegpu_nvml_library": str(library),
        "kubegpu_proc_root": str(node / "proc"),
        "kubegpu_kubelet_root": str(node / "kubelet"),
        "kubegpu_mig_host_services": [],
        "kubegpu_mig_boot_restore": False,
        "kubegpu_mig_cdi": "never",
        "kubegpu_mig_lock_path": str(node / "lock"),
        "kubegpu_mig_state_dir": str(node / "state"),
        "kubegpu_mig_ready_path": str(node / "run/mig-ready"),
    }
    inventory = {"gpu_nodes": {"hosts": {"gpu-h20": variables}}}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    first, second = (play(tmp_path) for _run in range(2))
    assert "changed=0" not in first
    assert "changed=0" in second
    [gpu] = list(MigState.read(node).gpus.values())
    assert [one.profile for one in gpu.instances] == ["1g.12gb"] * 7


def play(directory: Path) -> str:
    """Run the playbook; its last lines."""
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "inventory.yml", "mig.yml"]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(ROOT / ".venv/collections")
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=100, env=environment, cwd=directory, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.partition("PLAY RECAP")[2]

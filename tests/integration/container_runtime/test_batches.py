# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A play that takes a few hosts at a time ends with the batch in which one fails: what killed a runtime there must not reach the next."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROLE = "kubegpu.sharing.nvidia_container_runtime"
# Of a host that is as it shall be, and of one whose runtime is to be changed, which fails: there is none.
WELL = {"would_change": False, "one_at_a_time": False, "digest": "0"}
FAILING = {**WELL, "would_change": True}


@pytest.mark.oldest
def test_batch_with_a_host_that_fails_is_the_last_one(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    looks = {"one": WELL, "two": WELL, "three": FAILING, "four": WELL, "five": WELL}
    own = {host: {"__nvidia_container_runtime_look": look} for host, look in looks.items()}
    of_all = {"kubegpu_runtime_root": str(tmp_path / "root"), "ansible_python_interpreter": sys.executable}
    inventory: dict[str, Any] = {"all": {"hosts": own, "vars": {**of_all, "kubegpu_runtime_state_dir": "/state"}}}
    task = {"name": "Change them", "ansible.builtin.include_role": {"name": ROLE, "tasks_from": "configure.yml"}}
    # As the guide has it.
    batches = {"serial": [1, 2, 2], "max_fail_percentage": 0}
    play = {"hosts": "all", "gather_facts": False, "connection": "local", **batches, "tasks": [task]}
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "inventory.yml", "play.yml"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=240, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "nothing was changed" in done.stdout
    recap = done.stdout.partition("PLAY RECAP")[2]
    assert re.findall(r"^(\w+) .*failed=(\d)", recap, re.MULTILINE) == [("one", "0"), ("three", "1"), ("two", "0")]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that Ansible would pass over: a default instead of what somebody meant would be a change."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import yaml

INVENTORY = """\
misspelt kubegpu_runtime_defualt=true kubegpu_runtime_toolkit_apt_ulr=x
rollout kubegpu_runtime_manage=true kubegpu_runtime_disruption=all kubegpu_runtime_detached=true
planned kubegpu_runtime_defualt=true kubegpu_runtime_expected_digest=0123
"""


def test_misspelt_variables_are_refused_before_the_node_is_asked(tmp_path: Path) -> None:
    role = {"name": "kubegpu.sharing.nvidia_container_runtime"}
    variables = {"kubegpu_runtime_root": str(tmp_path), "kubegpu_runtime_class": False}
    play = {"hosts": "all", "gather_facts": False, "connection": "local", "vars": variables}
    play["tasks"] = [{"name": "Run the role", "ansible.builtin.include_role": role}]
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]), encoding="utf-8")
    (tmp_path / "hosts").write_text(INVENTORY, encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts")]
    options = ["--check", "-e", f"ansible_python_interpreter={sys.executable}", str(tmp_path / "play.yml")]
    done = subprocess.run(
        [*command, *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    assert "The container runtime of misspelt was left as it is." in said
    assert "kubegpu_runtime_defualt is unknown and has no effect. Did you mean kubegpu_runtime_default?" in said
    assert "kubegpu_runtime_toolkit_apt_ulr is unknown" in said
    assert "Container runtime of misspelt" not in said
    # What a rollout reads is none of the role's, and of the rest it has told with its plan.
    for host in ("rollout", "planned"):
        assert f"The container runtime of {host} was left" not in said
        assert f"Container runtime of {host}: " in said

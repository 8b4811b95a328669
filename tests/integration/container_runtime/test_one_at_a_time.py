# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A restart of a k3s or RKE2 server takes its API server and etcd along, so no two are changed at the same time; other nodes are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

HOSTS = ("one", "two", "three")
# The Python of a host, which notes when something runs there: long enough for others to be seen beside it, and until those that are to be
# beside it have begun.
PYTHON = """\
#!/bin/sh
case "$*" in *kubegpu*|*AnsiballZ*) ;; *) exec {python} "$@" ;; esac
echo begin >> {log}
sleep 1.5
tries=600
while [ "$(grep -c begin {log})" -lt {together} ] && [ $tries -gt 0 ]; do
    sleep 0.1
    tries=$((tries - 1))
done
{python} "$@"
code=$?
echo end >> {log}
exit $code
"""


def most_at_once(directory: Path, one_at_a_time: bool) -> int:
    """On how many hosts the change was under way at the same time. Each fails in the end: there is no container runtime."""
    log, python = directory / "log", directory / "python"
    (directory / "root").mkdir()
    together = 1 if one_at_a_time else len(HOSTS)
    python.write_text(PYTHON.format(python=sys.executable, log=log, together=together), encoding="utf-8")
    python.chmod(0o755)
    look = {"would_change": True, "one_at_a_time": one_at_a_time, "digest": "0"}
    role = {"name": "kubegpu.sharing.nvidia_container_runtime", "tasks_from": "configure.yml"}
    variables = {"__nvidia_container_runtime_look": look, "kubegpu_runtime_root": str(directory / "root")}
    variables |= {"ansible_python_interpreter": str(python), "kubegpu_runtime_state_dir": "/state"}
    task = {"name": "Change them", "ansible.builtin.include_role": role}
    play = {"hosts": "all", "gather_facts": False, "connection": "local", "vars": variables, "tasks": [task]}
    playbook = directory / "play.yml"
    playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", ",".join(HOSTS), str(playbook)]
    environment = {**os.environ, "ANSIBLE_PIPELINING": "false", "ANSIBLE_FORKS": "5"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280, env=environment)
    assert done.stdout.count("nothing was changed") >= len(HOSTS), done.stdout + done.stderr
    running, most = 0, 0
    for line in log.read_text(encoding="utf-8").split():
        running += 1 if line == "begin" else -1
        most = max(most, running)
    return most


@pytest.mark.parametrize(("one_at_a_time", "expected"), [(True, 1), (False, len(HOSTS))], ids=["servers", "others"])
def test_hosts_that_are_changed_at_the_same_time(tmp_path: Path, one_at_a_time: bool, expected: int) -> None:
    assert most_at_once(tmp_path, one_at_a_time) == expected

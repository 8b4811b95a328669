# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeping container runtimes ready costs. Prints tables and judges nothing.

A plan for a containerd config of 500 lines, beside reading and writing the same text with tomlkit and doing nothing to it; and a run
of the role that has nothing to do, on a host with a real systemd and containerd, beside a role that does no more than write a
file from a template and restart by a handler. Both roles meet the host under many names, in one inventory.

Run it from the checkout: PYTHONPATH=tests:.venv/collections .venv/bin/python -m benchmarks.bench_runtime
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import tomlkit
from tabulate import tabulate
from unit.plugins.module_utils._runtime.nodes import after, node

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import DEFAULT_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from hosts.host import Host, HostError, execute, start, stop
from hosts.packages import HostsUnavailableError, install_packages

REPOSITORY = Path(__file__).resolve().parents[2]
LINES, ROUNDS = 500, 20
HOSTS = (1, 10)
SECONDS = 300
BINARY = "/usr/bin/nvidia-container-runtime"
CRI = 'plugins."io.containerd.grpc.v1.cri"'
TEMPLATE = f'version = 2\n[{CRI}.containerd.runtimes.nvidia]\n  runtime_type = "io.containerd.runc.v2"\n'
PLAIN = [
    {
        "name": "Write the file",
        "ansible.builtin.template": {"src": "config.toml.j2", "dest": "/etc/plain.toml", "mode": "0644"},
        "notify": "Restart",
    }
]


def main() -> None:
    """Print the tables."""
    print(f"a containerd config of {LINES} lines, in ms of the processor\n")
    print(_table(_edits(), ["", "median", "worst"]))
    print("\na run with nothing to do, on a host with containerd\n", flush=True)
    try:
        install_packages()
        with tempfile.TemporaryDirectory(prefix="kubegpu-bench-") as scratch:
            print(_table(_runs(Path(scratch)), ["", "hosts", "wall s", "tasks x hosts"]))
    except (HostsUnavailableError, HostError) as error:
        print(f"not measured: {error}")


def _table(rows: list[list[str]], headers: list[str]) -> str:
    return tabulate(rows, headers=headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))


def _edits() -> list[list[str]]:
    text = _config()
    wish = Wish()
    seen: dict[str, Any] = {
        "version": "1.6.20",
        "config_path": DEFAULT_PATH,
        "program": "/usr/bin/containerd",
        "dump": _dump(text),
    }
    observed = node("containerd", {DEFAULT_PATH: text}, **seen)
    done = after(observed, plan_runtime(wish, observed))
    work: dict[str, Callable[[], object]] = {
        "plan that adds the handler": lambda: plan_runtime(wish, observed),
        "plan where it is there": lambda: plan_runtime(wish, done),
        "tomlkit reads and writes it": lambda: tomlkit.dumps(tomlkit.parse(text)),
    }
    return [[name, *_milliseconds(one)] for name, one in work.items()]


def _milliseconds(work: Callable[[], object]) -> tuple[str, str]:
    taken = []
    for _round in range(ROUNDS):
        began = time.process_time()
        work()
        taken.append(1000 * (time.process_time() - began))
    return f"{median(taken):.1f}", f"{max(taken):.1f}"


def _config() -> str:
    """Registries with comments, after what a package begins with."""
    lines = ["version = 2", f"[{CRI}.containerd]", '  default_runtime_name = "runc"']
    lines += [f"[{CRI}.containerd.runtimes.runc]", '  runtime_type = "io.containerd.runc.v2"']
    lines += [f"[{CRI}.containerd.runtimes.runc.options]", "  SystemdCgroup = true"]
    number = 0
    while len(lines) + 4 <= LINES:
        lines += [f"# registry {number}", f'[{CRI}.registry.mirrors."r{number}.example.com"]']
        lines += [f'  endpoint = ["https://mirror-{number}.example.com"]', ""]
        number += 1
    return "\n".join(lines) + "\n"


def _dump(text: str) -> dict[str, Any]:
    return {"argv": ["containerd", "config", "dump"], "rc": 0, "stdout": text, "stderr": ""}


def _runs(scratch: Path) -> list[list[str]]:
    host = start(scratch / "host", "bench")
    try:
        _make_ready(host)
        roles = {
            "nvidia_container_runtime": [{"role": "kubegpu.sharing.nvidia_container_runtime"}],
            "template and handler": [],
        }
        rows = []
        for title, role in roles.items():
            directory = scratch / title.replace(" ", "_")
            _write_play(directory, host, role)
            _play(directory, 1)
            for count in HOSTS:
                wall, tasks = _play(directory, count)
                rows.append([title, str(count), f"{wall:.1f}", str(tasks)])
        return rows
    finally:
        stop(scratch / "host")


def _make_ready(host: Host) -> None:
    execute(
        host, f"printf '#!/bin/sh\\nexec runc \"$@\"\\n' > {BINARY}; chmod 755 {BINARY}; systemctl start containerd", 60
    )


def _write_play(directory: Path, host: Host, role: list[dict[str, Any]]) -> None:
    directory.mkdir()
    play: dict[str, Any] = {"hosts": "all", "gather_facts": False, "roles": role, "tasks": [] if role else PLAIN}
    play["handlers"] = [{"name": "Restart", "ansible.builtin.command": {"argv": ["true"]}, "changed_when": True}]
    (directory / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    (directory / "config.toml.j2").write_text(TEMPLATE, encoding="utf-8")
    variables = {
        "ansible_host": host.address,
        "ansible_user": host.user,
        "ansible_ssh_private_key_file": host.key,
        "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        " -o ControlMaster=auto -o ControlPersist=60s",
        "ansible_pipelining": True,
        "ansible_python_interpreter": "/usr/bin/python3",
        # There is no cluster to ask.
        "kubegpu_runtime_class": False,
    }
    names: dict[str, dict[str, str]] = {f"node-{number}": {} for number in range(max(HOSTS))}
    inventory = {"all": {"hosts": names, "vars": variables}}
    (directory / "inventory.json").write_text(json.dumps(inventory), encoding="utf-8")


def _play(directory: Path, count: int) -> tuple[float, int]:
    """Seconds, and task results on all hosts; it has to change nothing, but for the first time."""
    limit = ",".join(f"node-{number}" for number in range(count))
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "inventory.json",
        "--limit",
        limit,
        "play.yml",
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(REPOSITORY / ".venv/collections")
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    wall = time.monotonic() - began
    if done.returncode != 0:
        raise HostError(f"the run failed: {done.stdout[-2000:]}{done.stderr[-500:]}")
    return wall, sum(int(found) for found in re.findall(r" : ok=(\d+) ", done.stdout))


if __name__ == "__main__":
    main()

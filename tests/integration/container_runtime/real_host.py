# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a real systemd and a real containerd, and the role run on it over ssh."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hosts.host import Host, ask

ROLE = "kubegpu.sharing.nvidia_container_runtime"
CONFIG = "/etc/containerd/config.toml"
STATE = "/var/lib/kubegpu-sharing/runtime"
SECONDS = 120
# A handler's program runs runc in the end; that is all that a handler has to do here.
STAND_IN = "/usr/bin/nvidia-container-runtime"
#: As an administrator would write it: comments, an own handler, settings of the CRI plugin that a lost table would lose.
ORIGINAL = """\
# Managed by hand. Ask before you change it!
version = 2
root = "/var/lib/containerd"   # the default

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.example/pause:3.9"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
        runtime_type = "io.containerd.runc.v2"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
          SystemdCgroup = true
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]
        runtime_type = "io.containerd.kata.v2"
"""


@dataclass(frozen=True)
class Run:
    """What became of a playbook."""

    code: int
    said: str

    @property
    def words(self) -> str:
        """Its output without the line breaks and indentation of Ansible's."""
        return " ".join(self.said.replace("\\n", " ").split())

    @property
    def changed(self) -> int:
        """Tasks that changed something."""
        recap = next(line for line in self.said.splitlines() if "unreachable=" in line)
        return int(recap.split("changed=")[1].split()[0])


@dataclass(frozen=True)
class RealHost:
    """A host that answers. :param directory: for files of this machine."""

    host: Host
    directory: Path

    def sh(self, command: str) -> str:
        """What a shell on the host says."""
        return ask(self.host, command, SECONDS)

    def write(self, path: str, text: str, mode: str = "644") -> None:
        """Put a file on the host."""
        self.sh(f"mkdir -p $(dirname {path}); printf %s {_quoted(text)} > {path}; chmod {mode} {path}")

    def text(self, path: str) -> str:
        """A file of the host, to the byte but for white space at both ends."""
        return self.sh(f"cat {path}")

    def digest(self, path: str) -> str:
        """Of a file of the host; "" without one."""
        return self.sh(f"sha256sum {path} 2>/dev/null").partition(" ")[0]

    def prepare(self) -> None:
        """containerd as an administrator set it up, running, with a stand-in for the handler's program."""
        self.write(STAND_IN, '#!/bin/sh\nexec runc "$@"\n', "755")
        self.write(CONFIG, ORIGINAL)
        self.sh("systemctl start containerd")

    def handlers(self) -> str:
        """Names of handlers in the settings that containerd makes of all its files."""
        command = "containerd config dump | sed -n 's/.*containerd.runtimes.\\([a-z0-9]*\\)\\]$/\\1/p' | sort | xargs"
        return self.sh(command)

    def play(self, *arguments: str, part: str = "main", **variables: Any) -> Run:
        """The role, or another entry point of it. :param variables: of the user."""
        playbook = self.directory / "role.yml"
        settings = {"kubegpu_runtime_class": False, **variables}
        task = {"name": "Run the role", "ansible.builtin.include_role": {"name": ROLE, "tasks_from": part}}
        play = {"hosts": "all", "gather_facts": False, "tasks": [task], "vars": settings}
        playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
        known = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o ConnectTimeout=20"
        inventory = self.directory / "inventory"
        # Of this host alone: the control node has a Python of its own.
        inventory.write_text(f"{self.host.address} ansible_python_interpreter=/usr/bin/python3\n", encoding="utf-8")
        options = ["--inventory", str(inventory), "--user", self.host.user, "--private-key", self.host.key]
        command = [str(Path(sys.executable).parent / "ansible-playbook"), *options, str(playbook), *arguments]
        environment = {
            **os.environ,
            "ANSIBLE_SSH_COMMON_ARGS": known,
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "true",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.directory / "cp"),
        }
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, env=environment)
        return Run(done.returncode, done.stdout + done.stderr)


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether it comes to hold."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"

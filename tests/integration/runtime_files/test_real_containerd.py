# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules on a host with a real systemd and a real containerd: it serves with new settings, or with the old ones."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hosts.containerds import layer
from hosts.fixture import running, skipped_where_unavailable
from hosts.host import Host, ask
from hosts.packages import install_packages

INFO = "kubegpu.sharing.container_runtime_info"
FILES = "kubegpu.sharing.runtime_files"
NODE_PROGRAM = "kubegpu.sharing.node_program"
CONFIG = "/etc/containerd/config.toml"
STATE = "/var/lib/kubegpu-sharing/runtime"
PROGRAM = "/usr/local/lib/kubegpu-sharing/kubegpu-sharing.pyz"
UNIT = "containerd.service"
SECONDS = 150
CRI = 'plugins."io.containerd.grpc.v1.cri".containerd'
ORIGINAL = f'version = 2\n# by hand\n[{CRI}.runtimes.runc]\n  runtime_type = "io.containerd.runc.v2"\n'
NVIDIA = f'{ORIGINAL}[{CRI}.runtimes.nvidia]\n  runtime_type = "io.containerd.runc.v2"\n'
# Both are fine with "config dump". With the first it does not start, with the second it runs without what the kubelet needs.
NO_START = f'root = "/proc/no/such/place"\n{ORIGINAL}'
NO_CRI = f'{ORIGINAL}[{CRI}]\n  snapshotter = "nosuch"\n'


@dataclass(frozen=True)
class Node:
    """A host that answers. :param directory: for files of this machine."""

    host: Host
    directory: Path

    def sh(self, command: str) -> str:
        return ask(self.host, command, SECONDS)

    def module(self, name: str, check: bool = False, **options: Any) -> dict[str, Any]:
        """What a module of the collection returns, run by Ansible over ssh."""
        with self.begin(name, check, **options) as process:
            said = process.communicate(timeout=SECONDS)[0]
        answers = list((self.directory / "answers").glob("*"))
        assert answers, said
        return json.loads(answers[0].read_text(encoding="utf-8"))

    def begin(self, name: str, check: bool = False, **options: Any) -> subprocess.Popen[str]:
        for left in (self.directory / "answers").glob("*"):
            left.unlink()
        command = [str(Path(sys.executable).parent / "ansible"), "all", "-i", f"{self.host.address},"]
        command += ["-u", self.host.user, "--private-key", self.host.key, "-t", str(self.directory / "answers")]
        command += [
            "-m",
            name,
            "-a",
            json.dumps(options) if options else "",
            *(["--check"] if check else []),
        ]
        environment = {**os.environ, "ANSIBLE_HOST_KEY_CHECKING": "False"}
        return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def observe(self) -> dict[str, Any]:
        return self.module(INFO)["runtime"]

    def apply(self, new: str | None, **options: Any) -> dict[str, Any]:
        """Carry out a plan for the config; without one, a plan that only restarts."""
        return self.module(FILES, **self.request(new, **options))

    def request(self, new: str | None, **options: Any) -> dict[str, Any]:
        old = self.sh(f"cat {CONFIG}") + "\n"
        file = {"path": CONFIG, "before": checksum(old), "content": new, "after": checksum(new or ""), "mode": "0644"}
        plan = {
            "schema_version": 1,
            "engine": "containerd",
            "restart": True,
            "actions": ["set up containerd"] if new else [],
            "files": [file] if new else [],
            "units": [UNIT],
            "probe": {"kind": "cri", "seconds": 40},
            "record": {"schema_version": 1, "engine": "containerd", "files": {}},
        }
        return {"plan": plan, "run": "r1", **options}

    def serves(self, text: str) -> bool:
        """Whether containerd runs, has its part for the kubelet, and the file is that one to the byte."""
        digest = self.sh(f"sha256sum {CONFIG}").partition(" ")[0]
        plugins = [line.split() for line in self.sh("ctr plugins ls").splitlines()]
        return digest == checksum(text) and ["cri", "ok"] in [
            [words[1], words[-1]] for words in plugins if len(words) > 2
        ]

    def pid(self) -> str:
        return self.sh(f"systemctl show {UNIT} --property=MainPID --value")

    def phase(self) -> str:
        """Of a detached change."""
        return self.module(FILES, step="result", run="r1")["phase"]


def checksum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    directory = tmp_path_factory.mktemp("machine")
    with skipped_where_unavailable():
        install_packages()
        # Whatever release of Debian this machine has.
        layers = [layer("1.6")]
    with running(directory / "host", "runtime-files", layers) as host:
        yield Node(host, directory)


@pytest.fixture
def node(machine: Node) -> Node:
    """containerd with the administrator's file, and nothing of ours."""
    # Of a detached change of an earlier test, which may still be ending.
    machine.sh("systemctl stop 'kubegpu-runtime-*'")
    machine.sh(f"rm -rf {STATE}; printf %s '{ORIGINAL}' > {CONFIG}; systemctl reset-failed; systemctl restart {UNIT}")
    assert machine.serves(ORIGINAL)
    return machine


def test_change_is_made_and_read_by_the_containerd_that_runs(node: Node) -> None:
    before = node.observe()
    assert (before["engine"], before["dump"]["rc"]) == ("containerd", 0)
    assert before["version"].startswith("1.6.")
    assert before["files"][CONFIG]["sha256"] == checksum(ORIGINAL)
    candidate = f"{os.path.dirname(CONFIG)}/.kubegpu-candidate-00000000.toml"
    argv = ["/usr/bin/containerd", "--config", candidate, "config", "dump"]
    staging = {"files": [{"path": candidate, "content": NVIDIA}], "argv": argv}
    dump = node.module(FILES, step="staged", plan={"staging": staging})["dump"]
    assert "runtimes.nvidia]" in dump["stdout"]
    pid = node.pid()
    assert node.module(FILES, check=True, **node.request(NVIDIA))["changed"]
    assert node.pid() == pid
    answer = node.apply(NVIDIA, dump={"argv": before["dump"]["argv"], "stdout": dump["stdout"]})
    assert (answer["changed"], answer["restarted"]) == (True, True), answer.get("msg")
    assert node.pid() != pid
    assert node.serves(NVIDIA)
    assert node.sh(f"cat {answer['backups'][0]}") == ORIGINAL.strip()
    assert sorted(node.sh(f"ls -A {os.path.dirname(CONFIG)} {STATE}").split()) == sorted(
        [f"{os.path.dirname(CONFIG)}:", "config.toml", f"{STATE}:", "backups", "record.json"]
    )


@pytest.mark.parametrize(
    ("config", "why", "logged"),
    [
        (NO_START, "systemctl restart containerd.service ended with 1", "/proc/no"),
        (NO_CRI, "its CRI plugin, which the kubelet talks to, is not loaded", "nosuch"),
    ],
)
def test_settings_that_pass_the_dump_and_do_not_serve_are_taken_back(
    node: Node, config: str, why: str, logged: str
) -> None:
    answer = node.apply(config)
    assert why in answer["msg"]
    assert (answer["rolled_back"], answer["restored"]) == (True, True)
    assert any(logged in line for line in answer["log_lines"])
    # How the one before it ended tells nothing.
    assert answer["log_lines"][0].startswith(f"Starting {UNIT}")
    assert node.serves(ORIGINAL)
    assert node.observe()["pending"] is None


def test_run_that_is_killed_is_finished_by_the_next_one(node: Node) -> None:
    # Long enough to be killed in, and ended by the next restart.
    node.sh(
        f"mkdir -p /run/systemd/system/{UNIT}.d; printf '[Service]\\nExecStartPre=/bin/sleep 60\\n' > /run/systemd/system/{UNIT}.d/slow.conf; "
        "systemctl daemon-reload"
    )
    try:
        with node.begin(FILES, **node.request(NVIDIA)) as process:
            wait_for(lambda: '"restarting"' in node.sh(f"cat {STATE}/pending.json 2>/dev/null"))
            node.sh(f"kill -9 $(sed -n 's/.*\"pid\": \\([0-9]*\\).*/\\1/p' {STATE}/pending.json)")
            process.communicate(timeout=SECONDS)
    finally:
        node.sh(f"rm -r /run/systemd/system/{UNIT}.d; systemctl daemon-reload")
    pending = node.observe()["pending"]
    assert (pending["run"], pending["phase"], pending["owed"]) == ("r1", "restarting", True)
    answer = node.apply(None, run="r2")
    assert answer["actions"] == [f"restart {UNIT}, which run r1 left to be done"]
    assert node.serves(NVIDIA)
    assert node.observe()["pending"] is None


@pytest.fixture
def begun(node: Node, request: pytest.FixtureRequest) -> Node:
    """A detached change that waits to be confirmed; its parameter says for how long, unless that does not matter."""
    assert node.module(NODE_PROGRAM, path=PROGRAM).get("failed") is not True
    confirm_seconds = getattr(request, "param", 300)
    answer = node.apply(NVIDIA, detached=True, program=PROGRAM, confirm_seconds=confirm_seconds)
    assert answer["unit"] == "kubegpu-runtime-r1.service"
    wait_for(lambda: '"waiting"' in node.sh(f"cat {STATE}/detached/result-r1.json"))
    assert node.serves(NVIDIA)
    return node


def test_detached_change_stands_once_it_is_confirmed(begun: Node) -> None:
    assert begun.module(FILES, step="confirmed", run="r1")["changed"]
    wait_for(lambda: begun.phase() == "confirmed")
    assert begun.serves(NVIDIA)
    assert not begun.module(FILES, step="confirmed", run="r1")["changed"]
    assert begun.observe()["pending"] is None


# Time enough to see that it waits.
@pytest.mark.parametrize("begun", [30], indirect=True)
def test_detached_change_is_taken_back_unless_it_is_confirmed(begun: Node) -> None:
    # Also by whoever is too late.
    wait_for(lambda: begun.phase() == "rolled_back")
    assert begun.serves(ORIGINAL)
    assert "it is rolled back" in begun.module(FILES, step="confirmed", run="r1")["msg"]
    # By its second program.
    wait_for(lambda: begun.sh(f"ls {STATE}/detached/request-r1.json 2>&1").endswith("No such file or directory"))


def test_detached_change_is_taken_back_where_its_process_is_killed(begun: Node) -> None:
    begun.sh("systemctl kill --signal=KILL kubegpu-runtime-r1.service")
    wait_for(lambda: begun.phase() == "rolled_back")
    assert begun.serves(ORIGINAL)
    assert begun.observe()["pending"] is None

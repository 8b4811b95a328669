# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gpu_usage by ansible-playbook, with the genuine pynvml on the simulated library: at once, and in the background."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from .node import UsageNode, container_of, uid_of

pytestmark = [pytest.mark.integration, pytest.mark.oldest]

ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
ID = "run-1"
NODE_OPTIONS = ("nvml_library", "proc_root", "kubelet_root", "log_root", "path")
READ = {name: f"{{{{ node_options.{name} }}}}" for name in NODE_OPTIONS}
SAMPLE = {**READ, "id": ID, "duration_seconds": "{{ sample_seconds }}", "interval_seconds": 0.2}
#: On the node without a driver, a sampling that did not end at once would outlive its job and the playbook.
SAMPLE_SECONDS, ENDLESS_SECONDS = 1, 600


def usage(name: str, **options: Any) -> dict[str, Any]:
    return {"name": name, "kubegpu.sharing.gpu_usage": {**READ, **options}, "register": name}


PLAY = {
    "hosts": "all",
    "gather_facts": False,
    "tasks": [
        {"name": "once", "kubegpu.sharing.gpu_usage": SAMPLE, "check_mode": True, "register": "once"},
        {"name": "job", "kubegpu.sharing.gpu_usage": SAMPLE, "async": 60, "poll": 0, "register": "job"},
        {
            **usage("during", state="collected", ids=[ID, "other"], brief=True),
            # Before its first sample a job has no file, or one that nobody has locked yet.
            "until": "during.runs | map(attribute='samples') | sum > 0 or 'unavailable' in during.runs | map(attribute='state')",
            "retries": 50,
            "delay": 0.2,
        },
        {
            **usage("after", state="collected"),
            "until": "after.runs and not after.running",
            "retries": 50,
            "delay": 0.2,
        },
        {
            "name": "ended",
            "ansible.builtin.async_status": {"jid": "{{ job.ansible_job_id }}"},
            "until": "ended is finished",
            "retries": 50,
            "delay": 0.2,
            "register": "ended",
            "ignore_errors": True,
        },
        {"name": "tmp", "ansible.builtin.find": {"paths": "{{ remote_tmp }}", "file_type": "any"}, "register": "tmp"},
        {**usage("kept", state="absent", ids=[ID]), "check_mode": True},
        usage("removed", state="absent", ids=[ID]),
        usage("again", state="absent", ids=[ID]),
        {"name": "direct", "kubegpu.sharing.gpu_usage": {**SAMPLE, "id": "run-2"}, "register": "direct"},
        {
            "name": "result",
            "ansible.builtin.copy": {
                "content": "{{ dict(names | zip(names | map('extract', vars))) | to_json }}",
                "dest": "{{ results_dir }}/{{ inventory_hostname }}.json",
                "mode": "0644",
            },
            "vars": {"names": ["once", "job", "during", "after", "ended", "tmp", "kept", "removed", "again", "direct"]},
        },
    ],
}


@dataclass
class Host:
    """What a host's tasks returned, by name."""

    node: UsageNode
    tasks: dict[str, Any]

    @property
    def directory(self) -> Path:
        return self.node.directory


def bare_python(path: Path) -> str:
    """A Python that has only the standard library."""
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def make_nodes(base: Path) -> dict[str, UsageNode]:
    nodes = {name: UsageNode.make(base / name, "L20", "L20") for name in ("full", "bare", "driverless")}
    for node in nodes.values():
        uuids = [gpu.uuid for gpu in node.gpus.gpus]
        node.run(4001, {0: 4621}, pod=1)
        node.run(4002, {0: 900, 1: 500}, pod=2)
        node.run(4003, {1: 20}, command="Xorg")
        node.name_pod(1, "shop", "nlp-7d", "serve", [f"{uuids[0]}::3", f"{uuids[0]}::4"])
        node.name_pod(2, "shop", "ocr-0", "ocr", uuids)
    nodes["driverless"].library.unlink()
    return nodes


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Host]:
    base = tmp_path_factory.mktemp("gpu_usage")
    nodes = make_nodes(base)
    pythons = dict.fromkeys(nodes, sys.executable) | {"bare": bare_python(base / "python-bare")}
    (base / "results").mkdir()
    inventory: dict[str, Any] = {"all": {"vars": {"ansible_connection": "local"}, "hosts": {}}}
    for name, node in nodes.items():
        inventory["all"]["hosts"][name] = {
            "ansible_python_interpreter": pythons[name],
            "ansible_remote_tmp": str(node.directory / "tmp"),
            "ansible_async_dir": str(node.directory / "async"),
            "remote_tmp": str(node.directory / "tmp"),
            "results_dir": str(base / "results"),
            "node_options": {**node.options(), "path": str(node.directory / "state/measurements")},
            "sample_seconds": ENDLESS_SECONDS if name == "driverless" else SAMPLE_SECONDS,
        }
    (base / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    (base / "play.yml").write_text(yaml.safe_dump([PLAY]), encoding="utf-8")
    command = [str(ANSIBLE_PLAYBOOK), "-i", str(base / "inventory.yml"), str(base / "play.yml")]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=200, env={**os.environ, "ANSIBLE_FORKS": "3"}
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    read = {name: json.loads((base / f"results/{name}.json").read_text(encoding="utf-8")) for name in nodes}
    return {name: Host(node, read[name]) for name, node in nodes.items()}


def users_of(measurement: dict[str, Any]) -> dict[Any, dict[str, Any]]:
    return {(user["pod"], user["gpu"]): user for user in measurement["users"]}


@pytest.mark.parametrize("host", ["full", "bare"])
def test_gpu_usage_in_the_background_is_collected_when_it_has_ended(hosts: dict[str, Host], host: str) -> None:
    tasks = hosts[host].tasks
    assert (tasks["job"]["started"], bool(tasks["ended"].get("failed"))) == (True, False), tasks["ended"]
    assert tasks["during"]["missing"] == ["other"]
    assert tasks["during"]["measurements"] == []
    assert [run["id"] for run in tasks["during"]["runs"]] == [ID]
    (run,) = tasks["after"]["runs"]
    assert (run["state"], run["running"], tasks["after"]["running"]) == ("complete", False, False)
    (measurement,) = tasks["after"]["measurements"]
    assert measurement["samples"] + measurement["missed"] == 6
    assert 1.0 <= measurement["duration_seconds"] < 20
    assert measurement == tasks["ended"]["measurement"]


def test_gpu_usage_in_the_background_leaves_no_copy_of_pynvml_behind(hosts: dict[str, Host]) -> None:
    for name in ("full", "bare"):
        left = [path for path in hosts[name].directory.glob("tmp/**/*") if path.is_file()]
        assert not left, name


def test_gpu_usage_tells_containers_and_programs_of_the_host(hosts: dict[str, Host]) -> None:
    host = hosts["full"]
    (measurement,) = host.tasks["after"]["measurements"]
    first, second = (gpu.uuid for gpu in host.node.gpus.gpus)
    users = users_of(measurement)
    assert set(users) == {("nlp-7d", first), ("ocr-0", first), ("ocr-0", second), (None, second)}
    nlp = users["nlp-7d", first]
    assert (nlp["namespace"], nlp["container"], nlp["slots"]) == ("shop", "serve", 2)
    assert (nlp["pod_uid"], nlp["container_id"], nlp["command"]) == (uid_of(1), container_of(1), "python3")
    assert (nlp["memory_mib"]["peak"], nlp["processes"]["peak"]) == (4621, 1)
    assert (users["ocr-0", second]["slots"], users["ocr-0", second]["memory_mib"]["peak"]) == (1, 500)
    assert (users[None, second]["command"], users[None, second]["pod_uid"]) == ("Xorg", None)
    assert [gpu["memory_used_mib"]["peak"] for gpu in measurement["gpus"]] == [5521, 520]


def test_gpu_usage_of_a_node_without_driver_ends_at_once_and_says_why(hosts: dict[str, Host]) -> None:
    tasks = hosts["driverless"].tasks
    (run,) = tasks["after"]["runs"]
    assert (run["state"], run["samples"]) == ("unavailable", 0)
    assert "cannot open shared object file" in run["reason"]
    (measurement,) = tasks["after"]["measurements"]
    assert (measurement["nvml_available"], measurement["reason_code"]) == (False, "library_not_found")
    assert tasks["direct"]["measurement"]["duration_seconds"] < ENDLESS_SECONDS / 10


def test_gpu_usage_in_check_mode_samples_once_and_writes_nothing(hosts: dict[str, Host]) -> None:
    once = hosts["full"].tasks["once"]
    assert (once["changed"], once["path"], once["measurement"]["samples"]) == (False, None, 1)
    # the check came first, and the job that followed found no file of it
    assert once["measurement"]["users"]


def test_gpu_usage_absent_removes_once(hosts: dict[str, Host]) -> None:
    for host in hosts.values():
        tasks = host.tasks
        told = [(tasks[name]["changed"], tasks[name]["removed"]) for name in ("kept", "removed", "again")]
        assert told == [(True, [ID]), (True, [ID]), (False, [])]
        assert not list(host.directory.glob(f"state/measurements/{ID}*"))


def test_gpu_usage_keeps_what_it_saw_to_its_user(hosts: dict[str, Host]) -> None:
    direct = hosts["full"].tasks["direct"]
    file = Path(direct["path"])
    assert (direct["changed"], file.name, file.stat().st_mode & 0o777) == (False, "run-2.json", 0o600)
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert json.loads(file.read_text(encoding="utf-8")) == direct["measurement"]

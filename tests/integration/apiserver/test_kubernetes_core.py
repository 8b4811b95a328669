# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules of kubernetes.core, run by ansible, against the simulated API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from simulator.cluster import SimulatedCluster

ROOT = Path(__file__).resolve().parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
SECONDS = 120


def play(cluster: SimulatedCluster, directory: Path, tasks: list[dict[str, Any]], *, check: bool = False) -> list[Any]:
    """Run the tasks; what each returned. The play's results come through the JSON callback's file."""
    results = directory / "results.json"
    kept: list[dict[str, Any]] = []
    for number, task in enumerate(tasks):
        kept += [{**task, "name": f"Step {number}", "register": f"step_{number}"}]
    variables = "[" + ", ".join(f"step_{number}" for number in range(len(tasks))) + "]"
    save = {
        "name": "Save",
        "ansible.builtin.copy": {"content": f"{{{{ {variables} | to_json }}}}", "dest": str(results)},
    }
    book = [
        {
            "hosts": "localhost",
            "connection": "local",
            "gather_facts": False,
            "module_defaults": {"group/kubernetes.core.k8s": {"kubeconfig": str(cluster.kubeconfig)}},
            "tasks": [*kept, {**save, "check_mode": False}],
        }
    ]
    playbook = directory / "play.yml"
    playbook.write_text(yaml.safe_dump(book))
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".venv/collections")}
    environment |= {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_INVENTORY": "localhost,"}
    environment |= {"ANSIBLE_PYTHON_INTERPRETER": sys.executable}
    command = [str(ANSIBLE), str(playbook), *(["--check", "--diff"] if check else [])]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=SECONDS, env=environment, cwd=directory, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    read: list[Any] = json.loads(results.read_text())
    return read


def k8s(**options: Any) -> dict[str, Any]:
    return {"kubernetes.core.k8s": options}


def test_present_patched_apply_info_and_absent(cluster: SimulatedCluster, namespace: str, tmp_path: Path) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": namespace},
        "data": {"a": "1"},
    }
    changed = {**manifest, "data": {"a": "2"}}
    patch = {"metadata": {"labels": {"example.com/by": "ansible"}}}
    named = {"api_version": "v1", "kind": "ConfigMap", "name": "settings", "namespace": namespace}
    info: dict[str, Any] = {key: value for key, value in named.items() if key != "name"}
    info |= {"label_selectors": ["example.com/by=ansible"]}
    tasks = [
        k8s(state="present", definition=manifest),
        k8s(state="present", definition=manifest),
        k8s(state="present", definition=changed),
        k8s(state="patched", definition=patch, **named),
        {"kubernetes.core.k8s_info": info},
        k8s(
            state="present",
            apply=True,
            definition={**manifest, "metadata": {"name": "applied", "namespace": namespace}},
        ),
        k8s(state="absent", **named),
        k8s(state="absent", **named),
    ]
    results = play(cluster, tmp_path, tasks)
    assert [bool(result["changed"]) for result in results] == [True, False, True, True, False, True, True, False]
    found = results[4]["resources"]
    assert [(item["metadata"]["name"], item["data"]) for item in found] == [("settings", {"a": "2"})]


def test_check_mode_changes_nothing(cluster: SimulatedCluster, namespace: str, tmp_path: Path) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": namespace}}
    node = {"api_version": "v1", "kind": "Node", "name": "node-1"}
    start = cluster.position()
    tasks = [
        k8s(state="present", definition=manifest),
        k8s(state="patched", definition={"spec": {"unschedulable": True}}, **node),
    ]
    results = play(cluster, tmp_path, tasks, check=True)
    assert [result["changed"] for result in results] == [True, True]
    assert cluster.writes(since=start) == []
    assert any(entry["dry_run"] for entry in cluster.audit(since=start))


def test_drain_and_wait_for_a_deployment(cluster: SimulatedCluster, namespace: str, tmp_path: Path) -> None:
    labels = {"app": "web"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "registry.example.com/app:1"}]},
            },
        },
    }
    tasks = [
        k8s(state="present", definition=deployment, wait=True, wait_timeout=60, wait_sleep=1),
        {"kubernetes.core.k8s_drain": {"state": "cordon", "name": "node-3", "kubeconfig": str(cluster.kubeconfig)}},
        {"kubernetes.core.k8s_drain": {"state": "uncordon", "name": "node-3", "kubeconfig": str(cluster.kubeconfig)}},
    ]
    results = play(cluster, tmp_path, tasks)
    assert all(result["changed"] for result in results)
    assert results[0]["result"]["status"]["availableReplicas"] == 2

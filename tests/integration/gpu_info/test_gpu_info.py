# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""gpu_info by ansible-playbook, with the genuine pynvml on the simulated library: one play over nodes of every kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.release import __version__ as ansible_version

from setup.staging import find_interpreter
from simulator.nvml.state import NodeGpus, NvmlError, Process, install

pytestmark = [pytest.mark.integration, pytest.mark.oldest]

ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"
UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
CONTAINER = "0123456789abcdef" * 4
L20_PROCESS_MIB = 4621
STARTED = 903417
POD = {"namespace": "mlapps", "pod": "nlp-6d9b7c-x2k4q"}


@dataclass
class Node:
    """A host of the play: a directory with library, state, procfs and kubelet directory, and the Python it runs."""

    directory: Path
    gpus: NodeGpus
    python: str = sys.executable
    options: dict[str, Any] = field(default_factory=dict)

    def build(self) -> None:
        self.library = install(self.directory)
        self.gpus.write(self.directory)
        (self.directory / "proc").mkdir()
        (self.directory / "kubelet").mkdir()

    def variables(self) -> dict[str, Any]:
        options = {
            "nvml_library": str(self.directory / "libnvidia-ml.so.1"),
            "proc_root": str(self.directory / "proc"),
            "kubelet_root": str(self.directory / "kubelet"),
            "log_root": str(self.directory / "log"),
            **self.options,
        }
        return {"ansible_python_interpreter": self.python, "gpu_info_options": options}


def interpreter(path: Path, *, modules: Path | None = None) -> str:
    """A Python that has only the standard library, and what is in ``modules``."""
    environment = f"PYTHONPATH={modules} " if modules else ""
    path.write_text(f'#!/bin/sh\n{environment}exec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def old_pynvml(directory: Path) -> Path:
    directory.mkdir()
    (directory / "pynvml.py").write_text("def nvmlInit():\n    pass\n", encoding="utf-8")
    return directory


def add_process(node: Node, gpu: int, process: Process, cgroup: str) -> None:
    node.gpus.gpus[gpu].processes.append(process)
    proc = node.directory / "proc" / str(process.pid)
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text(cgroup, encoding="utf-8")
    fields = ["S", "1", *["0"] * 17, str(STARTED), *["0"] * 30]
    (proc / "stat").write_text(f"{process.pid} (python3) {' '.join(fields)}\n", encoding="utf-8")
    node.gpus.write(node.directory)


def make_nodes(base: Path) -> dict[str, Node]:
    bare = interpreter(base / "python-bare")
    old = interpreter(base / "python-old", modules=old_pynvml(base / "old"))

    def gpus(*cards: str, fault: NvmlError | None = None) -> NodeGpus:
        state = NodeGpus.of("node", cards)
        state.fault = fault
        return state

    nodes = {
        "reference": Node(base / "reference", gpus("L20", "T4")),
        "lost": Node(base / "lost", gpus("T4", "T4")),
        "mig-capable": Node(base / "mig-capable", gpus("H20")),
        "without-pynvml": Node(base / "without-pynvml", gpus("T4"), python=bare),
        "old-pynvml": Node(base / "old-pynvml", gpus("T4"), python=old),
        "without-library": Node(base / "without-library", gpus("T4"), python=bare),
        "not-loaded": Node(base / "not-loaded", gpus("T4", fault=NvmlError.DRIVER_NOT_LOADED)),
        "mismatch": Node(base / "mismatch", gpus("T4", fault=NvmlError.LIB_RM_VERSION_MISMATCH)),
        "forbidden": Node(base / "forbidden", gpus("T4", fault=NvmlError.NO_PERMISSION)),
        "without-gpu": Node(base / "without-gpu", gpus()),
        "wrong-soname": Node(base / "wrong-soname", gpus("T4")),
    }
    for node in nodes.values():
        node.build()
    prepare(nodes)
    return nodes


def prepare(nodes: dict[str, Node]) -> None:
    reference = nodes["reference"]
    pod_slice = f"kubepods-burstable-pod{UID.replace('-', '_')}.slice"
    cgroup = f"0::/kubepods.slice/kubepods-burstable.slice/{pod_slice}/cri-containerd-{CONTAINER}.scope\n"
    add_process(reference, 0, Process(4242, L20_PROCESS_MIB), cgroup)
    add_process(reference, 1, Process(4243, None, "graphics"), "0::/user.slice\n")
    (reference.directory / f"log/pods/{POD['namespace']}_{POD['pod']}_{UID}/nlp").mkdir(parents=True)
    links = reference.directory / "log/containers"
    links.mkdir()
    (links / f"{POD['pod']}_{POD['namespace']}_nlp-{CONTAINER}.log").symlink_to("/elsewhere")
    checkpoint = reference.directory / "kubelet/device-plugins/kubelet_internal_checkpoint"
    checkpoint.parent.mkdir()
    entry = {
        "PodUID": UID,
        "ContainerName": "nlp",
        "ResourceName": "nvidia.com/gpu",
        "DeviceIDs": {"-1": [reference.gpus.gpus[0].uuid]},
    }
    checkpoint.write_text(json.dumps({"Data": {"PodDeviceEntries": [entry]}, "Checksum": 1}), encoding="utf-8")
    nodes["lost"].gpus.gpus[0].lost = True
    nodes["lost"].gpus.write(nodes["lost"].directory)
    nodes["without-library"].options["nvml_library"] = str(nodes["without-library"].directory / "gone.so.1")
    renamed = nodes["wrong-soname"].directory / "libnvidia-ml.so.1"
    renamed.write_bytes(renamed.read_bytes().replace(b"libnvidia-ml.so.1\0", b"libnvidia-ml.so.9\0"))


NODE_OPTIONS = ("nvml_library", "proc_root", "kubelet_root", "log_root")
GPU_INFO = {
    **{name: f"{{{{ gpu_info_options.{name} }}}}" for name in NODE_OPTIONS},
    "facts_dir": "{{ facts_dir }}",
    "node_name": "node-{{ inventory_hostname }}",
}
KEEP_RESULT = {
    "content": "{{ result | to_json }}",
    "dest": "{{ results_dir }}/{{ inventory_hostname }}.json",
    "mode": "0644",
}
PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"kubegpu.sharing.gpu_info": GPU_INFO, "register": "result", "ignore_errors": True},
            {"ansible.builtin.copy": KEEP_RESULT, "check_mode": False},
        ],
    }
]


@dataclass
class Played:
    """What a play left: per host the task's result and the file on the control node."""

    nodes: dict[str, Node]
    results: dict[str, dict[str, Any]]
    facts: dict[str, dict[str, Any]]
    output: str


def play(base: Path, nodes: dict[str, Node], *arguments: str) -> Played:
    facts, results = base / "facts", base / "results"
    results.mkdir(exist_ok=True)
    common = {"ansible_connection": "local", "facts_dir": str(facts), "results_dir": str(results)}
    inventory = {"all": {"vars": common, "hosts": {name: node.variables() for name, node in nodes.items()}}}
    (base / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
    (base / "play.yml").write_text(yaml.safe_dump(PLAY), encoding="utf-8")
    command = [str(ANSIBLE_PLAYBOOK), "-i", str(base / "inventory.yml"), str(base / "play.yml"), *arguments]
    ended = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=100, env={**os.environ, "ANSIBLE_FORKS": "4"}
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return Played(nodes, read_all(results), read_all(facts), ended.stdout + ended.stderr)


def read_all(directory: Path) -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in directory.glob("*.json")}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    base = tmp_path_factory.mktemp("gpu_info")
    # left from an earlier run: must not survive a host that fails
    (base / "facts").mkdir()
    (base / "facts" / "wrong-soname.json").write_text("{}", encoding="utf-8")
    return play(base, make_nodes(base))


def gpus_of(played: Played, host: str) -> list[dict[str, Any]]:
    return played.results[host]["gpus"]


def test_gpu_info_reads_every_gpu(played: Played) -> None:
    result = played.results["reference"]
    assert (result["nvml_available"], result["changed"], result["driver_version"], result["cuda_version"]) == (
        True,
        False,
        "570.158.01",
        "12.8",
    )
    l20, t4 = result["gpus"]
    assert (l20["product"], l20["architecture"], l20["compute_capability"], l20["memory_total_mib"]) == (
        "NVIDIA L20",
        "Ada Lovelace",
        "8.9",
        46068,
    )
    assert (t4["product"], t4["architecture"], t4["compute_capability"], t4["memory_total_mib"]) == (
        "Tesla T4",
        "Turing",
        "7.5",
        15360,
    )
    assert l20["uuid"] == played.nodes["reference"].gpus.gpus[0].uuid
    assert (
        l20["memory_total_mib"] - 2
        <= l20["memory_reserved_mib"] + l20["memory_used_mib"] + l20["memory_free_mib"]
        <= l20["memory_total_mib"]
    )
    assert [gpu["mig"]["capable"] for gpu in result["gpus"]] == [False, False]


def test_gpu_info_relates_processes_to_pods(played: Played) -> None:
    (process,) = gpus_of(played, "reference")[0]["processes"]
    assert process == {
        "pid": 4242,
        "started": STARTED,
        "type": "compute",
        "mps_role": None,
        "used_memory_mib": L20_PROCESS_MIB,
        "attribution": "container",
        "pod_uid": UID,
        "container_id": CONTAINER,
        **POD,
        "container": "nlp",
        "command": "python3",
        "gpu_instance_id": None,
        "compute_instance_id": None,
        "mig_device": None,
    }
    (other,) = gpus_of(played, "reference")[1]["processes"]
    assert (other["type"], other["used_memory_mib"], other["attribution"]) == ("graphics", None, "host")
    silent = "NVML does not tell the memory of 1 of 1 processes on this GPU."
    assert [(gpu["memory_reason"] or "")[: len(silent)] for gpu in gpus_of(played, "reference")] == ["", silent]


def test_gpu_info_lists_allocations(played: Played) -> None:
    uuid = played.nodes["reference"].gpus.gpus[0].uuid
    assert played.results["reference"]["allocations"] == [
        {"pod_uid": UID, **POD, "container": "nlp", "resource": "nvidia.com/gpu", "device_ids": [uuid]}
    ]
    assert played.results["reference"]["allocations_source"] == "checkpoint"
    assert (played.results["lost"]["allocations"], played.results["lost"]["allocations_source"]) == (None, None)
    assert "kubelet_internal_checkpoint does not exist" in played.results["lost"]["allocations_reason"]


def test_gpu_info_lost_gpu_is_lost_alone(played: Played) -> None:
    lost, well = gpus_of(played, "lost")
    assert (lost["state"], lost["product"], well["state"], well["product"]) == ("lost", None, "ok", "Tesla T4")
    assert "Xid 79" in lost["reason"]


def test_gpu_info_mig_capable_card_lists_profiles_with_placements(played: Played) -> None:
    (gpu,) = gpus_of(played, "mig-capable")
    mig = gpu["mig"]
    # NVML counts no possible devices while the mode is off
    facts = [mig[name] for name in ("capable", "mode", "pending", "max_devices", "devices")]
    assert facts == [True, "disabled", "disabled", 0, []]
    smallest = next(profile for profile in mig["profiles"] if profile["name"] == "1g.12gb")
    assert (smallest["id"], smallest["max_instances"]) == (19, 7)
    assert [place["start"] for place in smallest["placements"]] == list(range(7))


@pytest.mark.parametrize("host", ["without-pynvml", "old-pynvml"])
def test_gpu_info_brings_pynvml_along(played: Played, host: str) -> None:
    assert played.results[host].get("failed") is not True, played.results[host]
    assert [gpu["product"] for gpu in gpus_of(played, host)] == ["Tesla T4"]


@pytest.mark.parametrize(
    ("host", "code", "seen", "cure"),
    [
        (
            "without-library",
            "library_not_found",
            "gone.so.1: cannot open shared object file",
            "Install the NVIDIA driver",
        ),
        ("not-loaded", "driver_not_loaded", "(NVML error 9)", "modprobe nvidia"),
        ("mismatch", "driver_library_mismatch", "(NVML error 18)", "drain the node and reboot it"),
        ("forbidden", "no_permission", "(NVML error 4)", "run it with become"),
        ("without-gpu", "no_gpu", "knows no GPU on this node", "Xid 79"),
    ],
)
def test_gpu_info_succeeds_without_nvml_and_says_why(
    played: Played, host: str, code: str, seen: str, cure: str
) -> None:
    result = played.results[host]
    assert (result["failed"], result["nvml_available"], result["reason_code"]) == (False, False, code)
    assert seen in result["reason"]
    assert cure in result["reason"]
    assert result["gpus"] == []


def test_gpu_info_library_of_another_soname_is_an_error_that_names_it(played: Played) -> None:
    result = played.results["wrong-soname"]
    library = played.nodes["wrong-soname"].directory / "libnvidia-ml.so.1"
    assert result["failed"] is True
    assert result["msg"].startswith(f"nvml_library {library} was loaded, but pynvml found ")
    assert "is not libnvidia-ml.so.1" in result["msg"]


def test_gpu_info_writes_facts_of_hosts_that_answered(played: Played) -> None:
    assert set(played.facts) == set(played.nodes) - {"wrong-soname"}
    document = played.facts["reference"]
    assert (document["schema_version"], document["host"], document["node"]) == (1, "reference", "node-reference")
    expected = {"nvml_available", "reason", "reason_code", "driver_version", "cuda_version", "nvml_version", "gpus"}
    expected |= {"allocations", "allocations_source", "allocations_reason", "holders", "holders_reason"}
    assert set(document["facts"]) == expected
    assert document["facts"]["gpus"] == gpus_of(played, "reference")


def test_gpu_info_makes_no_noise(played: Played) -> None:
    assert "[WARNING]" not in played.output
    assert "DEPRECATION" not in played.output


def test_gpu_info_in_check_mode_is_the_same_and_leaves_nothing_on_the_node(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", NodeGpus.of("node", ["T4"]), python=interpreter(tmp_path / "python"))
    node.build()
    remote = tmp_path / "remote"
    checked = play(tmp_path, {"node": node}, "--check", "-e", f"ansible_remote_tmp={remote}")
    assert [gpu["product"] for gpu in checked.results["node"]["gpus"]] == ["Tesla T4"]
    assert checked.facts["node"]["facts"]["nvml_available"] is True
    assert not list(remote.glob("*/*")), "what was sent along is removed"


def test_gpu_info_runs_on_the_oldest_python_of_nodes(tmp_path: Path) -> None:
    oldest = find_interpreter("3.8")
    if oldest is None or tuple(map(int, ansible_version.split(".")[:2])) >= (2, 20):
        pytest.skip("no Python 3.8 on this machine, or an ansible-core that no longer supports it")
    node = Node(tmp_path / "node", NodeGpus.of("node", ["L20"]), python=str(oldest))
    node.build()
    (gpu,) = play(tmp_path, {"node": node}).results["node"]["gpus"]
    assert (gpu["product"], gpu["memory_total_mib"]) == ("NVIDIA L20", 46068)


def test_gpu_info_control_node_without_pynvml_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a package of that name hides the genuine file from the control node
    (tmp_path / "hidden" / "pynvml").mkdir(parents=True)
    (tmp_path / "hidden" / "pynvml" / "__init__.py").write_text("", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hidden"))
    bare = interpreter(tmp_path / "python", modules=tmp_path)
    nodes = {name: Node(tmp_path / name, NodeGpus.of("node", ["T4"]), python=bare) for name in ("node", "no-library")}
    nodes["no-library"].options["nvml_library"] = str(tmp_path / "gone.so.1")
    for node in nodes.values():
        node.build()
    results = play(tmp_path, nodes).results
    result = results["node"]
    assert result["failed"] is True
    assert result["msg"].startswith("Reading the GPUs of node needs the Python module pynvml: on the node, ")
    assert "Install nvidia-ml-py (12.550.52 or later) for the Python that runs Ansible." in result["msg"]
    # a node without the library says so by itself
    assert (results["no-library"]["failed"], results["no-library"]["reason_code"]) == (False, "library_not_found")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names and slots of those that a sampling shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List, Optional

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_owners import UsageOwners
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import ProcessUse, Sample

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
CONTAINER = "0123456789abcdef" * 4


@pytest.fixture
def node(tmp_path: Path) -> NodeFiles:
    for name in ("proc", "kubelet/device-plugins", "log/pods", "log/containers"):
        (tmp_path / name).mkdir(parents=True)
    return NodeFiles(str(tmp_path / "proc"), str(tmp_path / "kubelet"), str(tmp_path / "log"))


def allocate(node: NodeFiles, containers: Dict[str, List[str]]) -> None:
    entries = [
        {"PodUID": UID, "ContainerName": name, "ResourceName": f"nvidia.com/{number}", "DeviceIDs": {"-1": [one]}}
        for name, ids in containers.items()
        for number, one in enumerate(ids)
    ]
    path = Path(node.kubelet_root) / "device-plugins/kubelet_internal_checkpoint"
    path.write_text(json.dumps({"Data": {"PodDeviceEntries": entries}, "Checksum": 1}), encoding="utf-8")


def name_container(node: NodeFiles, name: str) -> None:
    (Path(node.log_root) / "pods" / f"shop_nlp-0_{UID}" / name).mkdir(parents=True)
    (Path(node.log_root) / "containers" / f"nlp-0_shop_{name}-{CONTAINER}.log").symlink_to("nowhere")


def sample(container: Optional[str] = CONTAINER) -> Sample:
    return Sample(0.0, (), (ProcessUse(7, 1, "GPU-0", pod_uid=UID, container_id=container),))


def described(owners: UsageOwners, **user: Any) -> List[Any]:
    known = {"pod_uid": UID, "container_id": CONTAINER, "gpu": "GPU-0", "mig_device": None, **user}
    return [owners.describe(known)[name] for name in ("namespace", "pod", "container", "slots")]


def test_describe_counts_what_the_container_was_given_on_the_device(node: NodeFiles) -> None:
    name_container(node, "serve")
    allocate(node, {"serve": ["GPU-0::0", "GPU-0::4", "GPU-1", "MIG-1"], "other": ["GPU-0::1"]})
    owners = UsageOwners(node)
    owners.follow(sample())
    assert described(owners) == ["shop", "nlp-0", "serve", 2]
    assert described(owners, gpu="GPU-1")[3] == 1
    assert described(owners, gpu="GPU-9", mig_device="MIG-1")[3] == 1
    assert described(owners, gpu="GPU-9")[3] == 0


def test_describe_container_without_a_name_is_the_pods_only_one_that_was_given_devices(node: NodeFiles) -> None:
    owners = UsageOwners(node)
    allocate(node, {"serve": ["GPU-0::0"]})
    owners.follow(sample())
    assert described(owners) == [None, None, None, 1]
    allocate(node, {"serve": ["GPU-0::0"], "other": ["GPU-0::1"]})
    owners.refresh()
    assert described(owners) == [None, None, None, None]


def test_describe_those_outside_of_pods_have_nothing(node: NodeFiles) -> None:
    allocate(node, {"serve": ["GPU-0"]})
    owners = UsageOwners(node)
    owners.follow(sample())
    assert described(owners, pod_uid=None, container_id=None) == [None, None, None, None]


def test_refresh_names_what_had_no_name_at_first(node: NodeFiles) -> None:
    owners = UsageOwners(node)
    owners.follow(sample())
    assert described(owners) == [None, None, None, None]
    name_container(node, "serve")
    allocate(node, {"serve": ["GPU-0"]})
    owners.refresh()
    assert described(owners) == ["shop", "nlp-0", "serve", 1]


def test_notes_say_why_allocations_are_not_known(node: NodeFiles) -> None:
    owners = UsageOwners(node)
    owners.refresh()
    (note,) = owners.notes()
    assert "kubelet_internal_checkpoint does not exist" in note
    allocate(node, {})
    owners.refresh()
    assert owners.notes() == []


def test_look_up_counts_processes_that_are_not_there(node: NodeFiles) -> None:
    owners = UsageOwners(node)
    for pid in (1, 2, 2):
        owners.look_up(pid)
    (note,) = owners.notes()
    assert note.startswith("3 times a process that NVML named was not in ")


def test_notes_name_some_processes_of_an_unknown_runtime_and_count_the_others(node: NodeFiles) -> None:
    owners = UsageOwners(node)
    for pid in range(7, 19):
        process = Path(node.proc_root) / str(pid)
        process.mkdir()
        (process / "cgroup").write_text(f"0::/kubepods/burstable/strange-{UID[:8]}/x\n", encoding="utf-8")
        fields = " ".join(["S"] + ["0"] * 18 + ["900"] + ["0"] * 30)
        (process / "stat").write_text(f"{pid} (python) {fields}", encoding="utf-8")
        owners.look_up(pid)
        owners.look_up(pid)
    notes = owners.notes()
    assert (len(notes), notes[0][:20], notes[-1]) == (9, "Process 7 (python): ", "The same holds for 4 processes more.")


def test_follow_forgets_processes_that_are_gone(node: NodeFiles) -> None:
    owners = UsageOwners(node)
    process = Path(node.proc_root) / "7"
    process.mkdir()
    (process / "stat").write_text(f"7 (serve) {' '.join(['0'] * 19)} 500 0\n", encoding="utf-8")
    (process / "cgroup").write_text(f"0::/kubepods/pod{UID}/{CONTAINER}\n", encoding="utf-8")
    assert (owners.look_up(7).start, owners.look_up(7).container_id) == (500, CONTAINER)
    owners.follow(Sample(0.0))
    for name in ("stat", "cgroup"):
        (process / name).unlink()
    # another one, that had that pid and has ended before it was looked at
    assert owners.look_up(7).container_id is None

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet's checkpoint in both of its formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.checkpoint import CheckpointError, parse_checkpoint

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
OTHER = "1c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"


def checkpoint(*entries: Any) -> str:
    registered = {"nvidia.com/gpu": ["GPU-1"], "rdma/hca_shared_devices_a": ["0"]}
    return json.dumps(
        {"Data": {"PodDeviceEntries": list(entries), "RegisteredDevices": registered}, "Checksum": 2890394921}
    )


def entry(devices: Any, *, uid: str = UID, container: str = "nlp", resource: str = "nvidia.com/gpu") -> dict[str, Any]:
    return {
        "PodUID": uid,
        "ContainerName": container,
        "ResourceName": resource,
        "DeviceIDs": devices,
        "AllocResp": "CikKFk5WSURJQQ==",
    }


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        pytest.param(["GPU-2", "GPU-1"], ["GPU-1", "GPU-2"], id="list-before-1.20"),
        pytest.param({"0": ["GPU-2"], "1": ["GPU-1"]}, ["GPU-1", "GPU-2"], id="by-numa-node"),
        pytest.param({"-1": ["GPU-1::3"]}, ["GPU-1::3"], id="no-numa-node-shared"),
        pytest.param({"0": ["GPU-1"], "1": ["GPU-1"]}, ["GPU-1"], id="device-near-two-numa-nodes-counts-once"),
        pytest.param({"0": None}, [], id="go-nil-slice"),
        pytest.param(None, [], id="nothing"),
    ],
)
def test_parse_checkpoint_reads_device_ids_of_either_format(devices: Any, expected: list[str]) -> None:
    (allocation,) = parse_checkpoint(checkpoint(entry(devices)))
    assert allocation == {"pod_uid": UID, "container": "nlp", "resource": "nvidia.com/gpu", "device_ids": expected}


THREE, SEVEN, A, C = (f"GPU-{digit * 8}-1a2b-4c3d-8e5f-60718293a4b5" for digit in "37ac")
SECOND = "1d2e3f4a-5b6c-4d7e-8f90-a1b2c3d4e5f6"
MIG = "MIG-5f0e1d2c-3b4a-5968-8776-95a4b3c2d1e0"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("v1.18-list", [(SECOND, "notebook", "gpu", [SEVEN, A]), (UID, "notebook", "gpu", [THREE])]),
        ("v1.20-numa-nodes", [(SECOND, "app", "gpu", [THREE, C]), (UID, "app", "gpu", [SEVEN, A])]),
        (
            "v1.31-shared-and-mig",
            [(SECOND, "server", "mig-1g.12gb", [MIG]), (UID, "ner", "gpu", [f"{THREE}::2", f"{THREE}::5"])],
        ),
        ("v1.31-indices", [(UID, "ner", "gpu.shared", ["0::3"])]),
        ("v1.34-nothing-allocated", []),
    ],
)
def test_parse_checkpoint_of_real_kubelets(name: str, expected: list[Any]) -> None:
    text = (Path(__file__).parent / "checkpoints" / f"{name}.json").read_text(encoding="utf-8")
    assert [tuple(allocation.values()) for allocation in parse_checkpoint(text)] == [
        (uid, container, f"nvidia.com/{resource}", ids) for uid, container, resource, ids in expected
    ]


def test_parse_checkpoint_keeps_nvidia_resources_in_a_stable_order() -> None:
    text = checkpoint(
        entry(["0"], resource="rdma/hca_shared_devices_a"),
        entry({"0": ["MIG-1"]}, resource="nvidia.com/mig-1g.12gb"),
        entry({"0": ["GPU-1"]}, uid=OTHER),
        entry({"0": ["GPU-2"]}, container="aux"),
    )
    found = [(a["pod_uid"], a["container"], a["resource"]) for a in parse_checkpoint(text)]
    assert found == [
        (OTHER, "nlp", "nvidia.com/gpu"),
        (UID, "aux", "nvidia.com/gpu"),
        (UID, "nlp", "nvidia.com/mig-1g.12gb"),
    ]


def test_parse_checkpoint_without_allocations_is_empty() -> None:
    assert parse_checkpoint('{"Data": {"PodDeviceEntries": null, "RegisteredDevices": {}}, "Checksum": 1}') == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "it is not JSON", id="empty"),
        pytest.param("[]", "it has no mapping Data", id="list"),
        pytest.param('{"data": "v2"}', "it has no mapping Data", id="other-format"),
        pytest.param('{"Data": {"PodDeviceEntries": {}}}', "", id="empty-mapping-is-nothing"),
        pytest.param('{"Data": {"PodDeviceEntries": "x"}}', "Data.PodDeviceEntries is a str, not a list", id="entries"),
        pytest.param(
            '{"Data": {"PodDeviceEntries": [1]}}', "Data.PodDeviceEntries[0] is a int, not a mapping", id="entry"
        ),
        pytest.param(
            checkpoint(entry({"0": "GPU"})), "Data.PodDeviceEntries[0].DeviceIDs holds a str, not a list", id="devices"
        ),
    ],
)
def test_parse_checkpoint_of_unknown_format_says_where_it_differs(text: str, message: str) -> None:
    if not message:
        assert parse_checkpoint(text) == []
        return
    with pytest.raises(CheckpointError) as caught:
        parse_checkpoint(text)
    assert message in str(caught.value)

from __future__ import annotations

import base64
import json

from simulator.controllers.facts import ALL
from simulator.controllers.kubelet.checkpoint import fnv32a, render
from simulator.controllers.kubelet.devices import Allocation, Device, DeviceManager, Endpoint

FIRST, SECOND = Device("GPU-a::0", "GPU-a", 0), Device("GPU-b::0", "GPU-b", 1)


def test_checkpoint_groups_devices_by_numa_node_and_bears_its_checksum() -> None:
    manager = DeviceManager(ALL, lambda: 0.0)
    manager.register(Endpoint("nvidia.com/gpu", "nvidia-gpu.sock", {item.id: item for item in (FIRST, SECOND)}))
    manager.allocations.append(Allocation("uid", "main", "nvidia.com/gpu", (FIRST, SECOND)))
    text = render(manager)
    content = json.loads(text)
    assert content["Checksum"] == fnv32a(json.dumps(content["Data"], separators=(",", ":")).encode())
    (entry,) = content["Data"]["PodDeviceEntries"]
    response = base64.b64decode(entry.pop("AllocResp"))
    assert b"NVIDIA_VISIBLE_DEVICES" in response
    assert b"GPU-a::0,GPU-b::0" in response
    assert entry == {
        "PodUID": "uid",
        "ContainerName": "main",
        "ResourceName": "nvidia.com/gpu",
        "DeviceIDs": {"0": ["GPU-a::0"], "1": ["GPU-b::0"]},
    }
    assert content["Data"]["RegisteredDevices"] == {"nvidia.com/gpu": ["GPU-a::0", "GPU-b::0"]}


def test_checkpoint_without_pods_has_null_entries_as_go_writes_them() -> None:
    content = json.loads(render(DeviceManager(ALL, lambda: 0.0)))
    assert content["Data"] == {"PodDeviceEntries": None, "RegisteredDevices": {}}


def test_fnv_hash_is_the_published_one() -> None:
    assert fnv32a(b"foobar") == 0xBF9CF968

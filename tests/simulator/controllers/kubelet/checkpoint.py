"""The kubelet's device checkpoint (``kubelet_internal_checkpoint``), in the format of the real file."""

from __future__ import annotations

import base64
import json
from typing import Any

from simulator.controllers.kubelet.devices import Allocation, DeviceManager

FNV_OFFSET, FNV_PRIME = 2166136261, 16777619


def render(manager: DeviceManager) -> str:
    """JSON with Data and its checksum, as one line."""
    entries = [_entry(item) for item in manager.allocations] or None
    registered = {resource: sorted(_healthy_ids(manager, resource)) for resource in sorted(manager.endpoints)}
    data: dict[str, Any] = {"PodDeviceEntries": entries, "RegisteredDevices": registered}
    text = json.dumps(data, separators=(",", ":"))
    return json.dumps({"Data": data, "Checksum": fnv32a(text.encode())}, separators=(",", ":"))


def _healthy_ids(manager: DeviceManager, resource: str) -> list[str]:
    endpoint = manager.endpoints[resource]
    return [device.id for device in endpoint.devices.values() if device.healthy] if endpoint.serving else []


def _entry(allocation: Allocation) -> dict[str, Any]:
    by_numa: dict[str, list[str]] = {}
    for device in allocation.devices:
        by_numa.setdefault(str(device.numa), []).append(device.id)
    ids = ",".join(device.id for device in allocation.devices)
    return {
        "PodUID": allocation.pod_uid,
        "ContainerName": allocation.container,
        "ResourceName": allocation.resource,
        "DeviceIDs": by_numa,
        "AllocResp": base64.b64encode(allocate_response(ids)).decode(),
    }


def allocate_response(visible: str) -> bytes:
    """A ContainerAllocateResponse message whose envs hold NVIDIA_VISIBLE_DEVICES."""
    entry = _field(1, b"NVIDIA_VISIBLE_DEVICES") + _field(2, visible.encode())
    return _field(1, entry)


def _field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def fnv32a(data: bytes) -> int:
    digest = FNV_OFFSET
    for byte in data:
        digest = ((digest ^ byte) * FNV_PRIME) & 0xFFFFFFFF
    return digest

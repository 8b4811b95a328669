from __future__ import annotations

from typing import Any

import pytest

from simulator.controllers.facts import ALL
from simulator.controllers.kubelet.devices import AllocationError, Device, DeviceManager, Endpoint

GPU = "nvidia.com/gpu"


class Node:
    """A device manager with a hand on its clock, and two cards."""

    def __init__(self, replicas: int = 0) -> None:
        self.time = 0.0
        self.manager = DeviceManager(ALL, lambda: self.time)
        self.serve(replicas)

    def serve(self, replicas: int) -> None:
        cards = ("GPU-a", "GPU-b")
        devices = [
            Device(card if not replicas else f"{card}::{share}", card)
            for share in range(max(1, replicas))
            for card in cards
        ]
        self.manager.register(Endpoint(GPU, "nvidia-gpu.sock", {item.id: item for item in devices}))

    def allocate(self, uid: str, number: int = 1, *active: str) -> list[str]:
        self.manager.allocate(pod(uid, number), active)
        return [device.id for item in self.manager.held_by(uid) for device in item.devices]


def pod(uid: str, number: int = 1) -> dict[str, Any]:
    return {
        "metadata": {"uid": uid},
        "spec": {"containers": [{"name": "main", "resources": {"limits": {GPU: number}}}]},
    }


def test_devices_are_spread_over_the_cards() -> None:
    node = Node(replicas=2)
    first, second = node.allocate("one"), node.allocate("two", 1, "one")
    assert {first[0].split("::")[0], second[0].split("::")[0]} == {"GPU-a", "GPU-b"}


def test_more_than_there_is_is_refused_and_keeps_nothing() -> None:
    node = Node()
    with pytest.raises(
        AllocationError, match="requested number of devices unavailable for nvidia.com/gpu. Requested: 3, Available: 2"
    ):
        node.allocate("one", 3)
    assert node.manager.held_by("one") == []


def test_stopped_plugin_counts_for_five_minutes_and_is_zero_afterwards() -> None:
    node = Node(replicas=3)
    assert node.manager.capacity() == {GPU: (6, 6)}
    node.manager.socket_gone("nvidia-gpu.sock")
    assert node.manager.capacity() == {GPU: (6, 0)}
    node.time = 299
    assert node.manager.capacity() == {GPU: (6, 0)}
    node.time = 300
    assert node.manager.capacity() == {GPU: (0, 0)}


def test_another_socket_is_nobodys_end() -> None:
    node = Node()
    assert node.manager.socket_gone("nvidia-gpu.shared.sock") == []
    assert node.manager.capacity() == {GPU: (2, 2)}


def test_unhealthy_devices_stay_in_capacity_and_are_not_handed_out() -> None:
    node = Node()
    devices = {"GPU-a": Device("GPU-a", "GPU-a", healthy=False), "GPU-b": Device("GPU-b", "GPU-b")}
    node.manager.register(Endpoint(GPU, "nvidia-gpu.sock", devices))
    assert node.manager.capacity() == {GPU: (2, 1)}
    assert node.allocate("one") == ["GPU-b"]


def test_resource_that_nobody_registered_is_not_the_device_managers_business() -> None:
    manager = DeviceManager(ALL, lambda: 0.0)
    manager.allocate(pod("one"), ())
    assert manager.held_by("one") == []

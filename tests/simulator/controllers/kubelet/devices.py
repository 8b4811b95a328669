"""The kubelet's device manager: endpoints, what they advertise, and which container holds which device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from simulator.controllers.facts import Facts
from simulator.controllers.quantities import container_requests

Object = dict[str, Any]
#: How long the kubelet waits for a plugin to come back before it forgets its devices, in simulated seconds.
GRACE_SECONDS = 300.0
SEPARATOR = "::"


class AllocationError(Exception):
    """Devices cannot be given to a pod. The text is what the kubelet puts after "Allocate failed due to"."""


@dataclass(frozen=True)
class Device:
    """One advertised device. ``card`` is the physical card that it is on, ``unit`` the card or MIG device that it is (a share of)."""

    id: str
    card: str
    numa: int = -1
    healthy: bool = True
    unit: str = ""

    @property
    def shared(self) -> str:
        """The UUID of what it is a share of."""
        return self.unit or self.card


@dataclass
class Endpoint:
    """A plugin's registration of one resource. ``socket`` is the file through which the kubelet talks to it."""

    resource: str
    socket: str
    devices: dict[str, Device]
    #: Checks a request as the plugin's Allocate does; raises AllocationError.
    allocate: Callable[[list[str]], None] = lambda ids: None
    stopped_at: float | None = None

    @property
    def serving(self) -> bool:
        return self.stopped_at is None


@dataclass(frozen=True)
class Allocation:
    pod_uid: str
    container: str
    resource: str
    devices: tuple[Device, ...]


@dataclass
class DeviceManager:
    """State of one node. ``now`` gives simulated seconds."""

    facts: Facts
    now: Callable[[], float]
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    allocations: list[Allocation] = field(default_factory=list)
    #: Resources that were known once: they stay in the node's status as 0.
    remembered: set[str] = field(default_factory=set)

    def register(self, endpoint: Endpoint) -> None:
        self.endpoints[endpoint.resource] = endpoint
        self.remembered.add(endpoint.resource)

    def socket_gone(self, socket: str) -> list[str]:
        """The socket file was removed or its listener died: its resources are without a plugin from now on."""
        affected = [item for item in self.endpoints.values() if item.socket == socket and item.serving]
        for endpoint in affected:
            endpoint.stopped_at = self.now()
        return [item.resource for item in affected]

    def restart(self) -> None:
        """The kubelet starts: plugins have to register again; allocations come back from the checkpoint."""
        for resource in self.remembered:
            self.endpoints[resource] = Endpoint(resource, "", {}, stopped_at=self.now())

    def capacity(self) -> dict[str, tuple[int, int]]:
        """(capacity, allocatable) by resource, for the node status."""
        result = dict.fromkeys(sorted(self.remembered), (0, 0))
        for resource, endpoint in list(self.endpoints.items()):
            if endpoint.serving:
                healthy = sum(device.healthy for device in endpoint.devices.values())
                result[resource] = (len(endpoint.devices), healthy)
            elif self._expired(endpoint):
                del self.endpoints[resource]
            else:
                result[resource] = (len(endpoint.devices), 0)
        return result

    def _expired(self, endpoint: Endpoint) -> bool:
        assert endpoint.stopped_at is not None
        if not self.facts.capacity_outlives_plugin:
            return True
        return self.now() >= endpoint.stopped_at + GRACE_SECONDS

    def allocate(self, pod: Object, active: Iterable[str]) -> None:
        """Give the pod's containers their devices, or raise AllocationError. Cleans up after pods that are gone."""
        uid = pod["metadata"]["uid"]
        wanted = _device_requests(pod)
        if not any(item[1] in self.endpoints for item in wanted):
            return
        self._forget_gone({uid, *active})
        taken: list[Allocation] = []
        try:
            for container, resource, number in wanted:
                if resource in self.endpoints:
                    taken += self._allocate(uid, container, resource, number)
        except AllocationError:
            self.allocations = [item for item in self.allocations if item not in taken]
            raise

    def forget(self, uid: str) -> None:
        """The pod is gone. The devices are free at once; the checkpoint's entry goes with the next allocation."""
        if not self.facts.checkpoint_cleaned_lazily:
            self._forget_gone({item.pod_uid for item in self.allocations} - {uid})

    def held_by(self, uid: str) -> list[Allocation]:
        return [item for item in self.allocations if item.pod_uid == uid]

    def _forget_gone(self, active: set[str]) -> None:
        self.allocations = [item for item in self.allocations if item.pod_uid in active]

    def _allocate(self, uid: str, container: str, resource: str, number: int) -> list[Allocation]:
        endpoint = self.endpoints[resource]
        held = next(
            (item for item in self.held_by(uid) if (item.container, item.resource) == (container, resource)), None
        )
        self._check_health(endpoint, held)
        if held is not None:
            return []
        chosen = self._choose(endpoint, number)
        endpoint.allocate([device.id for device in chosen])
        allocation = Allocation(uid, container, resource, tuple(chosen))
        self.allocations.append(allocation)
        return [allocation]

    def _check_health(self, endpoint: Endpoint, held: Allocation | None) -> None:
        resource = endpoint.resource
        healthy = {device.id for device in endpoint.devices.values() if device.healthy} if endpoint.serving else set()
        if not healthy and self.facts.admission_needs_healthy_devices:
            raise AllocationError(f"no healthy devices present; cannot allocate unhealthy devices {resource}")
        old = {device.id for device in held.devices} if held else set()
        if not old <= healthy and self.facts.reboot_checks_old_ids:
            raise AllocationError(
                f"previously allocated devices are no longer healthy; cannot allocate unhealthy devices {resource}"
            )

    def _choose(self, endpoint: Endpoint, number: int) -> list[Device]:
        """Free devices, spread over cards and MIG devices by what *their ids* say is in use.

        An id from before a change of the sharing mode is nobody's here: the card that it stands for looks idle.
        """
        resource = endpoint.resource
        used = {device.id for item in self.allocations if item.resource == resource for device in item.devices}
        free = [device for device in endpoint.devices.values() if device.healthy and device.id not in used]
        if len(free) < number:
            text = (
                f"requested number of devices unavailable for {resource}. Requested: {number}, Available: {len(free)}"
            )
            raise AllocationError(text)
        load: dict[str, int] = {}
        for device in endpoint.devices.values():
            load[device.shared] = load.get(device.shared, 0) + (device.id in used)
        chosen: list[Device] = []
        for _unused in range(number):
            device = min((item for item in free if item not in chosen), key=lambda item: load[item.shared])
            load[device.shared] += 1
            chosen.append(device)
        return chosen


def _device_requests(pod: Object) -> list[tuple[str, str, int]]:
    """(container, resource, number) of all extended resources that the pod's containers ask for."""
    spec = pod["spec"]
    return [
        (container["name"], resource, number)
        for container in [*spec.get("initContainers", []), *spec["containers"]]
        for resource, number in sorted(container_requests(container).items())
        if "/" in resource and number
    ]

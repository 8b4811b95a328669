# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The device plugin's config file, version v1: what this collection writes into it. PRIVATE to the collection."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Mapping

# Only where plans are made is it used, and there Ansible itself needs it.
with suppress(ImportError):
    import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    GPU_RESOURCE,
    SHARED_SUFFIX,
    is_plugin_resource,
)


@dataclass(frozen=True)
class TimeSlicing:
    """The file's ``sharing.timeSlicing``.

    :param replicas: by resource name; at least 2 each, since "not shared" is the block left out.
    :param rename: the resource is called nvidia.com/gpu.shared, so that no pod gets a slice without asking for one.
    :param fail_requests_greater_than_one: two slices are no bigger share, so a pod that asks for two is refused.
    """

    replicas: Mapping[str, int]
    rename: bool = False
    fail_requests_greater_than_one: bool = True

    def __post_init__(self) -> None:
        for resource, number in self.replicas.items():
            if not is_plugin_resource(resource) or resource.endswith(SHARED_SUFFIX):
                raise ValueError(f"{resource!r} is no resource that the device plugin can divide")
            if number < 2:
                raise ValueError(f"{resource}: the device plugin refuses fewer than 2 replicas, got {number}")
        if not self.replicas:
            raise ValueError("sharing.timeSlicing without a resource shares nothing; leave the block out")

    def to_document(self) -> dict[str, Any]:
        """The block, in the order in which people read it."""
        return {
            "renameByDefault": self.rename,
            "failRequestsGreaterThanOne": self.fail_requests_greater_than_one,
            "resources": [{"name": name, "replicas": self.replicas[name]} for name in sorted(self.replicas)],
        }


# The defaults of the plugin itself hide a broken node (failOnInitError false) or, with passDeviceSpecs false, leave
# containers without their devices when systemd reloads and rewrites their device cgroups.
_FLAGS = {"migStrategy": "none", "failOnInitError": True}
_PLUGIN_FLAGS = {"passDeviceSpecs": True}


@dataclass(frozen=True)
class ConfigFile:
    """The whole file.

    :param flags: in the shape of the file's ``flags``, checked beforehand; they are laid over the collection's own.
    :param mig_strategy: none, single or mixed.
    """

    flags: Mapping[str, Any] = field(default_factory=dict)
    time_slicing: TimeSlicing | None = None
    mig_strategy: str = "none"

    @property
    def serves_mig(self) -> bool:
        """MIG devices are advertised."""
        return self.mig_strategy != "none"

    def to_document(self) -> dict[str, Any]:
        """The file as data."""
        own: dict[str, Any] = {**_FLAGS, **{word: value for word, value in self.flags.items() if word != "plugin"}}
        if self.serves_mig:
            own["migStrategy"] = self.mig_strategy
        own["plugin"] = {**_PLUGIN_FLAGS, **self.flags.get("plugin", {})}
        document: dict[str, Any] = {"version": "v1", "flags": own}
        if self.time_slicing:
            document["sharing"] = {"timeSlicing": self.time_slicing.to_document()}
        return document

    def render(self) -> str:
        """The file as YAML text."""
        return yaml.safe_dump(self.to_document(), sort_keys=False, default_flow_style=False)

    def resources_of(self, gpus: int) -> dict[str, int]:
        """What a node with so many whole GPUs advertises under this file."""
        return self.advertise({GPU_RESOURCE: gpus})

    def advertise(self, devices: Mapping[str, int]) -> dict[str, int]:
        """What a node advertises under this file.

        :param devices: how many it has, by the resource that they are when nothing is shared.
        """
        advertised = {}
        for resource in sorted(devices):
            replicas = self.time_slicing.replicas.get(resource, 1) if self.time_slicing else 1
            renamed = SHARED_SUFFIX if self.time_slicing and self.time_slicing.rename and replicas > 1 else ""
            advertised[resource + renamed] = devices[resource] * replicas
        return advertised

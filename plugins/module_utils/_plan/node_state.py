# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node as the cluster file shows it, read for planning. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.label_facts import tells_of_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    CONFIG_LABEL,
    REVISION_LABEL,
    is_plugin_resource,
)

#: How the reason begins for which a plan leaves a node alone that a person holds.
ON_HOLD = "on hold: "
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class NodeState:
    """One node.

    :param entry: as in the cluster file.
    """

    name: str
    entry: Mapping[str, Any]

    @cached_property
    def labels(self) -> Mapping[str, str]:
        """Its labels."""
        return self.entry.get("labels") or {}

    @property
    def key(self) -> str | None:
        """The config that it bears."""
        return self.entry.get("key") or None

    @property
    def revision(self) -> str | None:
        """The config's revision that it bears."""
        return self.entry.get("revision") or None

    @property
    def maintenance(self) -> Mapping[str, Any] | None:
        """Note of a run that has not put it back into service."""
        return self.entry.get("maintenance") or None

    @property
    def hold(self) -> str | None:
        """Why a person wants it left alone; None if nobody does."""
        return self.entry.get("hold")

    @property
    def was_unschedulable(self) -> bool:
        """Whether somebody else cordoned it: a run that was interrupted noted how it found the node."""
        if self.maintenance:
            return bool(self.maintenance.get("was_unschedulable"))
        return bool(self.entry.get("unschedulable"))

    @property
    def out_of_service(self) -> bool:
        """Whether no pod can be scheduled on it now."""
        return bool(self.entry.get("unschedulable")) or not self.entry.get("ready", True)

    @cached_property
    def resources(self) -> dict[str, int]:
        """What the GPU device plugin advertises, without zeros: 0 equals absent."""
        entries = self.entry.get("resources") or {}
        found = {
            name: int(entry.get("allocatable") or 0) for name, entry in entries.items() if is_plugin_resource(name)
        }
        return {name: found[name] for name in sorted(found) if found[name]}

    @property
    def noted_resources(self) -> Mapping[str, int]:
        """What it advertised when a run that has not put it back into service took it; empty if that is not noted."""
        noted = ((self.maintenance or {}).get("restore") or {}).get("resources") or {}
        return {name: int(number or 0) for name, number in noted.items() if is_plugin_resource(name) and number}

    def capacity(self) -> int:
        """Slots that the kubelet still remembers when no plugin serves the node."""
        entries = self.entry.get("resources") or {}
        return sum(int(entry.get("capacity") or 0) for name, entry in entries.items() if is_plugin_resource(name))

    def requested(self, resource: str) -> int:
        """How much of a resource its pods have asked for."""
        return int(((self.entry.get("resources") or {}).get(resource) or {}).get("requested") or 0)

    @cached_property
    def gpu_pods(self) -> Sequence[Mapping[str, Any]]:
        """Pods that hold GPUs: with a request, and not ended."""
        return [
            pod
            for pod in self.entry.get("pods") or ()
            if pod.get("phase") not in _ENDED and any(map(is_plugin_resource, pod.get("requests") or ()))
        ]

    def has_gpu(self) -> bool:
        """Whether anything in the cluster says that the node has an NVIDIA GPU."""
        # Five minutes without a plugin, and the resource is gone: a node that a run left in between has only its note.
        noted = bool(self.maintenance) or CONFIG_LABEL in self.labels or REVISION_LABEL in self.labels
        return noted or tells_of_gpu(self.labels) or any(map(is_plugin_resource, self.entry.get("resources") or {}))


def pod_name(pod: Mapping[str, Any]) -> str:
    """namespace/name of a pod."""
    return f"{pod.get('namespace')}/{pod.get('name')}"


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    listed = ", ".join(names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed

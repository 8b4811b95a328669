# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node as a rollout sees it, and a change to it. PRIVATE to the collection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.names import TAINT_KEY
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.maintenance import Maintenance, parse_maintenance

_QUANTITY = re.compile(r"(\d+)([kMG]?)")
#: Annotations that a diff shows in another way, or not at all: no two runs have a time in common.
_NOT_SHOWN = {names.MAINTENANCE_ANNOTATION, names.DEVICES_SINCE_ANNOTATION}
_SCALE = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class NodeState:
    """What was observed of a node.

    :param allocatable: resources of the device plugin by name. One that is absent counts as 0.
    :param not_ready: why the node is not Ready; "" if it is.
    """

    name: str
    uid: str = ""
    resource_version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    unschedulable: bool = False
    not_ready: str = ""
    allocatable: Mapping[str, int] = field(default_factory=dict)
    taints: Sequence[Mapping[str, Any]] = ()

    @property
    def maintenance(self) -> Maintenance | None:
        """The note of the run that has the node, if one has."""
        return parse_maintenance(self.annotations.get(names.MAINTENANCE_ANNOTATION))

    @property
    def hold(self) -> str | None:
        """A person's reason to keep runs away from the node."""
        return self.annotations.get(names.HOLD_ANNOTATION)

    @property
    def key(self) -> str | None:
        """The configuration key that the node bears."""
        return self.labels.get(names.CONFIG_LABEL)

    @property
    def revision(self) -> str | None:
        """The revision that is recorded on the node."""
        return self.labels.get(names.REVISION_LABEL)

    def patched(self, patch: NodePatch) -> NodeState:
        """The node as the patch makes it."""
        return replace(
            self,
            labels=_merge(self.labels, patch.labels),
            annotations=_merge(self.annotations, patch.annotations),
            unschedulable=self.unschedulable if patch.unschedulable is None else patch.unschedulable,
            taints=self.taints if patch.taints is None else patch.taints,
        )


@dataclass(frozen=True)
class NodePatch:
    """A change to a node, one request.

    :param labels: None as a value removes the label. So with ``annotations``.
    :param unschedulable: None leaves it.
    :param taints: all that the node is to have, as a merge patch replaces lists; None leaves them.
    :param taints_shown: a diff tells of our taint.
    """

    labels: Mapping[str, str | None] = field(default_factory=dict)
    annotations: Mapping[str, str | None] = field(default_factory=dict)
    unschedulable: bool | None = None
    taints: Sequence[Mapping[str, Any]] | None = None
    taints_shown: bool = True

    def body(self, resource_version: str) -> dict[str, Any]:
        """The merge patch. The resourceVersion makes the API refuse it (409) if the node is no longer what was looked at."""
        metadata: dict[str, Any] = {"resourceVersion": resource_version}
        if self.labels:
            metadata["labels"] = dict(self.labels)
        if self.annotations:
            metadata["annotations"] = dict(self.annotations)
        spec: dict[str, Any] = {}
        if self.unschedulable is not None:
            spec["unschedulable"] = self.unschedulable or None
        if self.taints is not None:
            spec["taints"] = [dict(taint) for taint in self.taints] or None
        return {"metadata": metadata, "spec": spec} if spec else {"metadata": metadata}

    def diff(self, node: NodeState) -> tuple[dict[str, Any], dict[str, Any]]:
        """What it touches, before and after."""
        return self._touched(node), self._touched(node.patched(self))

    def _touched(self, node: NodeState) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        if self.unschedulable is not None:
            shown["unschedulable"] = node.unschedulable
        if self.taints is not None and self.taints_shown:
            # Of the others one comes and goes with the cordon, by a controller's hand.
            shown["taints"] = [_taint_text(taint) for taint in node.taints if taint.get("key") == TAINT_KEY]
        if self.labels:
            shown["labels"] = {label: node.labels.get(label) for label in sorted(self.labels)}
        if names.MAINTENANCE_ANNOTATION in self.annotations:
            note = node.maintenance
            shown["maintenance"] = note.to_diff() if note else None
        others = sorted({*self.annotations} - _NOT_SHOWN)
        if others:
            shown["annotations"] = {name: node.annotations.get(name) for name in others}
        return shown


def observe_node(obj: Mapping[str, Any]) -> NodeState:
    """What a rollout needs of a Node object."""
    metadata = obj.get("metadata") or {}
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    return NodeState(
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        unschedulable=spec.get("unschedulable") is True,
        not_ready=_not_ready(status.get("conditions") or []),
        allocatable=_gpu_resources(status.get("allocatable") or {}),
        taints=tuple(spec.get("taints") or ()),
    )


def parse_quantity(text: object) -> int:
    """A whole number as Kubernetes writes it: "8", and "1k" for 1000."""
    match = _QUANTITY.fullmatch(str(text))
    if not match:
        return 0
    return int(match.group(1)) * _SCALE[match.group(2)]


def _taint_text(taint: Mapping[str, Any]) -> str:
    """As kubectl writes it."""
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint.get('key')}{value}:{taint.get('effect')}"


def _gpu_resources(quantities: Mapping[str, Any]) -> dict[str, int]:
    return {name: parse_quantity(quantity) for name, quantity in quantities.items() if names.is_plugin_resource(name)}


def _not_ready(conditions: list[Mapping[str, Any]]) -> str:
    for condition in conditions:
        if condition.get("type") == "Ready":
            if condition.get("status") == "True":
                return ""
            return f"{condition.get('reason') or 'NotReady'}: {condition.get('message') or 'no message'}"
    return "the node has not reported its state yet"


def _merge(values: Mapping[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    merged: dict[str, str | None] = {**values, **changes}
    return {name: value for name, value in merged.items() if value is not None}

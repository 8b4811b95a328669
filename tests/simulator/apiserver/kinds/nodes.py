"""Nodes: the taint of a new node and the fields that are always there."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import Cause, duplicate, unsupported
from simulator.apiserver.kinds.base import Rules, quoted
from simulator.apiserver.kinds.resourcelists import node_causes

Object = dict[str, Any]

NOT_READY_TAINT = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
NODE_INFO = (
    "machineID",
    "systemUUID",
    "bootID",
    "kernelVersion",
    "osImage",
    "containerRuntimeVersion",
    "kubeletVersion",
    "kubeProxyVersion",
    "operatingSystem",
    "architecture",
)


class NodeRules(Rules):
    status_on_create = True
    metadata_repeats = 4

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        if not spec.get("unschedulable"):
            spec.pop("unschedulable", None)
        if not spec.get("taints"):
            spec.pop("taints", None)
        status = obj.setdefault("status", {})
        status.setdefault("daemonEndpoints", {}).setdefault("kubeletEndpoint", {}).setdefault("Port", 0)
        info = status.setdefault("nodeInfo", {})
        for name in NODE_INFO:
            info.setdefault(name, "")
        if "capacity" in status and "allocatable" not in status:
            status["allocatable"] = dict(status["capacity"])

    def prepare_create(self, obj: Object) -> None:
        """The TaintNodesByCondition admission plugin: a node is not ready until a controller says so."""
        taints = obj["spec"].setdefault("taints", [])
        if not any(taint["key"] == NOT_READY_TAINT["key"] and taint["effect"] == "NoSchedule" for taint in taints):
            taints.append(dict(NOT_READY_TAINT))

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        taints = _taint_causes(obj["spec"].get("taints") or [])
        return [*(taints if old is None else taints * 2), *node_causes(obj["status"])]


def _taint_causes(taints: list[Object]) -> list[Cause]:
    causes = []
    seen = set()
    for number, taint in enumerate(taints):
        field = f"metadata.taints[{number}]"
        if taint.get("effect") not in EFFECTS:
            causes.append(unsupported(f"{field}.effect", quoted(taint.get("effect", "")), EFFECTS))
        if (taint["key"], taint.get("effect")) in seen:
            shown = {
                "Key": taint["key"],
                "Value": taint.get("value", ""),
                "Effect": taint.get("effect"),
                "TimeAdded": None,
            }
            causes.append(duplicate(field, quoted(shown), "taints must be unique by key and effect pair"))
        seen.add((taint["key"], taint.get("effect")))
    return causes

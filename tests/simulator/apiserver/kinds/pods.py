"""Pods: defaults, admission, validation of resources, and what may change later."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import Cause, required
from simulator.apiserver.kinds.base import Rules
from simulator.apiserver.kinds.podspec import default_pod_spec, default_requests

Object = dict[str, Any]

DEFAULT_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
TOLERATION_SECONDS = 300


class PodRules(Rules):
    has_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_pod_spec(spec)
        default_requests(spec)
        spec.setdefault("enableServiceLinks", True)

    def prepare_create(self, obj: Object) -> None:
        _tolerate_lost_nodes(obj["spec"])
        obj["spec"].setdefault("priority", 0)
        obj["spec"].setdefault("preemptionPolicy", "PreemptLowerPriority")
        obj["status"] = {"phase": "Pending", "qosClass": quality_of_service(obj["spec"])}

    def prepare_update(self, new: Object, old: Object) -> None:
        new.setdefault("status", {}).setdefault("qosClass", old.get("status", {}).get("qosClass", "BestEffort"))

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        if not obj["spec"].get("containers"):
            return [required("spec.containers")]
        return []


def _tolerate_lost_nodes(spec: Object) -> None:
    """What the DefaultTolerationSeconds admission plugin adds."""
    present = spec.get("tolerations") or []
    missing = []
    for key in DEFAULT_TOLERATIONS:
        tolerated = any(
            item.get("key") in (key, None, "") and item.get("effect") in ("NoExecute", None, "") for item in present
        )
        if not tolerated:
            missing.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": TOLERATION_SECONDS}
            )
    if present or missing:
        spec["tolerations"] = [*present, *missing]


def quality_of_service(spec: Object) -> str:
    """Only cpu and memory count; extended resources leave a pod BestEffort."""
    requests: list[Object] = []
    limits: list[Object] = []
    for container in [*(spec.get("initContainers") or []), *spec.get("containers", [])]:
        resources = container.get("resources", {})
        requests.append({name: value for name, value in (resources.get("requests") or {}).items() if name in ("cpu", "memory")})
        limits.append({name: value for name, value in (resources.get("limits") or {}).items() if name in ("cpu", "memory")})
    if not any(requests) and not any(limits):
        return "BestEffort"
    guaranteed = all(len(limit) == 2 and limit == request for limit, request in zip(limits, requests))
    return "Guaranteed" if guaranteed else "Burstable"

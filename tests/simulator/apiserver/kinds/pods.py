"""Pods: defaults, admission, validation of resources, and what may change later."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import Cause, Subject, forbidden, forbidden_field, required
from simulator.apiserver.kinds.base import Lookup, VersionedRules
from simulator.apiserver.kinds.podspec import default_pod_spec, default_requests
from simulator.apiserver.kinds.resourcelists import container_causes

Object = dict[str, Any]

DEFAULT_TOLERATIONS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
TOLERATION_SECONDS = 300
PODS = Subject("", "pods", "Pod")
IMMUTABLE_SPEC = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


class PodRules(VersionedRules):
    delete_answers_object = True

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

    def admit(self, obj: Object, lookup: Lookup) -> None:
        """The RuntimeClass and Priority admission plugins."""
        spec, name = obj["spec"], obj["metadata"].get("name", "")
        runtime_class = spec.get("runtimeClassName")
        if runtime_class and lookup("node.k8s.io/runtimeclasses", "", runtime_class) is None:
            raise forbidden(PODS, name, f'pod rejected: RuntimeClass "{runtime_class}" not found')
        if spec.get("priorityClassName"):
            priority = lookup("scheduling.k8s.io/priorityclasses", "", spec["priorityClassName"])
            if priority is None:
                raise forbidden(PODS, name, f"no PriorityClass with name {spec['priorityClassName']} was found")
            spec["priority"] = priority["value"]
            spec["preemptionPolicy"] = priority.get("preemptionPolicy", "PreemptLowerPriority")

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        if not obj["spec"].get("containers"):
            return [required("spec.containers")]
        causes = container_causes(obj["spec"], "spec")
        if old is not None and _fixed_part(obj["spec"], old["spec"]) != _fixed_part(old["spec"], old["spec"]):
            causes.append(forbidden_field("spec", IMMUTABLE_SPEC))
        return causes


def _fixed_part(spec: Object, old: Object) -> Object:
    """The specification without what an update may change."""
    fixed = {key: value for key, value in spec.items() if key not in ("activeDeadlineSeconds", "tolerations")}
    for group in ("containers", "initContainers"):
        fixed[group] = [{**container, "image": ""} for container in spec.get(group) or []]
    lost = [item for item in old.get("tolerations") or [] if item not in (spec.get("tolerations") or [])]
    return {**fixed, "lost tolerations": lost}


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
        requests.append(
            {name: value for name, value in (resources.get("requests") or {}).items() if name in ("cpu", "memory")}
        )
        limits.append(
            {name: value for name, value in (resources.get("limits") or {}).items() if name in ("cpu", "memory")}
        )
    if not any(requests) and not any(limits):
        return "BestEffort"
    guaranteed = all(len(limit) == 2 and limit == request for limit, request in zip(limits, requests))
    return "Guaranteed" if guaranteed else "Burstable"

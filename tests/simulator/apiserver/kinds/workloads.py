"""DaemonSets, Deployments, ReplicaSets, StatefulSets and Jobs."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import Cause
from simulator.apiserver.kinds.base import Rules
from simulator.apiserver.kinds.podspec import default_pod_spec

Object = dict[str, Any]

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class WorkloadRules(Rules):
    """What all kinds with a pod template share."""

    has_generation = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))


class DaemonSetRules(WorkloadRules):
    def default(self, obj: Object) -> None:
        super().default(obj)
        spec = obj["spec"]
        strategy = spec.setdefault("updateStrategy", {})
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", 1)
            rolling.setdefault("maxSurge", 0)
        spec.setdefault("revisionHistoryLimit", 10)

    def prepare_create(self, obj: Object) -> None:
        obj["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = "1"
        obj["status"] = {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        }

    def prepare_update(self, new: Object, old: Object) -> None:
        """The template's own generation is the server's, whatever the client sent."""
        number = int(old["metadata"].get("annotations", {}).get(TEMPLATE_GENERATION, "1"))
        if new["spec"]["template"] != old["spec"]["template"]:
            number += 1
        new["metadata"].setdefault("annotations", {})[TEMPLATE_GENERATION] = str(number)

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        return []


class DeploymentRules(WorkloadRules):
    def default(self, obj: Object) -> None:
        super().default(obj)
        spec = obj["spec"]
        spec.setdefault("replicas", 1)
        strategy = spec.setdefault("strategy", {})
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            rolling = strategy.setdefault("rollingUpdate", {})
            rolling.setdefault("maxUnavailable", "25%")
            rolling.setdefault("maxSurge", "25%")
        spec.setdefault("revisionHistoryLimit", 10)
        spec.setdefault("progressDeadlineSeconds", 600)

    def prepare_create(self, obj: Object) -> None:
        obj["status"] = {}


class ReplicaSetRules(WorkloadRules):
    def default(self, obj: Object) -> None:
        super().default(obj)
        obj["spec"].setdefault("replicas", 1)

    def prepare_create(self, obj: Object) -> None:
        obj["status"] = {"replicas": 0}


class StatefulSetRules(WorkloadRules):
    def default(self, obj: Object) -> None:
        super().default(obj)
        spec = obj["spec"]
        spec.setdefault("replicas", 1)
        spec.setdefault("podManagementPolicy", "OrderedReady")
        strategy = spec.setdefault("updateStrategy", {})
        strategy.setdefault("type", "RollingUpdate")
        if strategy["type"] == "RollingUpdate":
            strategy.setdefault("rollingUpdate", {}).setdefault("partition", 0)
        spec.setdefault("revisionHistoryLimit", 10)

    def prepare_create(self, obj: Object) -> None:
        obj["status"] = {"replicas": 0, "availableReplicas": 0}

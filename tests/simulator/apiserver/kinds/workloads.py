"""DaemonSets, Deployments, ReplicaSets, StatefulSets and Jobs."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import Cause, invalid_value, required, unsupported
from simulator.apiserver.kinds.base import VersionedRules, quoted
from simulator.apiserver.kinds.podspec import default_pod_spec
from simulator.apiserver.kinds.resourcelists import container_causes
from simulator.apiserver.selectors import label_selector_matches

Object = dict[str, Any]

ZERO = (0, "0", "0%")
TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


class WorkloadRules(VersionedRules):
    """What all kinds with a pod template and a selector share."""

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        default_pod_spec(spec.setdefault("template", {}).setdefault("spec", {}))

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        spec = obj["spec"]
        if old is not None and spec.get("selector") != old["spec"].get("selector"):
            return [invalid_value("spec.selector", quoted(spec.get("selector")), "field is immutable")]
        template = spec["template"]
        labels = template.get("metadata", {}).get("labels") or {}
        causes = []
        if not spec.get("selector") or not label_selector_matches(spec["selector"], labels):
            causes.append(
                invalid_value(
                    "spec.template.metadata.labels", quoted(labels), "`selector` does not match template `labels`"
                )
            )
        if not template["spec"].get("containers"):
            causes.append(required("spec.template.spec.containers"))
        if template["spec"]["restartPolicy"] != "Always":
            policy = quoted(template["spec"]["restartPolicy"])
            causes.append(unsupported("spec.template.spec.restartPolicy", policy, ["Always"]))
        return [*causes, *container_causes(template["spec"], "spec.template.spec")]


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
        causes = super().validate(obj, old)
        rolling = obj["spec"]["updateStrategy"].get("rollingUpdate") or {}
        if rolling.get("maxUnavailable", 1) in ZERO and rolling.get("maxSurge", 0) in ZERO:
            field = "spec.updateStrategy.rollingUpdate.maxUnavailable"
            causes.append(required(field, "cannot be 0 when maxSurge is 0"))
        return causes


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

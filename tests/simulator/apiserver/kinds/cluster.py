"""Namespaces, leases, events, disruption budgets, runtime and priority classes, access rules, definitions of resources."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import Cause, invalid_value, required
from simulator.apiserver.kinds.base import DNS_LABEL, DNS_LABEL_TEXT, Rules, VersionedRules, quoted

Object = dict[str, Any]


class NamespaceRules(Rules):
    name_is_label = True
    delete_answers_object = True

    def prepare_create(self, obj: Object) -> None:
        obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
        obj["status"] = {"phase": "Active"}

    def default(self, obj: Object) -> None:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]

    def prepare_update(self, new: Object, old: Object) -> None:
        new["spec"] = old["spec"]


class PriorityClassRules(VersionedRules):
    def default(self, obj: Object) -> None:
        obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


class LeaseRules(Rules):
    update_needs_version = True

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        spec = obj.get("spec") or {}
        causes = []
        duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
        if duration is not None and duration <= 0:
            causes.append(invalid_value("spec.leaseDurationSeconds", str(duration), "must be greater than 0"))
        if transitions is not None and transitions < 0:
            causes.append(
                invalid_value("spec.leaseTransitions", str(transitions), "must be greater than or equal to 0")
            )
        return causes


class EventRules(Rules):
    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        namespace = (obj.get("involvedObject") or {}).get("namespace", "")
        own = obj["metadata"]["namespace"]
        if namespace != own and (namespace or own not in ("default", "kube-system")):
            return [invalid_value("involvedObject.namespace", quoted(namespace), "does not match event.namespace")]
        return []


class BudgetRules(VersionedRules):
    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        spec = obj.get("spec") or {}
        if "minAvailable" not in spec or "maxUnavailable" not in spec:
            return []
        shown = {"MinAvailable": spec["minAvailable"], "Selector": spec.get("selector")}
        shown |= {
            "MaxUnavailable": spec["maxUnavailable"],
            "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
        }
        return [invalid_value("spec", quoted(shown), "minAvailable and maxUnavailable cannot be both set")]

    def prepare_create(self, obj: Object) -> None:
        obj["status"] = {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}


class RuntimeClassRules(Rules):
    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        handler = obj.get("handler", "")
        if old is not None and handler != old.get("handler"):
            return [invalid_value("handler", quoted(handler), "field is immutable")]
        if not DNS_LABEL.fullmatch(handler):
            return [invalid_value("handler", quoted(handler), DNS_LABEL_TEXT)]
        return []


class RoleRules(Rules):
    name_is_free = True

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        causes = []
        for number, rule in enumerate(obj.get("rules") or []):
            if not rule.get("verbs"):
                causes.append(required(f"rules[{number}].verbs", "verbs must contain at least one value"))
            if rule.get("resources") and not rule.get("apiGroups"):
                why = "resource rules must supply at least one api group"
                causes.append(required(f"rules[{number}].apiGroups", why))
        return causes


class BindingRules(Rules):
    name_is_free = True

    def default(self, obj: Object) -> None:
        obj.setdefault("roleRef", {}).setdefault("apiGroup", "rbac.authorization.k8s.io")
        for subject in obj.get("subjects") or []:
            if subject.get("kind") in ("User", "Group"):
                subject.setdefault("apiGroup", "rbac.authorization.k8s.io")

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        if old is None or obj["roleRef"] == old["roleRef"]:
            return []
        reference = obj["roleRef"]
        shown = {"APIGroup": reference["apiGroup"], "Kind": reference["kind"], "Name": reference["name"]}
        return [invalid_value("roleRef", quoted(shown), "cannot change roleRef")]


class DefinitionRules(VersionedRules):
    """CustomResourceDefinitions."""

    delete_answers_object = True

    def default(self, obj: Object) -> None:
        spec = obj["spec"]
        spec.setdefault("conversion", {"strategy": "None"})
        names = spec["names"]
        names.setdefault("singular", names["kind"].lower())
        names.setdefault("listKind", f"{names['kind']}List")

    def prepare_create(self, obj: Object) -> None:
        stored = [version["name"] for version in obj["spec"]["versions"] if version.get("storage")]
        obj["status"] = {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": stored}


class ServiceRules(Rules):
    name_is_label = True

    def default(self, obj: Object) -> None:
        spec = obj.setdefault("spec", {})
        spec.setdefault("type", "ClusterIP")
        spec.setdefault("sessionAffinity", "None")
        spec.setdefault("internalTrafficPolicy", "Cluster")
        for port in spec.get("ports") or []:
            port.setdefault("protocol", "TCP")
            port.setdefault("targetPort", port.get("port"))

    def prepare_create(self, obj: Object) -> None:
        obj["status"] = {"loadBalancer": {}}

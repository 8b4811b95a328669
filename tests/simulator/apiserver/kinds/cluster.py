"""Namespaces and priority classes."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.kinds.base import Rules

Object = dict[str, Any]


class NamespaceRules(Rules):
    name_is_label = True

    def prepare_create(self, obj: Object) -> None:
        obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
        obj.setdefault("spec", {})["finalizers"] = ["kubernetes"]
        obj["status"] = {"phase": "Active"}


class PriorityClassRules(Rules):
    has_generation = True

    def default(self, obj: Object) -> None:
        obj.setdefault("preemptionPolicy", "PreemptLowerPriority")

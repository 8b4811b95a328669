# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads that make pods: their template, and on which node labels they depend. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

# Kinds whose pods are covered by the object itself, so that its pods need not be looked at.
_COVERED = frozenset({"DaemonSet", "StatefulSet", "Job"})
_FINISHED = frozenset({"Complete", "Failed"})


def pod_template(kind: str, obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pod spec that a workload makes pods from."""
    spec = obj.get("spec") or {}
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return (spec.get("template") or {}).get("spec") or {}


def is_finished_job(kind: str, obj: Mapping[str, Any]) -> bool:
    """A Job that makes no more pods."""
    if kind != "Job":
        return False
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return any(condition.get("type") in _FINISHED and condition.get("status") == "True" for condition in conditions)


def node_label_keys(spec: Mapping[str, Any]) -> set[str]:
    """Keys of node labels that a pod spec depends on: node selector, node affinity, and topologies of its spreading."""
    keys = set(spec.get("nodeSelector") or ())
    for constraint in spec.get("topologySpreadConstraints") or ():
        keys.add(constraint.get("topologyKey") or "")
    affinity = spec.get("affinity")
    if affinity:
        keys.update(_affinity_keys(affinity))
    keys.discard("")
    return keys


def _affinity_keys(affinity: Mapping[str, Any]) -> Iterator[str]:
    node = affinity.get("nodeAffinity") or {}
    required = node.get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = list(required.get("nodeSelectorTerms") or ())
    for preferred in node.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
        terms.append(preferred.get("preference") or {})
    for term in terms:
        for expression in term.get("matchExpressions") or ():
            yield expression.get("key") or ""
    for kind in ("podAffinity", "podAntiAffinity"):
        pod = affinity.get(kind) or {}
        for term in pod.get("requiredDuringSchedulingIgnoredDuringExecution") or ():
            yield term.get("topologyKey") or ""
        for weighted in pod.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield (weighted.get("podAffinityTerm") or {}).get("topologyKey") or ""


def controller_of(obj: Mapping[str, Any]) -> dict[str, str] | None:
    """The controlling owner: {kind, name, uid}."""
    for reference in (obj.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller"):
            return {name: reference.get(name) or "" for name in ("kind", "name", "uid")}
    return None


class LabelUsers:
    """Collects which workloads depend on which node labels."""

    def __init__(self) -> None:
        self._users: dict[str, set[str]] = {}

    def add_workload(self, kind: str, obj: Mapping[str, Any]) -> None:
        """A DaemonSet, Deployment, StatefulSet, Job or CronJob. Finished Jobs do not count."""
        if not is_finished_job(kind, obj):
            self._add(kind, obj, pod_template(kind, obj))

    def add_pod(self, pod: Mapping[str, Any]) -> None:
        """A pod, which counts if no workload that is looked at stands for it: bare pods, and those of operators."""
        spec = pod.get("spec") or {}
        if not ("nodeSelector" in spec or "affinity" in spec or "topologySpreadConstraints" in spec):
            return
        owner = controller_of(pod)
        if owner is None:
            self._add("Pod", pod, spec)
            return
        labels = (pod.get("metadata") or {}).get("labels") or {}
        of_deployment = owner["kind"] == "ReplicaSet" and "pod-template-hash" in labels
        if owner["kind"] not in _COVERED and not of_deployment:
            named = {"metadata": {"namespace": pod["metadata"].get("namespace"), "name": owner["name"]}}
            self._add(owner["kind"], named, spec)

    def to_dict(self, keys: set[str], prefix: str) -> dict[str, list[str]]:
        """The users ("Kind namespace/name") of these keys and of all keys with the prefix."""
        wanted = {key for key in self._users if key in keys or key.startswith(prefix)}
        return {key: sorted(self._users.get(key) or ()) for key in sorted(wanted | keys)}

    def _add(self, kind: str, obj: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
        keys = node_label_keys(spec)
        if not keys:
            return
        metadata = obj.get("metadata") or {}
        user = f"{kind} {metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
        for key in keys:
            self._users.setdefault(key, set()).add(user)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement has to know of pods with GPUs: whose they are, their containers, and what takes memory by design in them.
PRIVATE to the collection.
"""

from __future__ import annotations

import re
from typing import Any, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.quantities import counts_with_prefix
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import controller_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.frameworks import find_frameworks

_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
# Argo Rollouts gives the pods of its ReplicaSets a hash of its own.
_MAKERS_OF_REPLICASETS = (("rollouts-pod-template-hash", "Rollout"), ("pod-template-hash", "Deployment"))


def owning_workload(pod: Mapping[str, Any]) -> dict[str, str]:
    """{kind, namespace, name} of the workload that the pod is of, as far as the pod itself tells: of a Job's pod the Job.

    A ReplicaSet is called like its Deployment, a dash, and the hash that its pods bear as a label. Static pods and pods without an
    owner stand for themselves.
    """
    metadata = pod["metadata"]
    owner = controller_of(pod)
    kind, name = "Pod", metadata.get("name") or ""
    if owner and owner["kind"] not in ("Node", ""):
        kind, name = owner["kind"], owner["name"]
    if kind == "ReplicaSet":
        labels = metadata.get("labels") or {}
        for label, maker in _MAKERS_OF_REPLICASETS:
            ending = f"-{labels.get(label)}"
            if labels.get(label) and name.endswith(ending):
                kind, name = maker, name[: -len(ending)]
                break
    return {"kind": kind, "namespace": metadata.get("namespace") or "", "name": name}


class Makers:
    """Who makes what makes pods: CronJobs and JobSets make Jobs, LeaderWorkerSets make StatefulSets."""

    def __init__(self) -> None:
        self._makers: dict[tuple[str, str, str], tuple[str, str]] = {}

    def add(self, kind: str, obj: Mapping[str, Any]) -> None:
        """A workload as it is listed."""
        owner = controller_of(obj) if kind in ("Job", "StatefulSet") else None
        if owner:
            metadata = obj["metadata"]
            named = (kind, metadata.get("namespace") or "", metadata.get("name") or "")
            self._makers[named] = (owner["kind"], owner["name"])

    def complete(self, pod: dict[str, Any]) -> None:
        """Put the topmost workload in the place of one that another made."""
        workload = pod.get("workload")
        if not workload:
            return
        maker = self._makers.get((workload["kind"], workload["namespace"], workload["name"]))
        if maker:
            pod["workload"] = {**workload, "kind": maker[0], "name": maker[1]}


def read_gpu_pod(pod: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Of a pod that asks for GPUs: workload, containers, and frameworks if any is recognised.

    :param prefix: of the resources that count.
    """
    spec = pod.get("spec") or {}
    found: dict[str, Any] = {
        "workload": owning_workload(pod),
        "containers": list(_containers(spec, pod.get("status") or {}, prefix)),
    }
    frameworks = find_frameworks(spec)
    if frameworks:
        found["frameworks"] = frameworks
    # The kubelet knows a static pod by another uid than the API server knows its mirror by.
    static = (pod["metadata"].get("annotations") or {}).get(_MIRROR_ANNOTATION)
    if static:
        found["static_uid"] = static
    return found


def _containers(spec: Mapping[str, Any], status: Mapping[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    """Those that run beside each other: init containers only if they restart always."""
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    statuses = {
        one.get("name"): one
        for name in ("containerStatuses", "initContainerStatuses")
        for one in status.get(name) or ()
    }
    for container in [*(spec.get("containers") or ()), *sidecars]:
        state = statuses.get(container.get("name")) or {}
        resources = container.get("resources") or {}
        identifier = str(state.get("containerID") or "").rpartition("/")[2]
        yield {
            "name": container.get("name") or "",
            "id": identifier if _CONTAINER_ID.fullmatch(identifier) else "",
            "restarts": state.get("restartCount") or 0,
            "gpus": {
                **counts_with_prefix(resources.get("limits"), prefix),
                **counts_with_prefix(resources.get("requests"), prefix),
            },
        }

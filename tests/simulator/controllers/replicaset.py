"""ReplicaSet controller: the wanted number of active pods."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import ApiError
from simulator.controllers.context import Context
from simulator.controllers.meta import (
    is_active,
    is_finished,
    is_ready,
    is_terminating,
    node_name,
    pod_from_template,
    split_key,
)
from simulator.controllers.waking import wake_on_objects, wake_on_their_pods

Object = dict[str, Any]
COMPONENT = "replicaset-controller"
RESOURCE = "apps/replicasets"


class ReplicaSetController:
    """Keyed by namespace/name. A failed pod is not counted, so that another one takes its place; it is not removed."""

    name = "replicaset"

    def __init__(self, context: Context) -> None:
        self._context = context
        wake_on_objects(context, self, RESOURCE)
        wake_on_their_pods(context, self, "ReplicaSet")

    def reconcile(self, key: str) -> None:
        replica_set = self._context.store.get(RESOURCE, *split_key(key))
        if replica_set is None:
            return
        pods = self._context.pods.of_owner(replica_set["metadata"]["uid"])
        if not is_terminating(replica_set):
            self._scale(replica_set)
        self._write_status(replica_set, pods)

    def _scale(self, replica_set: Object) -> None:
        active = [pod for pod in self._context.pods.of_owner(replica_set["metadata"]["uid"]) if is_active(pod)]
        difference = len(active) - replica_set["spec"].get("replicas", 1)
        for _unused in range(-difference):
            self._create(replica_set)
        if difference > 0:
            for pod in sorted(active, key=self._deletion_rank)[:difference]:
                self._delete(replica_set, pod)

    def _create(self, replica_set: Object) -> None:
        pod = pod_from_template(replica_set, "apps/v1", "ReplicaSet", replica_set["spec"]["template"], {})
        try:
            created = self._context.registry.create("pods", pod)
        except ApiError as error:
            self._context.event(
                replica_set, "FailedCreate", f"Error creating: {error.message}", COMPONENT, warning=True
            )
            raise
        self._context.event(replica_set, "SuccessfulCreate", f"Created pod: {created['metadata']['name']}", COMPONENT)

    def _delete(self, replica_set: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        self._context.registry.delete("pods", metadata["namespace"], metadata["name"])
        self._context.event(replica_set, "SuccessfulDelete", f"Deleted pod: {metadata['name']}", COMPONENT)

    def _deletion_rank(self, pod: Object) -> tuple[Any, ...]:
        """Unassigned before assigned, pending before running, unready before ready, crowded before lonely, new before old."""
        owner_uid = pod["metadata"]["ownerReferences"][0]["uid"]
        node = node_name(pod)
        neighbours = sum(
            node_name(other) == node and is_active(other) for other in self._context.pods.of_owner(owner_uid)
        )
        born = pod["metadata"]["creationTimestamp"]
        newest_first = tuple(-ord(char) for char in born)
        return (
            bool(node),
            pod["status"].get("phase") == "Running",
            is_ready(pod),
            -neighbours,
            newest_first,
            pod["metadata"]["name"],
        )

    def _write_status(self, replica_set: Object, owned: list[Object]) -> None:
        """Counts the pods from before this round: what it made and deleted is counted when their changes wake it again."""
        active = [pod for pod in owned if is_active(pod)]
        ready = sum(is_ready(pod) for pod in active)
        status: Object = {"replicas": len(active)}
        if active:
            status["fullyLabeledReplicas"] = len(active)
        if ready:
            status |= {"readyReplicas": ready, "availableReplicas": ready}
        status["terminatingReplicas"] = sum(is_terminating(pod) and not is_finished(pod) for pod in owned)
        status["observedGeneration"] = replica_set["metadata"]["generation"]
        self._context.put_status(RESOURCE, replica_set, status)

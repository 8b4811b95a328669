"""StatefulSet controller: pods with ordinals, each of which comes back under its own name."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import ApiError
from simulator.controllers.context import Context
from simulator.controllers.meta import (
    is_finished,
    is_ready,
    is_terminating,
    pod_from_template,
    split_key,
)
from simulator.controllers.revisions import RESOURCE as REVISIONS
from simulator.controllers.revisions import RevisionHistory
from simulator.controllers.statefulset_status import status_of
from simulator.controllers.waking import wake_on_objects, wake_on_their_pods

Object = dict[str, Any]
COMPONENT = "statefulset-controller"
RESOURCE = "apps/statefulsets"
CLAIMS = "persistentvolumeclaims"


class StatefulSetController:
    """Keyed by namespace/name.

    A name is taken until the old pod's *object* is gone: a replacement, with a new uid, comes only then, whatever the
    policy. ``OrderedReady`` works on one pod at a time and waits for each to be ready; ``Parallel`` waits for none.
    """

    name = "statefulset"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._history = RevisionHistory(context, "StatefulSet")
        wake_on_objects(context, self, RESOURCE)
        wake_on_their_pods(context, self, "StatefulSet")

    def reconcile(self, key: str) -> None:
        stateful_set = self._context.store.get(RESOURCE, *split_key(key))
        if stateful_set is None:
            return
        update = f"{stateful_set['metadata']['name']}-{self._history.current(stateful_set)}"
        current = (stateful_set.get("status") or {}).get("currentRevision") or update
        try:
            if not is_terminating(stateful_set):
                self._manage(stateful_set, current, update)
        finally:
            pods = self._context.pods.of_owner(stateful_set["metadata"]["uid"])
            status = status_of(stateful_set, pods, current=current, update=update)
            self._context.put_status(RESOURCE, stateful_set, status)

    def _manage(self, stateful_set: Object, current: str, update: str) -> None:
        """Wanted ordinals from the lowest, surplus ones from the highest, then old revisions from the highest."""
        by_ordinal = {_ordinal(pod): pod for pod in self._context.pods.of_owner(stateful_set["metadata"]["uid"])}
        spec = stateful_set["spec"]
        start = int((spec.get("ordinals") or {}).get("start", 0))
        wanted = range(start, start + int(spec.get("replicas", 1)))
        ordered = spec["podManagementPolicy"] != "Parallel"
        for ordinal in wanted:
            revision = current if ordinal < start + _partition(stateful_set) else update
            if self._keep(stateful_set, ordinal, by_ordinal.get(ordinal), revision) and ordered:
                return
        surplus = sorted((ordinal for ordinal in by_ordinal if ordinal not in wanted), reverse=True)
        for ordinal in surplus:
            if not is_terminating(by_ordinal[ordinal]):
                self._delete(stateful_set, by_ordinal[ordinal])
            if ordered:
                return
        if spec["updateStrategy"]["type"] == "RollingUpdate":
            self._replace_old(stateful_set, [by_ordinal.get(ordinal) for ordinal in wanted], update)

    def _keep(self, stateful_set: Object, ordinal: int, pod: Object | None, revision: str) -> bool:
        """Make the pod, or make room for it; whether it is still on its way to being ready."""
        if pod is None:
            self._create(stateful_set, ordinal, revision)
            return True
        if is_terminating(pod):
            return True
        if is_finished(pod):
            self._delete(stateful_set, pod)
            return True
        return not is_ready(pod)

    def _replace_old(self, stateful_set: Object, pods: list[Object | None], update: str) -> None:
        """One at a time: the next only when all above it are of the new revision and ready."""
        for pod in reversed(pods[_partition(stateful_set) :]):
            if pod is None:
                return
            if _revision(pod) != update and not is_terminating(pod):
                self._delete(stateful_set, pod)
                return
            if is_terminating(pod) or not is_ready(pod):
                return

    def _create(self, stateful_set: Object, ordinal: int, revision: str) -> None:
        name = f"{stateful_set['metadata']['name']}-{ordinal}"
        labels = {
            "apps.kubernetes.io/pod-index": str(ordinal),
            "controller-revision-hash": revision,
            "statefulset.kubernetes.io/pod-name": name,
        }
        pod = pod_from_template(stateful_set, "apps/v1", "StatefulSet", self._template(stateful_set, revision), labels)
        del pod["metadata"]["generateName"]
        pod["metadata"]["name"] = name
        pod["spec"] |= {"hostname": name, "subdomain": stateful_set["spec"].get("serviceName", "")}
        claims = self._claims(stateful_set, name)
        if claims:
            pod["spec"]["volumes"] = [*(pod["spec"].get("volumes") or []), *claims]
        try:
            self._context.registry.create("pods", pod)
        except ApiError as error:
            message = (
                f"create Pod {name} in StatefulSet {stateful_set['metadata']['name']} failed error: {error.message}"
            )
            self._context.event(stateful_set, "FailedCreate", message, COMPONENT, warning=True)
            raise
        self._tell(stateful_set, "SuccessfulCreate", "create", name)

    def _template(self, stateful_set: Object, revision: str) -> Object:
        """The template of a revision: below the partition of a rolling update it is not the present one."""
        stored = self._context.store.get(REVISIONS, stateful_set["metadata"]["namespace"], revision)
        if stored is None:
            present: Object = stateful_set["spec"]["template"]
            return present
        return {key: value for key, value in stored["data"]["spec"]["template"].items() if key != "$patch"}

    def _claims(self, stateful_set: Object, pod_name: str) -> list[Object]:
        """The pod's volumes by claim; the claims outlive it."""
        namespace = stateful_set["metadata"]["namespace"]
        volumes = []
        for template in stateful_set["spec"].get("volumeClaimTemplates") or []:
            title = template["metadata"]["name"]
            name = f"{title}-{pod_name}"
            if self._context.store.get(CLAIMS, namespace, name) is None:
                claim = {"metadata": {"name": name, "namespace": namespace}, "spec": template["spec"]}
                self._context.registry.create(CLAIMS, claim)
            volumes.append({"name": title, "persistentVolumeClaim": {"claimName": name}})
        return volumes

    def _delete(self, stateful_set: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        self._context.registry.delete("pods", metadata["namespace"], metadata["name"])
        self._tell(stateful_set, "SuccessfulDelete", "delete", metadata["name"])

    def _tell(self, stateful_set: Object, reason: str, verb: str, pod_name: str) -> None:
        message = f"{verb} Pod {pod_name} in StatefulSet {stateful_set['metadata']['name']} successful"
        self._context.event(stateful_set, reason, message, COMPONENT)


def _ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _revision(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get("controller-revision-hash", ""))


def _partition(stateful_set: Object) -> int:
    """How many of the lowest ordinals a rolling update leaves as they are."""
    return int((stateful_set["spec"]["updateStrategy"].get("rollingUpdate") or {}).get("partition", 0))

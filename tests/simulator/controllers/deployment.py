"""Deployment controller: rolling updates by ReplicaSets, with surge, unavailability and a progress deadline."""

from __future__ import annotations

from typing import Any

from simulator.controllers import deployment_status as rules
from simulator.controllers.context import Context
from simulator.controllers.engine import Timer
from simulator.controllers.meta import (
    condition,
    content_hash,
    controller_of,
    is_terminating,
    key_of,
    owned_by,
    owner_reference,
    split_key,
)
from simulator.store import Change

Object = dict[str, Any]
COMPONENT = "deployment-controller"
RESOURCE = "apps/deployments"
REPLICA_SETS = "apps/replicasets"
REVISION = "deployment.kubernetes.io/revision"
HASH_LABEL = "pod-template-hash"


class DeploymentController:
    """Keyed by namespace/name."""

    name = "deployment"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._progress_at: dict[str, float] = {}
        self._deadlines: dict[str, Timer] = {}
        context.store.subscribe(self._changed)

    def reconcile(self, key: str) -> None:
        deployment = self._context.store.get(RESOURCE, *split_key(key))
        if deployment is None or is_terminating(deployment):
            return
        old = self._replica_sets(deployment)
        new = next((item for item in old if _same_template(item, deployment)), None)
        if new is None and not deployment["spec"].get("paused"):
            new = self._create_new(deployment, old)
            deployment = self._context.registry.get(RESOURCE, *split_key(key))
        elif new is not None:
            new = self._keep_revision(deployment, new, old)
        old = [item for item in old if new is None or item["metadata"]["uid"] != new["metadata"]["uid"]]
        if new is not None and not deployment["spec"].get("paused"):
            self._roll(deployment, new, old)
        self._clean_up(deployment, old)
        self._write_status(key)

    def _changed(self, change: Change) -> None:
        if change.resource == RESOURCE:
            if change.type != "DELETED":
                self._context.engine.enqueue(self, key_of(change.obj))
        elif change.resource == REPLICA_SETS:
            owner = controller_of(change.obj)
            if owner is not None and owner["kind"] == "Deployment":
                self._context.engine.enqueue(self, f"{change.obj['metadata']['namespace']}/{owner['name']}")

    def _replica_sets(self, deployment: Object) -> list[Object]:
        namespace = deployment["metadata"]["namespace"]
        return [item for item in self._context.store.list(REPLICA_SETS, namespace) if owned_by(item, deployment)]

    def _create_new(self, deployment: Object, old: list[Object]) -> Object:
        template = deployment["spec"]["template"]
        hashed = content_hash(key_of(deployment), template)
        labels = {**(template["metadata"].get("labels") or {}), HASH_LABEL: hashed}
        surge, _unused = rules.fenceposts(deployment)
        running = sum(item["spec"].get("replicas", 0) for item in old)
        wanted = deployment["spec"]["replicas"]
        rolling = deployment["spec"]["strategy"]["type"] == "RollingUpdate"
        first = max(0, min(wanted, wanted + surge - running)) if rolling else (0 if running else wanted)
        number = str(max((_revision(item) for item in old), default=0) + 1)
        replica_set = {
            "metadata": {
                "name": f"{deployment['metadata']['name']}-{hashed}",
                "namespace": deployment["metadata"]["namespace"],
                "labels": labels,
                "annotations": {**_copied_annotations(deployment), **self._sizes(deployment), REVISION: number},
                "ownerReferences": [owner_reference(deployment, "apps/v1", "Deployment")],
            },
            "spec": {
                "replicas": first,
                "selector": {
                    "matchLabels": {**(deployment["spec"]["selector"].get("matchLabels") or {}), HASH_LABEL: hashed}
                },
                "template": {**template, "metadata": {**template["metadata"], "labels": labels}},
            },
        }
        created = self._context.registry.create(REPLICA_SETS, replica_set)
        if first:
            self._scaling_event(deployment, created, 0, first)
        self._annotate(deployment, number, created)
        return created

    def _annotate(self, deployment: Object, number: str, replica_set: Object) -> None:
        """The revision on the Deployment, and that a new ReplicaSet is progress."""
        now = self._context.now()
        stored = self._context.registry.get(RESOURCE, *split_key(key_of(deployment)))
        metadata = {
            **stored["metadata"],
            "annotations": {**(stored["metadata"].get("annotations") or {}), REVISION: number},
        }
        status = dict(stored.get("status") or {})
        if stored["spec"].get("progressDeadlineSeconds") is not None:
            message = f'Created new replica set "{replica_set["metadata"]["name"]}"'
            new = rules.make_condition(rules.PROGRESSING, True, "NewReplicaSetCreated", message, now)
            status["conditions"] = rules.set_condition(status.get("conditions") or [], new)
        self._progress_at[stored["metadata"]["uid"]] = self._context.engine.time
        self._context.store.put(RESOURCE, {**stored, "metadata": metadata, "status": status})

    def _keep_revision(self, deployment: Object, new: Object, all_sets: list[Object]) -> Object:
        """Going back to an earlier template makes its ReplicaSet the newest again."""
        newest = max((_revision(item) for item in all_sets if item is not new), default=0)
        number = str(_revision(new) if _revision(new) > newest else newest + 1)
        wanted = {**(new["metadata"].get("annotations") or {}), **self._sizes(deployment), REVISION: number}
        if new["metadata"].get("annotations") != wanted:
            metadata = {**new["metadata"], "annotations": wanted}
            new = self._context.store.put(REPLICA_SETS, {**new, "metadata": metadata})
        if (deployment["metadata"].get("annotations") or {}).get(REVISION) != number:
            stored = self._context.registry.get(RESOURCE, *split_key(key_of(deployment)))
            annotations = {**(stored["metadata"].get("annotations") or {}), REVISION: number}
            self._context.store.put(
                RESOURCE, {**stored, "metadata": {**stored["metadata"], "annotations": annotations}}
            )
        return new

    def _sizes(self, deployment: Object) -> Object:
        wanted = deployment["spec"]["replicas"]
        surge, _unused = rules.fenceposts(deployment)
        names = ("deployment.kubernetes.io/desired-replicas", "deployment.kubernetes.io/max-replicas")
        return dict(zip(names, (str(wanted), str(wanted + surge))))

    def _roll(self, deployment: Object, new: Object, old: list[Object]) -> None:
        active_old = [item for item in old if item["spec"].get("replicas", 0) > 0]
        if deployment["spec"]["strategy"]["type"] == "Recreate":
            self._recreate(deployment, new, active_old)
            return
        if self._scale_up_new(deployment, new, active_old):
            return
        self._scale_down_old(deployment, new, active_old)

    def _recreate(self, deployment: Object, new: Object, old: list[Object]) -> None:
        for item in old:
            self._scale(deployment, item, 0)
        gone = all(
            not (item.get("status") or {}).get("replicas") for item in self._replica_sets(deployment) if item is not new
        )
        if not old and gone:
            self._scale(deployment, new, deployment["spec"]["replicas"])

    def _scale_up_new(self, deployment: Object, new: Object, old: list[Object]) -> bool:
        wanted, present = deployment["spec"]["replicas"], new["spec"].get("replicas", 0)
        if present > wanted:
            return self._scale(deployment, new, wanted)
        surge, _unused = rules.fenceposts(deployment)
        running = present + sum(item["spec"]["replicas"] for item in old)
        room = wanted + surge - running
        return room > 0 and self._scale(deployment, new, min(wanted, present + room))

    def _scale_down_old(self, deployment: Object, new: Object, old: list[Object]) -> None:
        """Old pods that do not work first; of the others as many as new ones are available beyond the minimum."""
        _unused, max_unavailable = rules.fenceposts(deployment)
        wanted = deployment["spec"]["replicas"]
        minimum = wanted - max_unavailable
        everything = [new, *old]
        new_unavailable = new["spec"].get("replicas", 0) - (new.get("status") or {}).get("availableReplicas", 0)
        budget = sum(item["spec"].get("replicas", 0) for item in everything) - minimum - new_unavailable
        for item in sorted(old, key=_revision):
            broken = item["spec"]["replicas"] - (item.get("status") or {}).get("availableReplicas", 0)
            drop = min(budget, broken)
            if drop > 0:
                budget -= drop
                self._scale(deployment, item, item["spec"]["replicas"] - drop)
        old = [item for item in self._replica_sets(deployment) if item["metadata"]["uid"] != new["metadata"]["uid"]]
        spare = rules.total([new, *old], "availableReplicas") - minimum
        for item in sorted(old, key=_revision):
            drop = min(spare, item["spec"].get("replicas", 0), budget)
            if drop > 0:
                spare, budget = spare - drop, budget - drop
                self._scale(deployment, item, item["spec"]["replicas"] - drop)

    def _scale(self, deployment: Object, replica_set: Object, replicas: int) -> bool:
        stored = self._context.store.get(REPLICA_SETS, *split_key(key_of(replica_set)))
        if stored is None or stored["spec"].get("replicas") == replicas:
            return False
        before = stored["spec"].get("replicas", 0)
        metadata = {**stored["metadata"], "generation": stored["metadata"]["generation"] + 1}
        metadata["annotations"] = {**(metadata.get("annotations") or {}), **self._sizes(deployment)}
        spec = {**stored["spec"], "replicas": replicas}
        updated = self._context.store.put(REPLICA_SETS, {**stored, "metadata": metadata, "spec": spec})
        self._scaling_event(deployment, updated, before, replicas)
        return True

    def _scaling_event(self, deployment: Object, replica_set: Object, before: int, after: int) -> None:
        direction = "up" if after > before else "down"
        message = f"Scaled {direction} replica set {replica_set['metadata']['name']} from {before} to {after}"
        self._context.event(deployment, "ScalingReplicaSet", message, COMPONENT)

    def _clean_up(self, deployment: Object, old: list[Object]) -> None:
        limit = deployment["spec"].get("revisionHistoryLimit", 10)
        idle = [
            item for item in old if not item["spec"].get("replicas") and not (item.get("status") or {}).get("replicas")
        ]
        for item in sorted(idle, key=_revision)[: max(0, len(idle) - limit)]:
            self._context.registry.delete(REPLICA_SETS, item["metadata"]["namespace"], item["metadata"]["name"])

    def _write_status(self, key: str) -> None:
        deployment = self._context.store.get(RESOURCE, *split_key(key))
        if deployment is None:
            return
        sets = self._replica_sets(deployment)
        new = next((item for item in sets if _same_template(item, deployment)), None)
        now = self._context.now()
        old_status = deployment.get("status") or {}
        status = rules.counts(deployment, sets, new)
        available = rules.availability(deployment, status, now)
        conditions = rules.set_condition(list(old_status.get("conditions") or []), available)
        if deployment["spec"].get("progressDeadlineSeconds") is not None and not rules.rollout_finished(
            deployment, status
        ):
            conditions = self._estimate_progress(deployment, status, conditions, new)
        status["conditions"] = conditions
        self._context.put_status(RESOURCE, deployment, status)

    def _estimate_progress(
        self, deployment: Object, status: Object, conditions: list[Object], new: Object | None
    ) -> list[Object]:
        uid = deployment["metadata"]["uid"]
        subject = f'ReplicaSet "{new["metadata"]["name"]}"' if new else f'Deployment "{deployment["metadata"]["name"]}"'
        now = self._context.now()
        if rules.is_complete(deployment, status):
            done = rules.make_condition(
                rules.PROGRESSING, True, rules.NEW_AVAILABLE, f"{subject} has successfully progressed.", now
            )
            return rules.set_condition(conditions, done)
        if rules.has_progressed(deployment.get("status") or {}, status):
            self._progress_at[uid] = self._context.engine.time
            going = rules.make_condition(
                rules.PROGRESSING, True, "ReplicaSetUpdated", f"{subject} is progressing.", now
            )
            conditions = rules.set_condition(conditions, going, refresh=True)
        current = condition({"status": {"conditions": conditions}}, rules.PROGRESSING)
        if current is None or current["reason"] in (rules.NEW_AVAILABLE, rules.DEADLINE_EXCEEDED):
            return conditions
        waited = self._context.engine.time - self._progress_at.setdefault(uid, self._context.engine.time)
        remaining = deployment["spec"]["progressDeadlineSeconds"] - waited
        if remaining > 0:
            self._look_again(deployment, remaining)
            return conditions
        late = rules.make_condition(
            rules.PROGRESSING, False, rules.DEADLINE_EXCEEDED, f"{subject} has timed out progressing.", now
        )
        return rules.set_condition(conditions, late)

    def _look_again(self, deployment: Object, seconds: float) -> None:
        key = key_of(deployment)
        pending = self._deadlines.get(key)
        if pending is not None:
            pending.cancel()
        self._deadlines[key] = self._context.engine.later(
            seconds, self._context.engine.enqueue, self, key, settles=False
        )


def _same_template(replica_set: Object, deployment: Object) -> bool:
    """Whether the ReplicaSet is the one of the Deployment's present template; the hash label does not count."""
    theirs = replica_set["spec"]["template"]
    labels = {name: value for name, value in (theirs["metadata"].get("labels") or {}).items() if name != HASH_LABEL}
    wanted = deployment["spec"]["template"]
    if labels != (wanted["metadata"].get("labels") or {}) or theirs["spec"] != wanted["spec"]:
        return False
    return (theirs["metadata"].get("annotations") or {}) == (wanted["metadata"].get("annotations") or {})


def _revision(replica_set: Object) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION, "0"))


def _copied_annotations(deployment: Object) -> Object:
    annotations = deployment["metadata"].get("annotations") or {}
    left = ("kubectl.kubernetes.io/last-applied-configuration", REVISION)
    return {name: value for name, value in annotations.items() if name not in left}

"""DaemonSet controller: one pod on every node that fits, replaced according to the update strategy."""

from __future__ import annotations

from collections import Counter
from typing import Any

from simulator.apiserver.errors import ApiError
from simulator.controllers.context import Context
from simulator.controllers.daemonset_places import NOWHERE, Standing
from simulator.controllers.daemonset_update import pods_to_replace
from simulator.controllers.facts import ALL, Facts
from simulator.controllers.meta import is_terminating, key_of, node_name, pod_from_template, split_key
from simulator.controllers.revisions import RevisionHistory
from simulator.controllers.selectors import contains, selects_node, untolerated
from simulator.store import Change

Object = dict[str, Any]
COMPONENT = "daemonset-controller"
RESOURCE = "apps/daemonsets"
FAILED_POD_BACKOFF_SECONDS = 1.0
#: From a node's change to the controller's reaction: a little more than the scheduler needs to see the same change.
REACTION_SECONDS = 0.03
MAX_BACKOFF_SECONDS = 900.0

#: What every DaemonSet pod tolerates.
TOLERATIONS = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


class DaemonSetController:
    """Keyed by namespace/name of the DaemonSet."""

    name = "daemonset"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._history = RevisionHistory(context)
        self._nodes_checker = _NodeChecker(context, self)
        self._standings: dict[str, Standing] = {}
        self._failures: dict[tuple[str, str], int] = {}
        context.store.subscribe(self._changed)
        context.pods.listen(self._pod_changed)

    def enqueue(self, daemon_set: Object) -> None:
        self._context.engine.enqueue(self, key_of(daemon_set))

    def reconcile(self, key: str) -> None:
        daemon_set = self._context.store.get(RESOURCE, *split_key(key))
        if daemon_set is None or is_terminating(daemon_set):
            return
        revision = self._history.current(daemon_set)
        standing = self._standing(daemon_set, revision)
        nodes, standing.dirty = sorted(standing.dirty), set()
        try:
            for name in nodes:
                node = self._context.store.get("nodes", None, name)
                standing.place(name, None if node is None else placement(daemon_set, node, self._context.facts))
            self._manage(daemon_set, standing, nodes, revision)
            standing.count({*nodes, *standing.dirty}, revision)
            self._replace_old(daemon_set, standing, revision)
        except ApiError:
            standing.dirty.update(nodes)
            raise
        standing.count(standing.dirty, revision)
        self._write_status(daemon_set, standing.totals)

    def _standing(self, daemon_set: Object, revision: str) -> Standing:
        """What is known from the last look; everything is looked at anew when the DaemonSet itself changed."""
        uid, version = daemon_set["metadata"]["uid"], (daemon_set["metadata"]["generation"], revision)
        standing = self._standings.get(uid)
        if standing is None or standing.version != version:
            standing = self._standings[uid] = Standing(version)
            for pod in self._context.pods.of_owner(uid):
                standing.pod_changed(None, pod)
            standing.dirty.update(node["metadata"]["name"] for node in self._context.store.list("nodes"))
        return standing

    def _changed(self, change: Change) -> None:
        if change.resource == RESOURCE:
            if change.type == "DELETED":
                self._standings.pop(change.obj["metadata"]["uid"], None)
            else:
                self.enqueue(change.obj)
        elif change.resource == "nodes":
            self._node_changed(change)

    def _node_changed(self, change: Change) -> None:
        """A node matters when it comes, goes, or differs in what placement depends on."""
        if change.type == "MODIFIED" and change.old is not None and _placement(change.old) == _placement(change.obj):
            return
        name = change.obj["metadata"]["name"]
        for standing in self._standings.values():
            standing.dirty.add(name)
        if change.type == "DELETED":
            for daemon_set in self._context.store.list(RESOURCE):
                self.enqueue(daemon_set)
            return
        self._context.engine.later(REACTION_SECONDS, self._context.engine.enqueue, self._nodes_checker, name)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        for reference in pod["metadata"].get("ownerReferences") or ():
            if reference["kind"] == "DaemonSet" and reference.get("controller"):
                if reference["uid"] in self._standings:
                    self._standings[reference["uid"]].pod_changed(old, new)
                self._context.engine.enqueue(self, f"{pod['metadata']['namespace']}/{reference['name']}")

    def _manage(self, daemon_set: Object, standing: Standing, nodes: list[str], revision: str) -> None:
        """Create what is missing, delete what must not be; a terminating pod still holds its node's place."""
        missing: list[str] = []
        for name in nodes:
            should_run, should_continue = standing.places.get(name, NOWHERE)
            pods = standing.pods_on(name)
            if pods:
                self._manage_pods(daemon_set, pods, should_continue)
            elif should_run:
                missing.append(name)
        for name in missing:
            self._create(daemon_set, name, revision)

    def _manage_pods(self, daemon_set: Object, pods: list[Object], should_continue: bool) -> None:
        running: list[Object] = []
        for pod in pods:
            if is_terminating(pod):
                continue
            if not should_continue:
                self._delete(daemon_set, pod)
            elif pod["status"].get("phase") in ("Failed", "Succeeded"):
                self._delete_failed(daemon_set, pod)
            else:
                running.append(pod)
        for pod in running[1:]:
            self._delete(daemon_set, pod)

    def _create(self, daemon_set: Object, node: str, revision: str) -> None:
        generation = daemon_set["metadata"]["annotations"]["deprecated.daemonset.template.generation"]
        labels = {"controller-revision-hash": revision, "pod-template-generation": generation}
        template = daemon_set["spec"]["template"]
        pod = pod_from_template(daemon_set, "apps/v1", "DaemonSet", template, labels)
        pod["spec"]["affinity"] = _pinned(pod["spec"].get("affinity"), node)
        pod["spec"]["tolerations"] = _with_tolerations(pod["spec"])
        try:
            created = self._context.registry.create("pods", pod)
        except ApiError as error:
            self._context.event(daemon_set, "FailedCreate", f"Error creating: {error.message}", COMPONENT, warning=True)
            raise
        message = f"Created pod: {created['metadata']['name']}"
        self._context.event(daemon_set, "SuccessfulCreate", message, COMPONENT)

    def _delete(self, daemon_set: Object, pod: Object) -> None:
        metadata = pod["metadata"]
        self._context.registry.delete("pods", metadata["namespace"], metadata["name"])
        self._context.event(daemon_set, "SuccessfulDelete", f"Deleted pod: {metadata['name']}", COMPONENT)

    def _delete_failed(self, daemon_set: Object, pod: Object) -> None:
        """A failed daemon pod is deleted and made again, each time after a longer pause."""
        mark = (daemon_set["metadata"]["uid"], node_name(pod))
        attempts = self._failures[mark] = self._failures.get(mark, 0) + 1
        message = f"Found failed daemon pod {key_of(pod)} on node {node_name(pod)}, will try to kill it"
        self._context.event(daemon_set, "FailedDaemonPod", message, COMPONENT, warning=True)
        if attempts == 1:
            self._delete(daemon_set, pod)
            return
        delay = min(FAILED_POD_BACKOFF_SECONDS * 2 ** (attempts - 1), MAX_BACKOFF_SECONDS)
        self._context.engine.later(delay, self._delete_later, daemon_set, pod, settles=attempts < 4)

    def _delete_later(self, daemon_set: Object, pod: Object) -> None:
        stored = self._context.store.get("pods", *split_key(key_of(pod)))
        if stored is not None and stored["metadata"]["uid"] == pod["metadata"]["uid"] and not is_terminating(stored):
            self._delete(daemon_set, stored)

    def _replace_old(self, daemon_set: Object, standing: Standing, revision: str) -> None:
        facts = self._context.facts
        rolls = daemon_set["spec"]["updateStrategy"]["type"] == "RollingUpdate"
        if not ((rolls and facts.template_change_rolls) or not (rolls or facts.on_delete_waits)):
            return
        if not standing.totals["old"]:
            return
        desired = standing.totals["desiredNumberScheduled"]
        for pod in pods_to_replace(daemon_set, standing.pods_by_node(), revision, desired=desired):
            self._delete(daemon_set, pod)

    def _write_status(self, daemon_set: Object, counts: Counter[str]) -> None:
        stored = self._context.store.get(RESOURCE, *split_key(key_of(daemon_set)))
        if stored is None:
            return
        status = {name: value for name, value in (stored.get("status") or {}).items() if name not in _COUNTED}
        status |= {name: counts[name] for name in _ALWAYS}
        status["observedGeneration"] = daemon_set["metadata"]["generation"]
        unavailable = counts["desiredNumberScheduled"] - counts["numberAvailable"]
        if_any = {name: counts[name] for name in _IF_ANY} | {"numberUnavailable": unavailable}
        status |= {name: number for name, number in if_any.items() if number}
        self._context.put_status(RESOURCE, stored, status)


_ALWAYS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
_IF_ANY = ("updatedNumberScheduled", "numberAvailable", "numberUnavailable")
_COUNTED = (*_ALWAYS, *_IF_ANY, "observedGeneration")


class _NodeChecker:
    """Wakes the DaemonSets for which a changed node means that a pod must come or go.

    As in the real controller a taint that merely forbids new pods wakes nobody while the pod is there.
    """

    name = "daemonset-nodes"

    def __init__(self, context: Context, controller: DaemonSetController) -> None:
        self._context = context
        self._controller = controller

    def reconcile(self, key: str) -> None:
        node = self._context.store.get("nodes", None, key)
        if node is None:
            return
        owners = {owner["uid"] for pod in self._context.pods.on_node(key) for owner in _owners(pod)}
        for daemon_set in self._context.store.list(RESOURCE):
            should_run, should_continue = placement(daemon_set, node, self._context.facts)
            scheduled = daemon_set["metadata"]["uid"] in owners
            if (should_run and not scheduled) or (scheduled and not should_continue):
                self._controller.enqueue(daemon_set)


def placement(daemon_set: Object, node: Object, facts: Facts = ALL) -> tuple[bool, bool]:
    """Whether a pod of the DaemonSet should be started on the node, and whether one that runs there may stay."""
    spec = daemon_set["spec"]["template"]["spec"]
    if spec.get("nodeName") not in (None, "", node["metadata"]["name"]):
        return False, False
    if not selects_node(spec, node):
        waits = not facts.affinity_moves_on_delete and daemon_set["spec"]["updateStrategy"]["type"] == "OnDelete"
        return False, waits and contains(node["metadata"].get("labels"), spec.get("nodeSelector"))
    taints = node["spec"].get("taints")
    cordoned = not facts.daemon_pods_ignore_cordon and bool(node["spec"].get("unschedulable"))
    if not taints:
        return not cordoned, True
    tolerations = _with_tolerations(spec)
    tolerates_start = untolerated(tolerations, taints, ("NoSchedule", "NoExecute")) is None
    tolerates_stay = untolerated(tolerations, taints, ("NoExecute",)) is None
    return tolerates_start and not cordoned, tolerates_stay


def _placement(node: Object) -> tuple[Any, ...]:
    spec = node["spec"]
    return node["metadata"].get("labels"), spec.get("taints"), spec.get("unschedulable")


def _owners(pod: Object) -> list[Object]:
    return pod["metadata"].get("ownerReferences") or []


def _pinned(affinity: Object | None, node: str) -> Object:
    """The template's affinity with its required node terms replaced by the node's name."""
    terms = [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    node_affinity = dict((affinity or {}).get("nodeAffinity") or {})
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    return {**(affinity or {}), "nodeAffinity": node_affinity}


def _with_tolerations(spec: Object) -> list[Object]:
    tolerations = list(spec.get("tolerations") or [])
    wanted = [*TOLERATIONS]
    if spec.get("hostNetwork"):
        wanted.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    for key, effect in wanted:
        addition = {"key": key, "operator": "Exists", "effect": effect}
        if addition not in tolerations:
            tolerations.append(addition)
    return tolerations

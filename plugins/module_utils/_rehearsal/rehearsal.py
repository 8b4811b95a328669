# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the waves of a plan will meet: pods without a place, budgets that refuse, slots that are missing. PRIVATE to the collection.

Goes through the waves once, in order, with the cluster as it was read. Decides nothing.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Deque, Iterable, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.eviction import expected_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    CONFIG_LABEL,
    REVISION_LABEL,
    is_plugin_resource,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.budgets import Allowances
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.places import Places, gpu_requests, kind_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.words import summarize

PLACED, NO_PLACE, NOT_REPLACED = "placed", "no_place", "not_replaced"
#: Where it goes is not reckoned: it asks for no GPU.
NO_GPU = "no_gpu"

Entry = Mapping[str, Any]


def rehearse(plan: Entry, cluster: Entry) -> dict[str, Any]:
    """The rehearsal, as it stands in the plan.

    :param plan: the plan's file, of any kind, before or after it was given an id.
    :param cluster: the cluster file that the plan was made from.
    """
    stage = _Stage(plan, cluster)
    waves = [stage.play(number, names) for number, names in enumerate(plan.get("waves") or (), start=1)]
    known = cluster.get("budgets") is not None
    worst = max(waves, key=lambda wave: (wave["slots_missing_at_worst"], wave["slots_out"]), default=None)
    figures = ("wave", "slots_out", "slots_missing_at_worst", "slots_missing", "gpu_slots_in_cluster")
    return {
        "waves": waves,
        "worst": {word: worst[word] for word in figures} if worst else None,
        "budgets_known": known,
        "summary": summarize(waves, known),
    }


class _Waiting:
    """Pods without a place, by what they need: where one finds none, others like it need not look."""

    def __init__(self) -> None:
        self._pods: dict[str, Deque[tuple[Entry, dict[str, Any] | None]]] = {}
        self.slots = 0

    def add(self, pod: Entry, eviction: dict[str, Any] | None = None) -> None:
        """:param eviction: what made it wait, if it is not from before."""
        self._pods.setdefault(kind_of(pod), deque()).append((pod, eviction))
        self.slots += _slots(gpu_requests(pod))

    def seat(self, places: Places, kinds: Iterable[str]) -> Iterator[tuple[dict[str, Any] | None, str]]:
        """Give places to those of these kinds who find one: (what made it wait, node)."""
        for kind in kinds:
            queue = self._pods.get(kind)
            while queue:
                node = places.take(queue[0][0])
                if node is None:
                    break
                pod, eviction = queue.popleft()
                self.slots -= _slots(gpu_requests(pod))
                yield eviction, node


class _Stage:
    """The cluster, as one wave after the other leaves it."""

    def __init__(self, plan: Entry, cluster: Entry) -> None:
        self._plan_nodes: Mapping[str, Entry] = plan.get("nodes") or {}
        self._nodes: Mapping[str, Entry] = cluster.get("nodes") or {}
        self._places = Places(self._nodes)
        self._allowances = Allowances(cluster.get("budgets") or ())
        self._slots = {name: _slots(_advertised(entry)) for name, entry in self._nodes.items()}
        self._total = sum(self._slots.values())
        # They are older than what will be evicted, so free slots are theirs first.
        self._pending, self._displaced = _Waiting(), _Waiting()
        for pod in cluster.get("pending") or ():
            self._places.expect(pod)
            self._pending.add(pod)

    def play(self, number: int, names: Sequence[str]) -> dict[str, Any]:
        """One wave."""
        cordoned = [name for name in names if not _stays_in_service(self._plan_nodes[name])]
        out = sum(self._slots.get(name, 0) for name in cordoned if self._places.is_open(name))
        for name in cordoned:
            self._places.close(name)
        total, pods = self._total, {name: self._pods_of(name) for name in names}
        evictions = [self._evict(name, pod) for name in names for pod in pods[name].evicted]
        blocking = self._allowances.spend(evictions)
        for name in cordoned:
            self._displace_surplus(name, pods[name].evicted)
        at_worst = self._displaced.slots
        for name in cordoned:
            self._put_back(name, pods[name].evicted)
        self._seat_waiting(number)
        recreations = [self._recreate(name, pod) for name in names for pod in pods[name].recreated]
        blocking += self._allowances.spend(recreations)
        self._seat_waiting(number)
        return {
            "wave": number,
            "nodes": list(names),
            "evictions": evictions + recreations,
            "blocking_budgets": blocking,
            "slots_out": out,
            "slots_missing_at_worst": max(at_worst, self._displaced.slots),
            "slots_missing": self._displaced.slots,
            "gpu_slots_in_cluster": total,
        }

    def _pods_of(self, name: str) -> _NodePods:
        return _NodePods(self._plan_nodes[name], self._nodes.get(name) or {})

    def _evict(self, node: str, pod: Entry, step: str = "in_maintenance") -> dict[str, Any]:
        target = None
        if not pod.get("owner"):
            verdict, reason = NOT_REPLACED, "no controller makes it anew"
        elif not gpu_requests(pod):
            verdict, reason = NO_GPU, "it asks for no GPU"
        else:
            target = self._places.take(pod)
            verdict, reason = (PLACED, "") if target else (NO_PLACE, f"no node that it may use has {_show(pod)} free")
        eviction = {
            "namespace": pod.get("namespace"),
            "name": pod.get("name"),
            "node": node,
            "step": step,
            "budgets": list(pod.get("budgets") or ()),
            "verdict": verdict,
            "target": target,
            "reason": reason,
            "later": None,
        }
        if verdict == NO_PLACE:
            self._displaced.add(pod, eviction)
        return eviction

    def _displace_surplus(self, name: str, evicted: Iterable[Entry]) -> None:
        """Pods that came in an earlier wave leave again with those that do not fit: they are the newest.

        They are evicted by what the run finds then, so no plan names them. That they are missing, it is to be reckoned with.
        """
        fit = _fit_of(self._plan_nodes[name])
        came, held = self._places.came_to(name), self._held(name, evicted)
        for resource, slots in sorted(fit.items()):
            for pod in [pod for pod in reversed(came) if gpu_requests(pod).get(resource)]:
                if held.get(resource, 0) <= slots:
                    break
                came.remove(pod)
                held = self._held(name, evicted)
                if not self._places.take(pod):
                    self._displaced.add(pod)

    def _held(self, name: str, evicted: Iterable[Entry]) -> dict[str, int]:
        """What pods of a node hold without those that are evicted, and with those that came."""
        resources = (self._nodes.get(name) or {}).get("resources") or {}
        held = {resource: int(one.get("requested") or 0) for resource, one in resources.items()}
        for pods, sign in ((evicted, -1), (self._places.came_to(name), 1)):
            for pod in pods:
                for resource, count in gpu_requests(pod).items():
                    held[resource] = held.get(resource, 0) + sign * count
        return held

    def _recreate(self, node: str, pod: Entry) -> dict[str, Any]:
        self._places.give_back(node, gpu_requests(pod))
        return self._evict(node, pod, "in_service")

    def _put_back(self, name: str, evicted: Iterable[Entry]) -> None:
        """The node serves what it was planned to. One that somebody else has cordoned stays out."""
        planned, entry = self._plan_nodes[name], self._nodes.get(name) or {}
        expected = planned.get("expected_resources") or planned["to"].get("resources") or {}
        self._total += _slots(expected) - self._slots.get(name, 0)
        self._slots[name] = _slots(expected)
        if planned.get("was_unschedulable") or not entry.get("ready", True):
            return
        held = self._held(name, evicted)
        free = {resource: max(0, slots - held.get(resource, 0)) for resource, slots in expected.items()}
        self._places.open(name, free, _labels_of(planned["to"]))

    def _seat_waiting(self, number: int) -> None:
        kinds = sorted(self._places.offered())
        for _nobody in self._pending.seat(self._places, kinds):
            pass
        for eviction, node in self._displaced.seat(self._places, kinds):
            if eviction is not None:
                eviction["later"] = {"wave": number, "node": node}
                self._allowances.give_back(eviction["budgets"])


class _NodePods:
    """Pods of a node that go."""

    def __init__(self, planned: Entry, entry: Entry) -> None:
        evict = planned.get("evict") or {}
        wanted = evict.get("pods") or []
        # Who holds devices that go, the plan has looked up; nobody is an answer too.
        if not wanted and evict.get("scope", "none") != "none" and not evict.get("devices"):
            wanted = expected_pods(NodeState("", entry), evict)
        stale = planned.get("stale_pods") or [] if planned.get("recreate") else []
        by_uid = {pod.get("uid"): pod for pod in entry.get("pods") or ()} if wanted or stale else {}
        # Of a pod that the cluster file does not have its name alone is known.
        self.evicted: list[Entry] = [by_uid.get(pod["uid"], pod) for pod in wanted]
        found = [by_uid[pod["uid"]] for pod in stale if pod["uid"] in by_uid]
        self.recreated: list[Entry] = [pod for pod in found if _is_made_anew(pod)]


def _fit_of(planned: Entry) -> Mapping[str, int]:
    """Slots that pods must fit into; where devices go, whoever holds one of them leaves, and so the rest fits what there will be."""
    evict = planned.get("evict") or {}
    if not evict.get("devices"):
        return evict.get("fit") or {}
    expected = planned.get("expected_resources") or {}
    return {resource: expected.get(resource, 0) for resource in {*(planned.get("resources_before") or ()), *expected}}


def _is_made_anew(pod: Entry) -> bool:
    owner = pod.get("owner") or {}
    return owner.get("kind", "DaemonSet") != "DaemonSet" and not pod.get("mirror") and not pod.get("terminating")


def _stays_in_service(planned: Entry) -> bool:
    """It serves as planned already, and only stale pods are made anew."""
    before, to = planned.get("from") or {}, planned["to"]
    same = all(before.get(word) == to.get(word) for word in ("key", "revision", "resources"))
    settled = same and bool(planned.get("recreate")) and not planned.get("release")
    settled = settled and not (planned.get("mig") or {}).get("changes")
    return settled and (planned.get("evict") or {}).get("scope", "none") == "none"


def _labels_of(to: Entry) -> dict[str, str]:
    ours = {CONFIG_LABEL: to.get("key"), REVISION_LABEL: to.get("revision")}
    return {**{label: value for label, value in ours.items() if value}, **(to.get("labels") or {})}


def _advertised(entry: Entry) -> dict[str, int]:
    resources = entry.get("resources") or {}
    return {name: int(one.get("allocatable") or 0) for name, one in resources.items() if is_plugin_resource(name)}


def _slots(resources: Mapping[str, int]) -> int:
    return sum(resources.values())


def _show(pod: Entry) -> str:
    requests = gpu_requests(pod)
    return ", ".join(f"{count} {name}" for name, count in sorted(requests.items())) or "a GPU slot"

"""A simulated cluster within this process, without HTTP: registry, control plane, scenario. Tests run it in virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from simulator.apiserver.errors import ApiError
from simulator.clock import Clock
from simulator.controllers.control_plane import ControlPlane
from simulator.controllers.facts import ALL, Facts
from simulator.controllers.kubelet.node import NodeAgent, registered_node
from simulator.controllers.meta import split_key, stamp
from simulator.registry import Registry
from simulator.scenario import Scenario, Step
from simulator.store import Store

Object = dict[str, Any]


class Simulation:
    """The cluster of one scenario. ``directory`` holds the nodes' directories; None: the nodes have no files."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        directory: Path | None = None,
        facts: Facts = ALL,
        speed: float | None = None,
        ca_certificate: str = "",
    ) -> None:
        self.scenario = scenario
        self._now = datetime.now(timezone.utc)
        self._age = max((step.age for step in scenario.history), default=timedelta(0))
        clock = Clock(speed or scenario.speed)
        clock.set_offset(-self._age)
        self.registry = Registry(clock=clock)
        # Before anybody watches, so that a fleet costs no more than its objects.
        self.registry.store.load("nodes", [registered_node(spec, facts, stamp(clock)) for spec in scenario.nodes])
        files = directory / "nodes" if directory is not None and scenario.files else None
        self.control_plane = ControlPlane(self.registry, directory=files, facts=facts, ca_certificate=ca_certificate)
        self.engine = self.control_plane.engine
        for spec in scenario.nodes:
            self.control_plane.kubelets.add(spec)

    @property
    def store(self) -> Store:
        return self.registry.store

    @property
    def agents(self) -> dict[str, NodeAgent]:
        return self.control_plane.kubelets.agents

    def replay(self, progress: Callable[[str], None] = lambda text: None) -> None:
        """Let the history happen; afterwards it is now."""
        self.engine.set_time_of_day(self._now - self._age)
        self.control_plane.context.events.present_is(self._now)
        self.engine.settle()
        progress(f"{len(self.scenario.nodes)} nodes registered")
        for step in self.scenario.history:
            self._advance_to(step.age)
            self._perform(step)
            self.engine.settle()
            progress(f"replayed what happened {step.age} ago")
        self._advance_to(timedelta(0))
        # A real scheduler tries again every few minutes, so that the last event of a waiting pod is a recent one.
        self.control_plane.scheduler.try_again()
        self.engine.advance(0.0)

    def _advance_to(self, age: timedelta) -> None:
        """To the moment that is ``age`` ago, unless the cluster was busy until later than that."""
        self.engine.advance(max(0.0, (self._age - age).total_seconds() - self.engine.time))

    def apply(self, manifest: Object) -> Object:
        """Create the object, or merge the manifest into it."""
        resource, namespace, name = self._place(manifest)
        manifest = self._with_owner_uids(manifest)
        stored = self.store.get(resource, namespace, name)
        if stored is None:
            return self.registry.create(resource, manifest, namespace or None)
        return self.registry.patch(resource, namespace, name, manifest, "merge")

    def _with_owner_uids(self, manifest: Object) -> Object:
        """A scenario names owners; their uids exist only now."""
        references = manifest["metadata"].get("ownerReferences")
        if not references:
            return manifest
        namespace = manifest["metadata"].get("namespace")
        found = []
        for reference in references:
            owner = {**reference, "metadata": {"name": reference["name"], "namespace": namespace}}
            uid = self.registry.get(*self._place(owner))["metadata"]["uid"]
            found.append({**reference, "uid": uid})
        return {**manifest, "metadata": {**manifest["metadata"], "ownerReferences": found}}

    def delete(self, manifest: Object) -> None:
        resource, namespace, name = self._place(manifest)
        self.registry.delete(resource, namespace, name)

    def patch_node(self, name: str, patch: Object) -> Object:
        """A JSON merge patch of a node."""
        return self.registry.patch("nodes", None, name, patch, "merge")

    def label(self, node: str, **labels: str | None) -> Object:
        """Set labels, or remove those given as None; ``__`` in a keyword stands for what no keyword can hold."""
        return self.patch_node(node, {"metadata": {"labels": labels}})

    def agent(self, node: str) -> NodeAgent:
        """The kubelet of a node. KeyError with the names that there are."""
        if node not in self.agents:
            raise KeyError(f"no simulated node {node!r}; there are {', '.join(sorted(self.agents)) or 'none'}")
        return self.agents[node]

    def log(self, pod: Object, container: str, query: dict[str, str]) -> str | None:
        """A container's log as the kubelet would give it; None for nodes without a kubelet."""
        node = pod["spec"].get("nodeName") or ""
        if node not in self.agents or not self.agents[node].reports:
            return None
        metadata = pod["metadata"]
        previous = query.get("previous") in ("true", "1")
        lines = self.control_plane.kubelets.log(metadata["namespace"], metadata["name"], container, previous=previous)
        if query.get("tailLines", "").isdigit():
            lines = lines[len(lines) - min(len(lines), int(query["tailLines"])) :]
        stamped = query.get("timestamps") in ("true", "1")
        return "".join(
            f"{moment.strftime('%Y-%m-%dT%H:%M:%S.%fZ') + ' ' if stamped else ''}{text}\n" for moment, text in lines
        )

    def go_live(self) -> None:
        """What only a running cluster does."""
        for agent in self.agents.values():
            agent.processes.follow()
        if self.scenario.heartbeats:
            self.control_plane.kubelets.start_heartbeats()

    def _place(self, manifest: Object) -> tuple[str, str, str]:
        kind = self.registry.resources.by_kind(manifest["apiVersion"], manifest["kind"])
        if kind is None:
            text = f"no resource of kind {manifest['kind']} in {manifest['apiVersion']}"
            raise ApiError(404, "NotFound", text)
        namespace = manifest["metadata"].get("namespace") or "default" if kind.namespaced else ""
        return kind.key, namespace, manifest["metadata"]["name"]

    def _perform(self, step: Step) -> None:
        for manifest in step.apply:
            self.apply(manifest)
            self.engine.advance(0.01)
        for manifest in step.delete:
            self.delete(manifest)
        for node, labels in step.label_nodes.items():
            self.patch_node(node, {"metadata": {"labels": labels}})
        for node in step.cordon:
            self.patch_node(node, {"spec": {"unschedulable": True}})

    def pods(self, namespace: str | None = None, **labels: str) -> list[Object]:
        """Pods that bear the labels, by name."""
        return [
            pod
            for pod in self.store.list("pods", namespace)
            if all((pod["metadata"].get("labels") or {}).get(key) == value for key, value in labels.items())
        ]

    def allocatable(self, node: str, resource: str = "nvidia.com/gpu") -> int | None:
        """What the node's status says; None if the resource is absent."""
        value = self.store.get("nodes", None, node)
        found = ((value or {}).get("status") or {}).get("allocatable", {}).get(resource)
        return None if found is None else int(found)

    def capacity(self, node: str, resource: str = "nvidia.com/gpu") -> int | None:
        value = self.store.get("nodes", None, node)
        found = ((value or {}).get("status") or {}).get("capacity", {}).get(resource)
        return None if found is None else int(found)

    def get(self, resource: str, key: str) -> Object:
        return self.registry.get(resource, *split_key(key))

"""Faults of nodes and of owners, by order: what ``fault`` and the tests inject into a running simulation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.apiserver.objects import copy_json
from simulator.controllers.kubelet.node import NodeAgent
from simulator.controllers.meta import key_of, split_key
from simulator.nvml.state import KILL, NvmlError
from simulator.simulation import Simulation
from simulator.store import Change

Object = dict[str, Any]
DAEMON_SETS = "apps/daemonsets"
#: How long an owner takes to notice that its object was changed, in simulated seconds.
OWNER_SECONDS = 5.0
#: Orders by kind, with the options that each takes.
KINDS = {
    "nvml": ("node", "error", "gpu", "lost", "xid", "function", "clear"),
    "plugin-crash": ("node", "code"),
    "container-crash": ("node", "pod", "code", "reason"),
    "kubelet-restart": ("node",),
    "kubelet": ("node", "action"),
    "not-ready": ("node", "clear"),
    "late-pod": ("node", "pod", "seconds"),
    "host-service": ("node", "unit", "action"),
    "owner": ("daemonset", "reconcile"),
}


class OrderError(ValueError):
    """The order cannot be carried out; the text says why."""


class NodeFaults:
    """Carries orders out. Remembers how DaemonSets were when the cluster came up: that is what owners go back to."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._originals = {key_of(item): copy_json(item) for item in simulation.store.list(DAEMON_SETS)}
        self._reconciled: set[str] = set()
        self._late: dict[str, list[tuple[Object | str, float]]] = {}
        simulation.store.subscribe(self._changed)

    def order(self, kind: str, options: Object) -> Object:
        """What was done, as data. Raises OrderError."""
        if kind not in KINDS:
            raise OrderError(f"no fault {kind!r}; there are {', '.join(KINDS)}")
        unknown = sorted(set(options) - set(KINDS[kind]))
        if unknown:
            raise OrderError(f"fault {kind} has no option {', '.join(unknown)}; it takes {', '.join(KINDS[kind])}")
        actions: dict[str, Callable[[Object], Object]] = {
            "nvml": self._nvml,
            "plugin-crash": self._plugin_crash,
            "container-crash": self._container_crash,
            "kubelet-restart": self._kubelet_restart,
            "kubelet": self._kubelet,
            "not-ready": self._not_ready,
            "late-pod": self._late_pod,
            "host-service": self._host_service,
            "owner": self._owner,
        }
        try:
            return actions[kind](options)
        except KeyError as error:
            name = str(error.args[0])
            if name in KINDS[kind] and name not in options:
                raise OrderError(f"fault {kind} needs {name}; it takes {', '.join(KINDS[kind])}") from None
            raise OrderError(name) from None

    def _nvml(self, options: Object) -> Object:
        """Of the node's driver (error), of one GPU (lost, xid), of one function of either; or all of them off."""
        agent = self._simulation.agent(options["node"])
        gpus = agent.gpus
        if options.get("clear"):
            gpus.fault, gpus.faults = None, {}
            for gpu in gpus.gpus:
                gpu.lost, gpu.xid, gpu.faults = False, 0, {}
        elif "gpu" in options:
            self._gpu_fault(agent, gpus.gpus[int(options["gpu"])], options)
        else:
            error = _error(options.get("error", ""), may_kill="function" in options)
            if options.get("function"):
                gpus.faults = {**gpus.faults, options["function"]: error}
            else:
                gpus.fault = NvmlError(error)
        agent.gpus_changed()
        return {"node": agent.name}

    @staticmethod
    def _gpu_fault(agent: NodeAgent, gpu: Any, options: Object) -> None:
        if options.get("lost"):
            gpu.lost = True
        if options.get("xid"):
            agent.report_xid(gpu, int(options["xid"]))
        if options.get("function"):
            error = _error(options.get("error", "UNKNOWN"), may_kill=True)
            gpu.faults = {**gpu.faults, options["function"]: error}

    def _plugin_crash(self, options: Object) -> Object:
        agent = self._simulation.agent(options["node"])
        return {"node": agent.name, "crashed": agent.crash_plugins(int(options.get("code", 2)))}

    def _container_crash(self, options: Object) -> Object:
        """The programs in a pod end: ``pod`` is namespace/name, or how that begins. ``reason`` OOMKilled: by the kernel."""
        agent, pod = self._simulation.agent(options["node"]), str(options["pod"])
        reason = str(options.get("reason", "Error"))
        code = int(options.get("code", 137 if reason == "OOMKilled" else 1))
        crashed = []
        for key, runtime in list(agent.runtimes.items()):
            if key.startswith(pod):
                crashed.append(key)
                for container in runtime.containers:
                    container.crash(code, reason)
        if not crashed:
            raise OrderError(f"fault container-crash: no pod on {agent.name} begins with {pod}")
        return {"node": agent.name, "crashed": crashed}

    def _kubelet_restart(self, options: Object) -> Object:
        agent = self._simulation.agent(options["node"])
        agent.restart_kubelet()
        return {"node": agent.name}

    def _kubelet(self, options: Object) -> Object:
        """``down``: it answers nobody any more. ``up``: it is back, and registers anew if its node was deleted."""
        agent = self._simulation.agent(options["node"])
        actions = {"down": agent.outage.go_silent, "up": agent.outage.speak_again}
        if options.get("action") not in actions:
            raise OrderError(f"fault kubelet: action must be down or up, not {options.get('action')!r}")
        actions[options["action"]]()
        return {"node": agent.name, "action": options["action"]}

    def _not_ready(self, options: Object) -> Object:
        agent = self._simulation.agent(options["node"])
        if options.get("clear"):
            agent.outage.speak_again()
        else:
            agent.outage.go_silent()
        return {"node": agent.name}

    def _host_service(self, options: Object) -> Object:
        """``start``: a systemd service of the host opens NVML. ``stop``: it has ended."""
        agent, unit = self._simulation.agent(options["node"]), str(options["unit"])
        actions: dict[str, Callable[[], None]] = {
            "start": lambda: agent.processes.start_services((unit,)),
            "stop": lambda: agent.processes.release(unit),
        }
        if options.get("action") not in actions:
            raise OrderError(f"fault host-service: action must be start or stop, not {options.get('action')!r}")
        actions[options["action"]]()
        return {"node": agent.name, "unit": unit}

    def _late_pod(self, options: Object) -> Object:
        """At the node's next cordon a pod is bound to it, ``seconds`` after it (0: no list of anybody's is without it).

        The scheduler decides before it sees a cordon and binds after it. ``pod``: a manifest, created and bound, or
        the namespace/name of a pending pod, or how that begins, such as that of a ReplicaSet's pods.
        """
        node, pod = self._simulation.agent(options["node"]).name, options.get("pod")
        if not isinstance(pod, dict) and not (isinstance(pod, str) and "/" in pod):
            raise OrderError(f"fault late-pod: pod must be a manifest or namespace/name, not {pod!r}")
        self._late.setdefault(node, []).append((pod, float(options.get("seconds", 0))))
        return {"node": node}

    def _bind_late(self, node: str) -> None:
        for pod, seconds in self._late.pop(node, []):
            if seconds:
                self._simulation.engine.later(seconds, self._bind, pod, node)
            else:
                self._bind(pod, node)

    def _bind(self, pod: Object | str, node: str) -> None:
        registry = self._simulation.registry
        if isinstance(pod, dict):
            created = registry.create("pods", pod, pod["metadata"].get("namespace"))
            registry.bind(created["metadata"]["namespace"], created["metadata"]["name"], node)
            return
        waiting = [
            item for item in self._simulation.control_plane.context.pods.on_node("") if key_of(item).startswith(pod)
        ]
        if not waiting:
            self._simulation.engine.failures.append(f"fault late-pod: no pending pod begins with {pod}")
            return
        registry.bind(*split_key(min(map(key_of, waiting))), node)

    def _owner(self, options: Object) -> Object:
        """The owner puts its DaemonSet back as it was; with ``reconcile`` after every change from now on."""
        key = options["daemonset"]
        if key not in self._originals:
            raise KeyError(
                f"no DaemonSet {key!r} at the start; there were {', '.join(sorted(self._originals)) or 'none'}"
            )
        if options.get("reconcile"):
            self._reconciled.add(key)
        self._restore(key)
        return {"daemonset": key}

    def _changed(self, change: Change) -> None:
        if change.resource == "nodes" and change.type == "MODIFIED" and change.old is not None:
            if change.obj["spec"].get("unschedulable") and not change.old["spec"].get("unschedulable"):
                self._bind_late(change.obj["metadata"]["name"])
        elif change.resource == DAEMON_SETS and key_of(change.obj) in self._reconciled:
            self._simulation.engine.later(OWNER_SECONDS, self._restore, key_of(change.obj), settles=False)

    def _restore(self, key: str) -> None:
        original = self._originals[key]
        stored = self._simulation.store.get(DAEMON_SETS, *split_key(key))
        if stored is None:
            fresh = {
                **original,
                "metadata": {"name": original["metadata"]["name"], "namespace": original["metadata"]["namespace"]},
            }
            fresh["metadata"] |= {
                name: original["metadata"][name] for name in ("labels", "annotations") if name in original["metadata"]
            }
            fresh.pop("status", None)
            self._simulation.registry.create(DAEMON_SETS, fresh)
        elif stored["spec"] != original["spec"]:
            self._simulation.registry.update(DAEMON_SETS, {**stored, "spec": original["spec"]})


def _error(name: str, *, may_kill: bool = False) -> int:
    """An NVML error by its name; KILL, of a function alone, kills whoever calls it."""
    text = name.upper().removeprefix("NVML_ERROR_")
    if may_kill and text == "KILL":
        return KILL
    if text not in NvmlError.__members__:
        raise OrderError(f"no NVML error {name!r}; there are {', '.join(NvmlError.__members__)}")
    return NvmlError[text]

"""A pod on its node: set-up, running, end, and the status that the kubelet reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from simulator.clock import Clock
from simulator.controllers.engine import Engine, Timer
from simulator.controllers.facts import Facts
from simulator.controllers.kubelet.configured import FeatureDiscovery
from simulator.controllers.kubelet.containers import Container, LogLine
from simulator.controllers.kubelet.plugin import ConfigManager, DevicePlugin, make_container
from simulator.controllers.kubelet.volumes import MissingSourceError, PodVolumes
from simulator.controllers.meta import annotation, condition, key_of, seconds_annotation, stamp, with_condition
from simulator.controllers.quantities import pod_requests

if TYPE_CHECKING:
    from simulator.controllers.kubelet.node import NodeAgent

Object = dict[str, Any]
START_SECONDS, STOP_SECONDS = 2.0, 1.0
#: The plugin is small and ends at once: its pod comes and goes within half a second.
PLUGIN_START_SECONDS, PLUGIN_STOP_SECONDS = 0.2, 0.4
FIRST_MOUNT_RETRY_SECONDS, MAX_MOUNT_RETRY_SECONDS = 0.5, 122.0
#: A pod whose containers do not run yet has nothing to wait for.
UNSTARTED_STOP_SECONDS = 0.05
RETRIES_THAT_SETTLE = 4


class PodRuntime:
    """One pod object's life on one node."""

    def __init__(self, node: NodeAgent, pod: Object) -> None:
        self.node = node
        self.pod = pod
        self.key = key_of(pod)
        self.uid: str = pod["metadata"]["uid"]
        self.name: str = pod["metadata"]["name"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.requests = pod_requests(pod)
        self.volumes = PodVolumes(pod, self._lookup, node.mount_problem)
        self.containers = [make_container(self, spec) for spec in pod["spec"]["containers"]]
        self.init_containers = [make_container(self, spec) for spec in pod["spec"].get("initContainers") or []]
        self.started = False
        self.stopping = False
        self.rejected = False
        #: Its containers have ended because its object is being deleted, ``killed`` if they had to be.
        self.ended = False
        self.killed = False
        #: The key whose file a config-manager linked for the plugin.
        self.config_link: str | None = None
        self.may_run = True
        self._started_at = pod.get("status", {}).get("startTime") or stamp(node.context.clock)
        self._mount_attempts = 0
        self._timer: Timer | None = None

    @property
    def clock(self) -> Clock:
        return self.node.context.clock

    @property
    def engine(self) -> Engine:
        return self.node.context.engine

    @property
    def facts(self) -> Facts:
        return self.node.context.facts

    @property
    def node_name(self) -> str:
        return self.node.name

    @property
    def is_plugin(self) -> bool:
        """Whether a device plugin runs in it. The image does not tell: GPU Feature Discovery comes in the same one."""
        return next(self.plugins(), None) is not None

    def event(self, reason: str, message: str, *, warning: bool = False) -> None:
        self.node.context.event(self.pod, reason, message, "kubelet", warning=warning)

    # Start.

    def set_up(self) -> None:
        """Admitted: report that containers are being created, mount, and start them after a while."""
        self.report()
        self._mount()

    def _mount(self) -> None:
        if not self.may_run or not self.node.reports:
            return
        try:
            self.volumes.mount()
        except MissingSourceError as problem:
            self._mount_attempts += 1
            self.event("FailedMount", str(problem), warning=True)
            self.report()
            delay = min(FIRST_MOUNT_RETRY_SECONDS * 2 ** (self._mount_attempts - 1), MAX_MOUNT_RETRY_SECONDS)
            self._timer = self.engine.later(delay, self._mount, settles=self._mount_attempts <= RETRIES_THAT_SETTLE)
            return
        if self.started:
            self._boot()
            return
        default = PLUGIN_START_SECONDS if self.is_plugin else START_SECONDS
        self._timer = self.engine.later(seconds_annotation(self.pod, "start-seconds", default), self._start)

    def _start(self) -> None:
        if not self.may_run or not self.node.reports:
            return
        if not self._run_init_containers():
            return
        self.started = True
        for container in [*self._sidecars(), *self.containers]:
            container.start()
            if container.running:
                self.event("Started", f"Started container {container.name}")
        self.node.use.begin(self)
        self.report()

    def _run_init_containers(self) -> bool:
        """The config-manager as init container may refuse; then the pod tries again, later and later."""
        for container in self.init_containers:
            problem = container.run_once() if isinstance(container, ConfigManager) and container.one_shot else None
            if problem:
                container.log(f"Error: {problem}")
                self._mount_attempts += 1
                container.restarts += 1
                container.state = {"waiting": {"reason": "CrashLoopBackOff", "message": problem}}
                delay = min(10.0 * 2 ** (self._mount_attempts - 1), 300.0)
                self._timer = self.engine.later(delay, self._start, settles=False)
                self.report()
                return False
            if container.spec.get("restartPolicy") != "Always":
                container.state = {
                    "terminated": {
                        "exitCode": 0,
                        "reason": "Completed",
                        "startedAt": stamp(self.clock),
                        "finishedAt": stamp(self.clock),
                    }
                }
        return True

    def _sidecars(self) -> list[Container]:
        return [item for item in self.init_containers if item.spec.get("restartPolicy") == "Always"]

    # End.

    def begin_stop(self, grace: float) -> None:
        """The pod object is being deleted: its containers end within the grace period, then the object goes.

        Asked again with a shorter grace period, they end by then.
        """
        if self.ended:
            self.node.pod_stopped(self)
            return
        wait = min(self._seconds_to_end(), grace) if self.started else UNSTARTED_STOP_SECONDS
        if self.stopping and self._timer is not None and self._timer.due <= self.engine.time + wait:
            return
        if self._timer is not None:
            self._timer.cancel()
        if not self.stopping:
            self.event("Killing", f"Stopping container {self.containers[0].name}")
        self.stopping, self.may_run = True, False
        self.killed = self.started and self._seconds_to_end() > grace
        self._timer = self.engine.later(wait, self._stopped)

    def _seconds_to_end(self) -> float:
        """How long after SIGTERM the programs end by themselves; infinite if they ignore it."""
        if annotation(self.pod, "ignores-sigterm") == "true":
            return float("inf")
        return seconds_annotation(self.pod, "stop-seconds", PLUGIN_STOP_SECONDS if self.is_plugin else STOP_SECONDS)

    def _stopped(self) -> None:
        self.end()
        self.ended = True
        self.node.pod_stopped(self)

    def report_end(self) -> None:
        """The last status of a pod whose containers have ended but whose object something holds."""
        stored = self.node.context.store.get("pods", self.namespace, self.name)
        if stored is None or stored["metadata"]["uid"] != self.uid:
            return
        phase = "Failed" if self.killed else "Succeeded"
        self.node.context.put_status("pods", stored, {**self._status(stored), "phase": phase})

    def resume(self) -> None:
        """The kubelet is back: go on with a start that it could not carry out."""
        if not self.started and self.may_run and (self._timer is None or self._timer.cancelled):
            self._mount()

    def end(self) -> None:
        """All containers end in order."""
        self.node.use.note(self)
        self.may_run = False
        if self._timer is not None:
            self._timer.cancel()
        for container in [*self.containers, *self._sidecars()]:
            container.stop(killed=self.killed)
        self.started = False

    def power_off(self) -> None:
        self.node.use.note(self)
        if self._timer is not None:
            self._timer.cancel()
        for container in [*self.containers, *self._sidecars()]:
            container.power_off()

    def boot(self) -> None:
        """The machine is back and the pod was admitted again: its volumes first, as at its first start."""
        self._mount_attempts = 0
        self._mount()

    def _boot(self) -> None:
        for container in [*self._sidecars(), *self.containers]:
            container.boot()
        self.node.use.begin(self)
        self.report()

    def reject(self, reason: str, message: str) -> None:
        """Admission failed: the pod has failed for good."""
        self.rejected, self.may_run, self.started = True, False, False
        self.event(reason, message, warning=True)
        status = {
            "phase": "Failed",
            "reason": reason,
            "message": f"Pod was rejected: {message}",
            "startTime": self._started_at,
        }
        old = self.pod.get("status") or {}
        status["qosClass"] = old.get("qosClass", "BestEffort")
        scheduled = condition(self.pod, "PodScheduled")
        if scheduled is not None:
            status["conditions"] = [scheduled]
        self.node.context.put_status("pods", self.pod, status)

    # Programs inside.

    def plugins(self) -> Iterator[DevicePlugin]:
        for container in self.containers:
            if isinstance(container, DevicePlugin):
                yield container

    def discoveries(self) -> Iterator[FeatureDiscovery]:
        for container in self.containers:
            if isinstance(container, FeatureDiscovery):
                yield container

    def signal_plugins(self) -> None:
        for plugin in self.plugins():
            plugin.hang_up()
        for discovery in self.discoveries():
            discovery.look_again()

    def labels_changed(self) -> None:
        for container in [*self._sidecars(), *self.containers]:
            if isinstance(container, ConfigManager):
                container.node_changed()

    def log(self, container: str, *, previous: bool = False) -> list[LogLine]:
        for item in [*self.containers, *self.init_containers]:
            if item.name == container:
                return list(item.previous_log if previous else item.log_lines)
        return []

    # Status.

    def report(self) -> None:
        """Write the pod's status as the containers are now."""
        if self.rejected or not self.node.reports:
            return
        stored = self.node.context.store.get("pods", self.namespace, self.name)
        if stored is None or stored["metadata"]["uid"] != self.uid:
            return
        self.node.context.put_status("pods", stored, self._status(stored))

    def _status(self, stored: Object) -> Object:
        old = stored.get("status") or {}
        ready = all(item.running for item in self.containers) and bool(self.started)
        begun = self.started or any(item.restarts for item in self.containers)
        conditions = old.get("conditions")
        for new in self._conditions(ready, begun):
            conditions = with_condition(conditions, new)
        status: Object = {
            **old,
            "phase": "Running" if begun else "Pending",
            "conditions": conditions,
            "hostIP": self.node.address,
            "hostIPs": [{"ip": self.node.address}],
            "startTime": self._started_at,
            "containerStatuses": [item.status() for item in self.containers],
            "qosClass": old.get("qosClass", "BestEffort"),
        }
        if self.init_containers:
            status["initContainerStatuses"] = [item.status() for item in self.init_containers]
        if begun:
            status["podIP"] = self.node.pod_address(self)
            status["podIPs"] = [{"ip": status["podIP"]}]
        return status

    def _conditions(self, ready: bool, begun: bool) -> list[Object]:
        def make(kind: str, holds: bool, reason: str = "", message: str = "") -> Object:
            item: Object = {
                "type": kind,
                "status": "True" if holds else "False",
                "lastProbeTime": None,
                "lastTransitionTime": stamp(self.clock),
            }
            if not holds and reason:
                item |= {"reason": reason, "message": message}
            return item

        unready = [item.name for item in self.containers if not item.running]
        text = f"containers with unready status: [{' '.join(unready)}]"
        return [
            make("PodReadyToStartContainers", begun),
            make("Initialized", True),
            make("Ready", ready, "ContainersNotReady", text),
            make("ContainersReady", ready, "ContainersNotReady", text),
        ]

    def _lookup(self, kind: str, name: str) -> Object | None:
        resource = {"configmap": "configmaps", "secret": "secrets"}[kind]
        return self.node.context.store.get(resource, self.namespace, name)

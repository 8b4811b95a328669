"""Containers: started, stopped, restarted with growing pauses, and what they log."""

from __future__ import annotations

import uuid
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

from simulator.clock import rfc3339
from simulator.controllers.engine import Timer
from simulator.controllers.meta import annotation

if TYPE_CHECKING:
    from simulator.controllers.kubelet.pods import PodRuntime

Object = dict[str, Any]
LogLine = tuple[datetime, str]
LOG_LINES_KEPT = 500
FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 10.0, 300.0
#: A container that crashes a few times is still a cluster coming to rest; later restarts are the state of rest.
RESTARTS_THAT_SETTLE = 3
CREATING = {"waiting": {"reason": "ContainerCreating"}}


class Container:
    """An ordinary container: runs until it is stopped."""

    def __init__(self, pod: PodRuntime, spec: Object) -> None:
        self.pod = pod
        self.spec = spec
        self.name: str = spec["name"]
        self.id = ""
        self.state: Object = CREATING
        self.last_state: Object = {}
        self.restarts = 0
        self.log_lines: deque[LogLine] = deque(maxlen=LOG_LINES_KEPT)
        self.previous_log: list[LogLine] = []
        self._crashes = 0
        self._timer: Timer | None = None

    @property
    def running(self) -> bool:
        return "running" in self.state

    def log(self, line: str) -> None:
        self.log_lines.append((self.pod.clock.now(), line))

    def start(self) -> None:
        self.id = uuid.uuid4().hex * 2
        problem = self.pod.node.start_problem(self)
        if problem is not None:
            self._not_started(problem)
            return
        self.state = {"running": {"startedAt": rfc3339(self.pod.clock.now())}}
        self.pod.node.keep_log(self)
        if annotation(self.pod.pod, "holds-nvml") == "true":
            self.open_nvml()
        self.on_start()

    def environment(self) -> dict[str, str]:
        return {item["name"]: item.get("value", "") for item in self.spec.get("env") or []}

    def open_nvml(self) -> None:
        """The program keeps NVML open from now on, with a handle of every GPU."""
        self.pod.node.processes.hold(self.pod.pod, self)

    def on_start(self) -> None:
        """What runs inside, at its start."""
        self.log(f"{self.name} started on {self.pod.node_name}")

    def on_stop(self) -> None:
        """What the program does when it is asked to end."""

    def stop(self, *, killed: bool = False) -> None:
        """At the pod's end: an orderly one, or that of a program that ignored the order until the kubelet lost patience."""
        if self._timer is not None:
            self._timer.cancel()
        if self.running:
            if not killed:
                self.on_stop()
            self._terminated(*((137, "Error") if killed else (0, "Completed")))

    def power_off(self) -> None:
        """The machine went down: the program does nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self.running:
            self._terminated(255, "Unknown")

    def boot(self) -> None:
        """Run again after the machine came back."""
        self.restarts += 1
        self._start_again()

    def crash(self, code: int, reason: str = "Error") -> None:
        """The program ended by itself: it is started again, at once the first time, then after a growing pause."""
        if not self.running:
            return
        self.pod.node.processes.end_container(self.pod.uid, self.name)
        self._terminated(code, reason)
        self._back_off()

    def _not_started(self, problem: str) -> None:
        """The container runtime refused to run it: a hook of NVIDIA's ended with an error."""
        moment = rfc3339(self.pod.clock.now())
        self.state = {
            "terminated": {
                "exitCode": 128,
                "reason": "StartError",
                "message": problem,
                "startedAt": "1970-01-01T00:00:00Z",
                "finishedAt": moment,
                "containerID": f"containerd://{self.id}",
            }
        }
        self.pod.event("Failed", f"Error: {problem}", warning=True)
        if not self._crashes:
            self.last_state, self.state = self.state, {"waiting": {"reason": "RunContainerError", "message": problem}}
        self._back_off()

    def _back_off(self) -> None:
        """Once more: at once the first time, then after a growing pause."""
        self._crashes += 1
        if self._crashes == 1:
            delay = 1.0
        else:
            delay = min(FIRST_BACKOFF_SECONDS * 2 ** (self._crashes - 2), MAX_BACKOFF_SECONDS)
            message = f"back-off {delay:.0f}s restarting failed container={self.name} pod={self.pod.name}_{self.pod.namespace}({self.pod.uid})"
            self.last_state, self.state = self.state, {"waiting": {"reason": "CrashLoopBackOff", "message": message}}
            self.pod.event(
                "BackOff",
                f"Back-off restarting failed container {self.name} in pod {self.pod.name}_{self.pod.namespace}({self.pod.uid})",
                warning=True,
            )
        settles = self._crashes <= RESTARTS_THAT_SETTLE
        self._timer = self.pod.engine.later(delay, self._restart, settles=settles)
        self.pod.report()

    def _restart(self) -> None:
        if self.pod.may_run:
            self.restarts += 1
            self._start_again()
            if self.running:
                self.pod.node.use.begin(self.pod)

    def _start_again(self) -> None:
        if "terminated" in self.state:
            self.last_state = self.state
        self.previous_log, self.log_lines = list(self.log_lines), deque(maxlen=LOG_LINES_KEPT)
        self.start()
        self.pod.report()

    def _terminated(self, code: int, reason: str) -> None:
        self.pod.node.processes.release(self.id)
        began = self.state["running"]["startedAt"]
        ended = rfc3339(self.pod.clock.now())
        self.state = {
            "terminated": {
                "exitCode": code,
                "reason": reason,
                "startedAt": began,
                "finishedAt": ended,
                "containerID": f"containerd://{self.id}",
            }
        }

    def status(self) -> Object:
        image = self.spec.get("image", "")
        status: Object = {
            "name": self.name,
            "state": self.state,
            "lastState": self.last_state,
            "ready": self.running,
            "restartCount": self.restarts,
            "image": image,
            "imageID": f"{image.partition('@')[0].rpartition(':')[0] or image}@sha256:{uuid.uuid5(uuid.NAMESPACE_URL, image).hex * 2}"
            if self.id
            else "",
            "started": self.running,
        }
        if self.id:
            status["containerID"] = f"containerd://{self.id}"
        return status

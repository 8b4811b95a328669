"""Starting, using and ending a simulated cluster that runs in a process of its own.

with SimulatedCluster.start("reference", tmp_path, speed=50) as cluster:
    cluster.client().get("/api/v1/nodes")
    seq = cluster.position()
    …
    assert cluster.writes(since=seq) == []
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from simulator.client import Client, ClientError
from simulator.cluster_process import AUDIT, KUBECONFIG, LOCK, PID, READY, lock_directory
from simulator.scenario import SCENARIOS, Scenario

Object = dict[str, Any]
START_SECONDS, STOP_SECONDS, KILL_SECONDS = 180.0, 15.0, 5.0
POLL_SECONDS = 0.05
LOG_LINES_SHOWN = 15
#: What a cluster leaves in its directory; nothing else in there is ever removed.
LEFTOVERS = (READY, PID, KUBECONFIG, AUDIT, "log", "nodes", "tls.crt", "tls.key", "scenario.yml")


class ClusterError(Exception):
    """What was attempted, what was found, and what to do."""


@dataclass(frozen=True)
class SimulatedCluster:
    """A running cluster. Leaving the context ends it."""

    directory: Path

    @classmethod
    def start(
        cls,
        scenario: Path | str | Object,
        directory: Path,
        *,
        speed: float | None = None,
        port: int = 0,
        detached: bool = False,
    ) -> SimulatedCluster:
        """Start and wait until the history is replayed. Unless ``detached`` the cluster ends with this process.

        ``scenario`` is a file, the name of a scenario that comes along, or its data. Raises ClusterError or ScenarioError.
        """
        Scenario.load(scenario)
        directory = Path(directory).resolve()
        _take(directory)
        command = [sys.executable, "-m", "simulator", "serve", "--dir", str(directory), "--port", str(port)]
        command += ["--scenario", str(_scenario_file(scenario, directory))]
        if speed is not None:
            command += ["--speed", str(speed)]
        if not detached:
            command += ["--stop-with", str(os.getpid())]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH", "")]),
        }
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
        _wait_ready(process, directory)
        return cls(directory)

    def __enter__(self) -> SimulatedCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def kubeconfig(self) -> Path:
        return self.directory / KUBECONFIG

    def node_directory(self, node: str) -> Path:
        return self.directory / "nodes" / node

    def stop(self) -> bool:
        """End it; False if it was not running."""
        return stop(self.directory)

    def client(self, *, user_agent: str = "simulator-client") -> Client:
        return Client(self.kubeconfig, user_agent=user_agent)

    def audit(self, since: int = 0) -> list[Object]:
        """Requests after the one with that number, oldest first."""
        entries: list[Object] = self._admin("GET", f"audit?since={since}")["entries"]
        return entries

    def writes(self, since: int = 0) -> list[Object]:
        """Requests that could change something: no reads, no dry runs, no access reviews."""
        return [
            item for item in self.audit(since) if item["verb"] != "GET" and not item["dry_run"] and not item["review"]
        ]

    def position(self) -> int:
        """The number of the last request, to look at those after it."""
        return max((item["seq"] for item in self.audit()), default=0)

    def reboot(self, node: str) -> Object:
        """Power the node off and on; returns at once with the boot id from before."""
        return self._admin("POST", "reboot", {"node": node})

    def fault(self, kind: str, **options: Any) -> Object:
        """Make something go wrong, or right again.

        ``nvml``: of the node's driver or GPUs. ``plugin-crash``, ``kubelet-restart``: on a node. ``owner``: puts its
        DaemonSet back. ``kubelet``, ``action`` down or up: answers nobody; after 40 simulated seconds its node is
        NotReady (Unknown), nothing that is deleted there ever goes, 300 s later its pods are evicted by taint; up
        registers a deleted node anew. ``host-service``, ``unit``, ``action`` start or stop: a service of the host opens or
        closes NVML. ``late-pod``, ``node``, ``pod``: bound to the node at its next cordon.
        ``api`` and ``latency``: of the API server, see ``simulator.apiserver.faults.Fault``. What pods do at their
        end is in annotations: ``simulator.kubegpu/stop-seconds``, ``simulator.kubegpu/ignores-sigterm: "true"``.
        """
        if kind == "api":
            return self._admin("POST", "fault", options)
        if kind == "latency":
            return self._admin("POST", "latency", options)
        return self._admin("POST", "node-fault", {"kind": kind, **options})

    def api_fault(self, number: int, seconds: float = 0.0) -> Object:
        """What has become of a fault of the API: whether it was ``taken``, and which request it ``struck`` first.

        :param seconds: for so long the server waits for it to be taken, at most. Asking again and again would keep two
            cores busy.
        """
        listed: list[Object] = self._admin("GET", f"fault?taken={number}&seconds={seconds}")["faults"]
        return next(item for item in listed if item["id"] == number)

    def clear_api_faults(self) -> None:
        self._admin("DELETE", "fault")

    def state(self) -> Object:
        """What the simulator knows about itself.

        ``broken_pods`` lists ``node``, ``pod`` and ``devices`` of pods whose MIG device was destroyed while they ran, also
        of those that are gone by now.
        """
        return self._admin("GET", "state")

    def settle(self, timeout: float = 60.0) -> Object:
        """Wait until nothing is going on in the cluster. Raises ClusterError if that takes longer than ``timeout`` seconds."""
        state = self._admin("GET", f"settle?timeout={timeout}")
        if not state["settled"]:
            raise ClusterError(
                f"The cluster in {self.directory} was not at rest after {timeout} s; see {self.directory / 'log'}"
            )
        return state

    def wait_until(self, condition: Callable[[], Any], timeout: float = 60.0, what: str = "the condition") -> Any:
        """Poll until ``condition`` returns something true, and return that. Raises ClusterError."""
        deadline = time.monotonic() + timeout
        while True:
            result = condition()
            if result:
                return result
            if time.monotonic() > deadline:
                raise ClusterError(f"{what} did not come about within {timeout} s in the cluster in {self.directory}")
            time.sleep(POLL_SECONDS)

    def _admin(self, verb: str, path: str, body: Object | None = None) -> Object:
        try:
            return self.client().request(verb, f"/simulator/v1/{path}", body)
        except FileNotFoundError:
            raise ClusterError(
                f"No cluster runs in {self.directory}: start one with up --dir {self.directory}"
            ) from None
        except ClientError as error:
            message = error.body.get("error") if isinstance(error.body, dict) else None
            raise ClusterError(message or str(error)) from None


def is_running(directory: Path) -> bool:
    if not (directory / LOCK).exists():
        return False
    lock = lock_directory(directory)
    if lock is None:
        return True
    lock.close()
    return False


def stop(directory: Path) -> bool:
    """End the cluster of a directory; False if none is running there."""
    directory = Path(directory).resolve()
    if not is_running(directory):
        return False
    pid = int((directory / PID).read_text(encoding="utf-8"))
    _signal(pid, signal.SIGTERM)
    if not _gone(directory, STOP_SECONDS):
        _signal(pid, signal.SIGKILL)
        if not _gone(directory, KILL_SECONDS):
            raise ClusterError(f"Process {pid} of the cluster in {directory} does not end, not even by SIGKILL")
    return True


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _gone(directory: Path, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while is_running(directory):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def _take(directory: Path) -> None:
    """Make the directory ours: refuse if a live cluster is in it, clear what a dead one left."""
    directory.mkdir(parents=True, exist_ok=True)
    if is_running(directory):
        raise ClusterError(
            f"A cluster is already running in {directory} (process {(directory / PID).read_text().strip()}): "
            f"use it with KUBECONFIG={directory / KUBECONFIG}, end it with down --dir {directory}, or choose another directory"
        )
    for name in LEFTOVERS:
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _scenario_file(scenario: Path | str | Object, directory: Path) -> Path:
    if isinstance(scenario, dict):
        path = directory / "scenario.yml"
        path.write_text(
            json.dumps(scenario) if len(scenario.get("nodes", [])) > 100 else yaml.safe_dump(scenario), encoding="utf-8"
        )
        return path
    path = Path(scenario)
    return path.resolve() if path.exists() else (SCENARIOS / f"{scenario}.yml")


def _wait_ready(process: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (directory / READY).exists():
        code = process.poll()
        if code is not None or time.monotonic() > deadline:
            if code is None:
                process.kill()
                process.wait()
            what = f"ended with {code}" if code is not None else f"was not ready after {START_SECONDS:.0f} s"
            lines = (directory / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES_SHOWN:]
            raise ClusterError(
                "\n".join([f"The cluster in {directory} {what}. The end of {directory / 'log'}:", *lines])
            )
        time.sleep(POLL_SECONDS)

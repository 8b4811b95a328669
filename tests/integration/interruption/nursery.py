# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes for clusters and control nodes: begun in an instant, because a process that has imported everything is forked."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Iterator

from simulator import cluster_process
from simulator.cluster import SimulatedCluster
from simulator.cluster_process import READY

from .control_node import Orders, carry_out

TESTS = Path(__file__).resolve().parents[2]
COLLECTIONS = TESTS.parent / ".venv" / "collections"
#: This very file, as seen from there.
MODULE = "integration.interruption.nursery"
POLL_SECONDS = 0.01
START_SECONDS = 60.0
#: Of a run, on a machine that is busy with others.
RUN_SECONDS = 180.0


@dataclass(frozen=True)
class Process:
    """A control node at work."""

    pid: int
    result: Path

    @property
    def alive(self) -> bool:
        return Path(f"/proc/{self.pid}").exists()

    @property
    def parent(self) -> int:
        """0 if it has ended."""
        try:
            return int(Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return 0

    def signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9, and wait until nothing of it is left."""
        self.signal(signal.SIGKILL)
        self._wait(START_SECONDS)

    def end(self, seconds: float = RUN_SECONDS) -> dict[str, Any]:
        """What came of it. It is killed if it does not end in time."""
        if not self._wait(seconds):
            self.kill()
            raise AssertionError(f"the control node did not end within {seconds} s")
        result: dict[str, Any] = json.loads(self.result.read_text(encoding="utf-8"))
        return result

    def await_result(self, seconds: float) -> None:
        """Return when the process has written what it is to write."""
        deadline = time.monotonic() + seconds
        while not self.result.exists():
            assert self.alive, f"process {self.pid} ended before it had written {self.result}"
            assert time.monotonic() < deadline, f"{self.result} was not there within {seconds} s"
            time.sleep(POLL_SECONDS)

    def _wait(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


class Nursery:
    """Where control nodes come from. Use it as a context; threads may share it."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._guard = threading.Lock()
        self._children: list[Process] = []

    def __enter__(self) -> Nursery:
        paths = [str(TESTS), str(COLLECTIONS)]
        with self._log.open("w", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", MODULE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                text=True,
            )
        return self

    def __exit__(self, *_details: object) -> None:
        for child in self._children:
            if child.parent == self._process.pid:  # the number of one that has ended may be another's by now
                child.signal(signal.SIGKILL)
        stdin, stdout = self._pipes()
        stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        stdout.close()

    def begin(self, orders: Orders) -> Process:
        """Let a control node carry out its orders."""
        Path(orders.directory).mkdir(parents=True)
        return self._fork("orders", asdict(orders), orders.result)

    @contextlib.contextmanager
    def cluster(self, scenario: dict[str, Any], directory: Path, speed: float) -> Iterator[SimulatedCluster]:
        """A simulated cluster; it ends with the context."""
        directory.mkdir(parents=True)
        path = directory / "scenario.yml"
        path.write_text(json.dumps(scenario), encoding="utf-8")
        order = {"scenario": str(path), "directory": str(directory), "speed": speed, "stop_with": os.getpid()}
        process = self._fork("cluster", order, directory / READY)
        try:
            process.await_result(START_SECONDS)
            yield SimulatedCluster(directory)
        finally:
            process.kill()

    def _fork(self, kind: str, content: dict[str, Any], result: Path) -> Process:
        stdin, stdout = self._pipes()
        with self._guard:
            stdin.write(json.dumps({kind: content}) + "\n")
            stdin.flush()
            answer = stdout.readline()
        if not answer:
            raise AssertionError(f"no process could be started: {self._log.read_text(encoding='utf-8')}")
        child = Process(int(answer), result)
        self._children.append(child)
        return child

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        return stdin, stdout


def main() -> None:
    """Fork a process for each line on stdin, and answer with its id."""
    # Children are not waited for: they vanish as they end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _live(json.loads(line))
            os._exit(0)
        print(pid, flush=True)


def _live(order: dict[str, Any]) -> None:
    """The life of a child. What it says goes to the nursery's log."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with open(os.devnull, encoding="utf-8") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    if "orders" in order:
        carry_out(Orders(**order["orders"]))
        return
    content = order["cluster"]
    content |= {name: Path(content[name]) for name in ("scenario", "directory")}
    cluster_process.run(cluster_process.Order(**content))


if __name__ == "__main__":
    main()

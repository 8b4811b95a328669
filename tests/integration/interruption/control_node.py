# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A control node that runs one rollout from its plan to its end, by the modules in the order of the role.

Runs in a process of its own, so that it can be killed or stopped at any moment. What came of it is written to a file.
"""

from __future__ import annotations

import json
import os
import traceback
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Callable

from unit.plugins.fakes.driver import Driver

from ansible_collections.kubegpu.sharing.plugins.action import sharing_plan
from ansible_collections.kubegpu.sharing.plugins.filter.step_failures import step_failures
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import client, retrying, transport, watching
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node import NodeReader
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.modules import (
    access_info,
    gpu_resources_info,
    maintenance_lock,
    rollback_plan,
    rollout_snapshot_info,
    rollout_status_info,
)

Object = dict[str, Any]

#: How a run ended.
DONE, NOTHING_TO_DO, STOPPED, CRASHED = "done", "nothing to do", "stopped", "crashed"

#: A test waits neither for a silent server as long as an operator does, nor between two tries. A server that is not silent
#: answers in less, also on a machine that is busy with others; a watch may be begun anew at any time.
READ_TIMEOUT_SECONDS = 3
WATCH_SECONDS = 1
FIRST_PAUSE_SECONDS = 0.02


@dataclass(frozen=True)
class Orders:
    """What to roll out, where, and as whom.

    :param directory: the run's own.
    :param nodes: directories of the GPU nodes, with their NVML library, /proc and kubelet.
    :param approved: the plan_id under which the rollout was begun, "" for a new one.
    :param planning: options of sharing_plan.
    :param options: options of the steps.
    :param rollback_of: the run whose changes are to be taken back; "" for a rollout.
    :param skew_seconds: how far the control node's clock is ahead.
    """

    kubeconfig: str
    directory: str
    nodes: dict[str, str]
    run: str
    planning: Object
    approved: str = ""
    options: Object = field(default_factory=dict)
    rollback_of: str = ""
    skew_seconds: float = 0.0

    @property
    def result(self) -> Path:
        """Where the run writes what came of it."""
        return Path(self.directory) / "result.json"


@dataclass
class Ending:
    """What came of a run.

    :param message: why it stopped.
    """

    ended: str
    plan_id: str = ""
    message: str = ""
    approved_reason: str = ""


class StoppedError(Exception):
    """The role's fail task: nothing goes on from here."""


class SkewedClock(SystemClock):
    """A machine whose time of day is wrong."""

    def __init__(self, seconds: float) -> None:
        self._ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._ahead


class ControlNode:
    """Carries out its orders."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.directory = Path(orders.directory)
        self.api = KubeClient(transport.connect({"kubeconfig": orders.kubeconfig}, agent_of(orders.run)))
        self.clock = SkewedClock(orders.skew_seconds)
        self.plan: Object = {}
        self.approved_reason = ""

    def roll_out(self) -> Ending:
        """From the plan to the proof, as the playbook does it."""
        try:
            self.plan = self.make_plan()
            self.approve()
            if self.plan["empty"]:
                self.clear_up()
                self.prove()
                return self._ending(NOTHING_TO_DO)
            driver = self.begin()
            for number in range(len(self.plan["waves"])):
                self.wave(driver, number)
            self.finish(driver)
        except (KubeGpuError, StoppedError) as error:
            return self._ending(STOPPED, str(error))
        return self._ending(DONE)

    def make_plan(self) -> Object:
        """The plan of the present state, by the code of the modules and the action."""
        paths = {name: str(self.directory / name) for name in ("cluster.json", "facts", "plan.json")}
        read_facts(self.orders.nodes, Path(paths["facts"]))
        gpu_resources_info.run(defaults(gpu_resources_info, dest=paths["cluster.json"]), self.api)
        if self.orders.rollback_of:
            return self.make_way_back(paths["cluster.json"], paths["plan.json"])
        given = {
            **{name: option.get("default") for name, option in sharing_plan.ARGUMENT_SPEC.items()},
            "cluster_path": paths["cluster.json"],
            "facts_dir": paths["facts"],
            "hosts": {name: name for name in self.orders.nodes},
            **self.orders.planning,
        }
        plan = build_plan(sharing_plan.make_request(given, {}))
        sharing_plan.write_plan(paths["plan.json"], plan)
        return plan

    def make_way_back(self, cluster: str, dest: str) -> Object:
        chosen = {word: value for word, value in self.orders.planning.items() if word != "configs"}
        given = {"hosts": {name: name for name in self.orders.nodes}, "snapshot_run": self.orders.rollback_of}
        rollback_plan.run(defaults(rollback_plan, cluster_path=cluster, dest=dest, **given, **chosen), self.api)
        plan: Object = json.loads(Path(dest).read_text(encoding="utf-8"))
        return plan

    def approve(self) -> None:
        """Another plan than the approved one may go on only as a part of it."""
        if self.orders.approved in ("", self.plan["plan_id"]):
            return
        params = defaults(rollout_snapshot_info, plan_path=self.plan_path, plan_id=self.orders.approved)
        verdict = rollout_snapshot_info.run(params, self.api).to_result()
        self.approved_reason = verdict["reason"]
        if not verdict["resumable"]:
            raise StoppedError(f"The plan is now {self.plan['plan_id']}. {verdict['reason']}")

    @property
    def plan_path(self) -> str:
        return str(self.directory / "plan.json")

    @property
    def driver(self) -> Driver:
        return Driver(
            api=self.api,
            clock=self.clock,
            plan_path=self.plan_path,
            nodes=(),
            run=self.orders.run,
            journal=self.directory / "journal.jsonl",
            options={"facts_dir": str(self.directory / "facts"), **self.orders.options},
        )

    def clear_up(self) -> None:
        """What a run has left that died after its last node. Not while the lock is that of a run that is alive."""
        look = self.driver.of(check_mode=True)
        seen, surplus = _outcome(look.lock), _outcome(look.pruned)
        if "taken_over" not in seen or not (seen["taken_over"] or surplus.get("actions")):
            return
        if "taken_over" in _outcome(self.driver.lock):
            self.tidy(self.driver)

    def begin(self) -> Driver:
        driver = self.driver
        try:
            allowed = access_info.run(defaults(access_info, plan_path=self.plan_path), self.api).to_result()
            if allowed["missing"]:
                raise StoppedError(allowed["msg"])
            driver.lock()
            driver.snapshot(plan_id=self.orders.approved)
            driver.present()
        except (KubeGpuError, StoppedError):
            _in_any_case(driver.unlock)
            raise
        return driver

    def wave(self, driver: Driver, number: int) -> None:
        """A step goes on with the nodes that are well; then the wave fails if a node did."""
        waves = self.plan["waves"]
        nodes = waves[number]
        earlier = [node for wave in waves[:number] for node in wave]
        results = [self.gate(earlier, nodes)]
        driver = driver.of(
            options={**driver.options, "baseline_path": str(self.directory / f"health_{number + 1}.json")}
        )
        for step in ("recorded", "in_maintenance", "withdrawn", "serving", "in_service", "watched"):
            failed = step_failures(results, nodes)
            well = tuple(node for node in nodes if node not in failed)
            if well:
                results.append(_outcome(getattr(driver.of(nodes=well), step)))
        failed = step_failures(results, nodes)
        if failed:
            _outcome(lambda: self.status(nodes=list(failed)))
            _in_any_case(driver.unlock)
            raise StoppedError(" ".join(f"{node}: {reason}" for node, reason in failed.items()))

    def gate(self, earlier: list[str], nodes: list[str]) -> Object:
        found = _outcome(lambda: self.status(nodes=earlier, about_to_begin=nodes, max_unavailable="100%"))
        return (
            {"skipped": True}
            if found.get("matches")
            else {"msg": found.get("msg") or "the gate ended without a result"}
        )

    def tidy(self, driver: Driver) -> None:
        try:
            if self.orders.rollback_of:
                driver.reverted()
            driver.pruned()
        finally:
            driver.unlock()

    def finish(self, driver: Driver) -> None:
        self.tidy(driver)
        self.prove()

    def prove(self) -> None:
        found = self.status()
        if not found["matches"]:
            raise StoppedError(found["msg"])

    def status(self, **more: Any) -> Object:
        return rollout_status_info.run(
            defaults(rollout_status_info, plan_path=self.plan_path, **more), self.api
        ).to_result()

    def _ending(self, ended: str, message: str = "") -> Ending:
        return Ending(ended, self.plan.get("plan_id", ""), message, self.approved_reason)


def carry_out(orders: Orders) -> None:
    """The whole life of the process. Its result is there at once or not at all."""
    transport.READ_TIMEOUT_SECONDS = READ_TIMEOUT_SECONDS
    watching._WINDOW_SECONDS = client._WATCH_MARGIN_SECONDS = WATCH_SECONDS
    retrying._FIRST_PAUSE_SECONDS = FIRST_PAUSE_SECONDS
    try:
        ending = ControlNode(orders).roll_out()
    except BaseException:
        ending = Ending(CRASHED, message=traceback.format_exc())
    write_whole(orders.result, json.dumps(asdict(ending)))


def take_lock(orders: Orders, **options: Any) -> Object:
    """Only the lock, for the run of these orders."""
    params = defaults(maintenance_lock, state="present", run=orders.run, **{**orders.options, **options})
    api = KubeClient(transport.connect({"kubeconfig": orders.kubeconfig}, agent_of(orders.run)))
    return maintenance_lock.run(params, api, SkewedClock(orders.skew_seconds), False).to_result()


def agent_of(run: str) -> str:
    """User-Agent of a run, by which its requests are known."""
    return f"control-node/{run}"


def defaults(module: Any, **given: Any) -> Object:
    """A module's parameters as Ansible would hand them over."""
    spec = module.argument_spec().options
    return {name: given.get(name, option.get("default")) for name, option in spec.items()}


def read_facts(nodes: dict[str, str], directory: Path) -> None:
    """gpu_info on each node. A process loads one NVML library in its life, so each node gets a process."""
    directory.mkdir(parents=True, exist_ok=True)
    children = []
    for name, root in nodes.items():
        child = os.fork()
        if child == 0:
            os._exit(_read_node(name, root, directory))
        children.append(child)
    for child in children:
        _pid, status = os.waitpid(child, 0)
        if status:
            raise RuntimeError(f"reading the facts of one of {', '.join(nodes)} ended with status {status}")


def _read_node(name: str, root: str, directory: Path) -> int:
    try:
        reader = NodeReader(f"{root}/libnvidia-ml.so.1", files=NodeFiles(f"{root}/proc", f"{root}/kubelet"))
        document = {"schema_version": 1, "host": name, "node": name, "facts": reader.read()}
        write_whole(directory / f"{name}.json", json.dumps(document))
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def write_whole(path: Path, text: str) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _outcome(step: Callable[[], Object]) -> Object:
    """A task with failed_when: false: a module that failed as a whole has a message and nothing else."""
    try:
        return step()
    except KubeGpuError as error:
        return {"msg": error.msg}


def _in_any_case(step: Callable[[], Object]) -> None:
    try:
        step()
    except KubeGpuError:
        return

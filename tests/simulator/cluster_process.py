"""The process that is a running simulated cluster: replays the scenario, then serves it until it is told to end."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import logging
import os
import secrets
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from aiohttp import web

from simulator.apiserver.app import create_app
from simulator.apiserver.handlers.admin import PREFIX
from simulator.apiserver.kubeconfig import write_kubeconfig
from simulator.apiserver.serving import serve
from simulator.node_faults import NodeFaults, OrderError
from simulator.scenario import Scenario
from simulator.simulation import Simulation

Object = dict[str, Any]
log = logging.getLogger("simulator")
LOCK, READY, PID, KUBECONFIG, AUDIT = "lock", "ready.json", "pid", "kubeconfig", "audit.jsonl"
PARENT_CHECK_SECONDS = 2.0
SETTLE_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Order:
    """What to run and where. ``stop_with`` is a process whose end ends the cluster."""

    scenario: Path
    directory: Path
    speed: float | None = None
    port: int = 0
    stop_with: int | None = None


def lock_directory(directory: Path) -> IO[str] | None:
    """The directory's lock, held as long as the returned file is open; None if a live cluster holds it."""
    handle = (directory / LOCK).open("a", encoding="utf-8")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def run(order: Order) -> None:
    """Serve until SIGTERM or SIGINT. The caller has made the directory; it is locked from here on."""
    lock = lock_directory(order.directory)
    if lock is None:
        raise SystemExit(f"{order.directory} is in use by a live cluster")
    (order.directory / PID).write_text(f"{os.getpid()}\n", encoding="utf-8")
    try:
        asyncio.run(_serve(order))
    finally:
        for name in (READY, KUBECONFIG, PID):
            (order.directory / name).unlink(missing_ok=True)
        lock.close()


async def _serve(order: Order) -> None:
    scenario = Scenario.load(order.scenario)
    simulation = _replayed(scenario, order)
    token = secrets.token_urlsafe(24)
    app = create_app(
        simulation.registry,
        [token],
        audit_path=order.directory / AUDIT,
        version=scenario.kubernetes_version,
        log_source=simulation.log,
    )
    add_routes(app, simulation)
    served = await serve(app, order.directory, port=order.port)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    watcher = loop.create_task(_watch_parent(order.stop_with, ended))
    simulation.engine.start(loop)
    simulation.go_live()
    kubeconfig = write_kubeconfig(order.directory / KUBECONFIG, served.url, served.ca_pem, token)
    _write_ready(
        order.directory,
        {"url": served.url, "pid": os.getpid(), "kubeconfig": str(kubeconfig), "scenario": scenario.name},
    )
    log.info("ready at %s, speed %s", served.url, simulation.registry.clock.speed)
    try:
        await ended.wait()
    finally:
        log.info("ending")
        watcher.cancel()
        simulation.engine.stop()
        await served.close()


def _replayed(scenario: Scenario, order: Order) -> Simulation:
    """The cluster as it is now. A fleet is millions of long-lived objects that the garbage collector would walk in vain."""
    gc.disable()
    simulation = Simulation(scenario, directory=order.directory, speed=order.speed)
    simulation.replay(log.info)
    gc.freeze()
    gc.enable()
    return simulation


async def _watch_parent(pid: int | None, ended: asyncio.Event) -> None:
    while pid is not None and not ended.is_set():
        await asyncio.sleep(PARENT_CHECK_SECONDS)
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            ended.set()


def _write_ready(directory: Path, content: Object) -> None:
    temporary = directory / f".{READY}"
    temporary.write_text(json.dumps(content), encoding="utf-8")
    temporary.replace(directory / READY)


def add_routes(app: web.Application, simulation: Simulation) -> None:
    """The simulator's own endpoints that act on nodes and controllers."""
    faults = NodeFaults(simulation)

    async def reboot(request: web.Request) -> web.Response:
        try:
            agent = simulation.agent((await request.json())["node"])
        except KeyError as error:
            return web.json_response({"error": str(error.args[0])}, status=400)
        before = agent.boot_id
        agent.reboot()
        return web.json_response({"node": agent.name, "boot_id_before": before})

    async def node_fault(request: web.Request) -> web.Response:
        body = await request.json()
        try:
            return web.json_response(faults.order(body.pop("kind", ""), body))
        except OrderError as error:
            return web.json_response({"error": str(error)}, status=400)

    async def state(request: web.Request) -> web.Response:
        return web.json_response(_state(simulation))

    async def settle(request: web.Request) -> web.Response:
        """Answers when the cluster is at rest, or says that it was not within ``timeout`` seconds."""
        deadline = asyncio.get_running_loop().time() + float(request.query.get("timeout", "60"))
        while not simulation.engine.settled and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(SETTLE_POLL_SECONDS)
        return web.json_response(_state(simulation))

    app.router.add_post(f"{PREFIX}/reboot", reboot)
    app.router.add_post(f"{PREFIX}/node-fault", node_fault)
    app.router.add_get(f"{PREFIX}/state", state)
    app.router.add_get(f"{PREFIX}/settle", settle)


def _state(simulation: Simulation) -> Object:
    agents = simulation.agents
    return {
        "scenario": simulation.scenario.name,
        "speed": simulation.registry.clock.speed,
        "time": simulation.engine.time,
        "settled": simulation.engine.settled,
        "failures": simulation.engine.failures,
        "broken_pods": [item for agent in agents.values() for item in agent.use.broken()],
        "boot_ids": {name: agent.boot_id for name, agent in agents.items()},
    }

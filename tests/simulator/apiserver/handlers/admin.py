"""The simulator's own endpoints under /simulator/v1/: audit and API faults. They are not audited and need no token."""

from __future__ import annotations

import asyncio

from aiohttp import web

from simulator.apiserver.server import ApiServer

PREFIX = "/simulator/v1"
#: How often is looked whether a fault has begun to act.
LOOK_SECONDS = 0.01


def add_routes(app: web.Application, server: ApiServer) -> None:
    async def audit(request: web.Request) -> web.Response:
        return web.json_response({"entries": server.audit.since(int(request.query.get("since", "0")))})

    async def order_fault(request: web.Request) -> web.Response:
        try:
            fault = server.faults.add(await request.json())
        except (TypeError, ValueError) as problem:
            return web.json_response({"error": str(problem)}, status=400)
        return web.json_response({"id": fault.id})

    async def list_faults(request: web.Request) -> web.Response:
        """With ``taken`` and ``seconds``: once that fault has begun to act, or after that time."""
        awaited, seconds = request.query.get("taken"), float(request.query.get("seconds", "0"))
        end = asyncio.get_running_loop().time() + seconds
        while awaited and not server.faults.is_taken(int(awaited)) and asyncio.get_running_loop().time() < end:
            await asyncio.sleep(LOOK_SECONDS)
        return web.json_response({"latency_ms": server.faults.latency_ms, "faults": server.faults.listing()})

    async def clear_faults(request: web.Request) -> web.Response:
        server.faults.clear()
        return web.json_response({})

    async def set_latency(request: web.Request) -> web.Response:
        server.faults.latency_ms = float((await request.json())["latency_ms"])
        return web.json_response({"latency_ms": server.faults.latency_ms})

    async def compact(request: web.Request) -> web.Response:
        resource = (await request.json())["resource"]
        server.registry.store.compact(resource)
        return web.json_response({"resource": resource, "revision": server.registry.store.revision})

    app.router.add_get(f"{PREFIX}/audit", audit)
    app.router.add_post(f"{PREFIX}/fault", order_fault)
    app.router.add_get(f"{PREFIX}/fault", list_faults)
    app.router.add_delete(f"{PREFIX}/fault", clear_faults)
    app.router.add_post(f"{PREFIX}/latency", set_latency)
    app.router.add_post(f"{PREFIX}/compact", compact)

"""The API server as an aiohttp application: authenticate, authorize, dispatch, audit, and the faults in between."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from aiohttp import web

from simulator.apiserver import audit as audit_log
from simulator.apiserver import errors
from simulator.apiserver.audit import REVIEWS, Audit
from simulator.apiserver.authn import ADMIN, Authenticator, User
from simulator.apiserver.errors import ApiError
from simulator.apiserver.faults import FLOW_CONTROL_RETRY_SECONDS, FLOW_CONTROL_STATUS, FLOW_CONTROL_TEXT, Fault, Faults
from simulator.apiserver.handlers import admin, discovery, reads, reviews, subresources, watches, writes
from simulator.apiserver.negotiation import negotiate
from simulator.apiserver.rbac import Access, Authorizer
from simulator.apiserver.requestinfo import RequestInfo, parse_request
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.server import ApiServer, Call, LogSource
from simulator.registry import Registry

LOG = logging.getLogger(__name__)
SERVER = web.AppKey("server", ApiServer)
HANG_SECONDS = 3600


def create_app(
    registry: Registry,
    tokens: dict[str, User] | list[str],
    *,
    audit_path: Path | None = None,
    version: str = "v1.36.2",
    log_source: LogSource | None = None,
) -> web.Application:
    """``tokens``: bearer tokens with their users; a list means cluster administrators. The app's parts are at app[SERVER]."""
    users = tokens if isinstance(tokens, dict) else dict.fromkeys(tokens, ADMIN)
    server = ApiServer(
        registry=registry,
        authenticator=Authenticator(registry, users),
        authorizer=Authorizer(registry.store),
        audit=Audit(audit_path),
        faults=Faults(),
        version=version,
        log_source=log_source,
    )
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app[SERVER] = server
    admin.add_routes(app, server)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await _handle(server, request)

    async def close(app: web.Application) -> None:
        server.audit.close()

    app.router.add_route("*", "/{path:.*}", handle)
    app.on_cleanup.append(close)
    return app


async def _handle(server: ApiServer, request: web.Request) -> web.StreamResponse:
    faults = server.faults.strike(request.method, request.path_qs, request.headers.get("User-Agent", ""))
    serving = _serve(server, request, faults)
    if not any(fault.detached for fault in faults):
        return await serving
    await request.read()  # a connection that is lost takes with it what was not read
    task = asyncio.ensure_future(serving)
    server.detached.add(task)
    task.add_done_callback(server.detached.discard)
    return await asyncio.shield(task)


async def _serve(server: ApiServer, request: web.Request, faults: list[Fault]) -> web.StreamResponse:
    """One request, from its faults to its audit entry."""
    started = audit_log.now()
    info = parse_request(request.method, request.path, request.query)
    status, size = 0, 0
    if server.faults.latency_ms:
        await asyncio.sleep(server.faults.latency_ms / 1000)
    try:
        response = await _faulty(request, [fault for fault in faults if not fault.late])
        if response is None:
            response = await _answer(server, request, info)
            lost = await _faulty(request, [fault for fault in faults if fault.late])
            response = lost or response
        status, size = response.status, _size(response)
        return response
    finally:
        server.audit.record(
            time=started,
            verb=request.method,
            path=request.path_qs,
            resource=f"{info.group}/{info.resource}" if info.group else info.resource,
            namespace=info.namespace,
            name=info.name,
            subresource=info.subresource,
            status=status,
            dry_run=request.query.get("dryRun", "") == "All",
            review=info.resource in REVIEWS,
            user_agent=request.headers.get("User-Agent", ""),
            duration_ms=round((audit_log.now() - started) * 1000, 3),
            bytes=size,
        )


def _size(response: web.StreamResponse) -> int:
    return len(response.body) if isinstance(response, web.Response) and isinstance(response.body, bytes) else 0


async def _faulty(request: web.Request, faults: list[Fault]) -> web.StreamResponse | None:
    """The fault's answer, or None if the request goes on."""
    for fault in faults:
        fault.taken += 1
        if fault.action == "latency":
            await asyncio.sleep(fault.latency_ms / 1000)
        elif fault.action == "hang":
            await asyncio.sleep(HANG_SECONDS)
        elif fault.action == "cut":
            transport = request.transport
            if fault.after_ms and transport is not None:
                asyncio.get_running_loop().call_later(fault.after_ms / 1000, transport.abort)
                continue
            if transport is not None:
                transport.abort()
            return web.Response(status=500)
        elif fault.action == "flow-control":
            wait = FLOW_CONTROL_RETRY_SECONDS if fault.retry_after is None else fault.retry_after
            return web.Response(status=FLOW_CONTROL_STATUS, text=FLOW_CONTROL_TEXT, headers={"Retry-After": str(wait)})
        else:
            headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else None
            return web.json_response(fault.status_body(), status=fault.status, headers=headers)
    return None


async def _answer(server: ApiServer, request: web.Request, info: RequestInfo) -> web.StreamResponse:
    try:
        user = server.authenticator.authenticate(request.headers)
        call = Call(server, request, info, user)
        server.authorizer.check(user, _access(info))
        if not info.is_resource:
            return await discovery.serve(call)
        return await _dispatch(call)
    except ApiError as problem:
        return web.json_response(problem.status(), status=problem.code, headers=problem.headers)
    except Exception as problem:
        LOG.exception("%s %s", request.method, request.path_qs)
        return web.json_response(errors.internal_error(f"simulator bug: {problem!r}").status(), status=500)


def _access(info: RequestInfo) -> Access:
    if not info.is_resource:
        return Access(info.verb, path=info.path)
    return Access(info.verb, info.group, info.resource, info.subresource, info.namespace, info.name)


async def _dispatch(call: Call) -> web.StreamResponse:
    info, table = call.info, call.registry.resources
    if info.group and info.group not in table.groups:
        return discovery.not_found_page()
    kind = table.find(info.group, info.version, info.resource)
    if kind is None:
        raise errors.unknown_resource()
    if info.subresource == "log":
        return await subresources.serve(call, kind)
    call.form = negotiate(call.request.headers.get("Accept", ""))
    call.raw = await call.request.read()
    if info.subresource:
        return await subresources.serve(call, kind)
    return await _verb(call, kind)


async def _verb(call: Call, kind: ResourceType) -> web.StreamResponse:
    verb = call.info.verb
    needs_name = verb in ("update", "patch")
    if verb not in kind.verbs or (needs_name and not call.info.name) or (verb == "create" and call.info.name):
        raise errors.method_not_allowed()
    if kind.plural in reviews.REVIEWS:
        return await reviews.review(call, kind)
    if verb == "update":
        return await writes.update(call, kind, None)
    if verb == "patch":
        return await writes.patch(call, kind, None)
    handlers = {
        "get": reads.get,
        "list": reads.list_objects,
        "watch": watches.watch,
        "create": writes.create,
        "delete": writes.delete,
        "deletecollection": writes.delete_collection,
    }
    return await handlers[verb](call, kind)

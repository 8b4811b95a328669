"""The parts of one API server, and what a handler gets to know about the request that it answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from aiohttp import web

from simulator.apiserver.authn import User
from simulator.apiserver.negotiation import JSON, YAML, Form
from simulator.apiserver.requestinfo import RequestInfo
from simulator.store import encode

if TYPE_CHECKING:
    from simulator.apiserver.audit import Audit
    from simulator.apiserver.authn import Authenticator
    from simulator.apiserver.faults import Faults
    from simulator.apiserver.rbac import Authorizer
    from simulator.registry import Registry

Object = dict[str, Any]
LogSource = Callable[[Object, str, "dict[str, str]"], "str | None"]

COMPRESS_FROM = 128 * 1024


@dataclass
class ApiServer:
    """``log_source(pod, container, query)`` gives a container's log, None where no kubelet can be reached."""

    registry: Registry
    authenticator: Authenticator
    authorizer: Authorizer
    audit: Audit
    faults: Faults
    version: str
    address: str = ""
    log_source: LogSource | None = None
    list_wait_seconds: float = 3.0
    #: Requests that are carried out whether or not their client waits for them.
    detached: set[asyncio.Task[web.StreamResponse]] = field(default_factory=set)


@dataclass
class Call:
    """One request on its way: who asks, for what, and in which form the answer is wanted."""

    server: ApiServer
    request: web.Request
    info: RequestInfo
    user: User
    raw: bytes = b""
    form: Form = field(default_factory=lambda: Form(JSON))
    warnings: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Registry:
        return self.server.registry

    @property
    def query(self) -> dict[str, str]:
        return dict(self.request.query)

    @property
    def user_agent(self) -> str:
        return self.request.headers.get("User-Agent", "")


Handler = Callable[[Call], Awaitable[web.StreamResponse]]


def answer(call: Call, obj: Object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """An object in the form that the client asked for, JSON or YAML."""
    if call.form.media_type == YAML:
        text = yaml.safe_dump(obj, default_flow_style=False, allow_unicode=True).encode()
        return answer_bytes(call, text, status=status, content_type=YAML, headers=headers)
    if "pretty" in call.request.query and call.request.query["pretty"] not in ("false", "0"):
        text = json.dumps(obj, indent=2).encode() + b"\n"
        return answer_bytes(call, text, status=status, headers=headers)
    return answer_bytes(call, encode(obj), status=status, headers=headers)


def answer_bytes(
    call: Call, body: bytes, *, status: int = 200, content_type: str = JSON, headers: dict[str, str] | None = None
) -> web.Response:
    """Bytes as they are; large ones are compressed if the client takes it."""
    response = web.Response(body=body, status=status, content_type=content_type, headers=headers)
    for warning in call.warnings:
        escaped = warning.replace("\\", "\\\\").replace('"', '\\"')
        response.headers.add("Warning", f'299 - "{escaped}"')
    if len(body) > COMPRESS_FROM and "gzip" in call.request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response

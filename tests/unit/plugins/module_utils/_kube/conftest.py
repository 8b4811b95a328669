# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A server that speaks real HTTP and answers what a test has laid ready."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient


@dataclass
class Reply:
    """An answer. ``cut`` breaks the connection: "before" without a byte, "inside" the body;
    "never": it falls silent instead of ending.
    A list as body is sent as a watch is: one chunk an entry.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    cut: str = ""


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, list[str]]
    body: Any


@dataclass
class Collections:
    """Objects by collection path ("/api/v1/nodes"), served in pages, singly, and by selectors on phase, node and labels.

    A path that is missing is an API group that the cluster does not have.
    """

    objects: dict[str, list[dict[str, Any]]]
    page_size: int = 0

    def __call__(self, seen: Seen) -> Reply:
        url = urlsplit(seen.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if url.path in self.objects:
            return self._list(self.objects[url.path], query)
        collection, _slash, name = url.path.rpartition("/")
        namespaced = [part for part in url.path.split("/namespaces/") if part]
        if len(namespaced) == 2 and namespaced[1].count("/"):
            namespace, kind, *rest = namespaced[1].split("/")
            within = self.objects.get(f"{namespaced[0]}/{kind}", [])
            own = [item for item in within if item["metadata"].get("namespace") == namespace]
            if not rest:
                return self._list(own, query)
            return self._single(own, rest[0])
        return self._single(self.objects.get(collection, []), name)

    def _single(self, items: list[dict[str, Any]], name: str) -> Reply:
        for item in items:
            if item["metadata"]["name"] == name:
                return Reply(body=item)
        return Reply(status=404, body=b"404 page not found")

    def _list(self, items: list[dict[str, Any]], query: dict[str, str]) -> Reply:
        chosen = [item for item in items if _selected(item, query)]
        start = int(query.get("continue") or 0)
        end = start + (self.page_size or int(query["limit"]))
        rest = {"continue": str(end)} if end < len(chosen) else {}
        return Reply(body={"metadata": {"resourceVersion": "9", **rest}, "items": chosen[start:end]})


def _selected(item: dict[str, Any], query: dict[str, str]) -> bool:
    values = {
        "status.phase": (item.get("status") or {}).get("phase") or "",
        "spec.nodeName": (item.get("spec") or {}).get("nodeName") or "",
        "spec.driver": (item.get("spec") or {}).get("driver") or "",
    }
    for term in filter(None, query.get("fieldSelector", "").split(",")):
        negated = "!=" in term
        field_name, _equals, value = term.replace("!=", "=").partition("=")
        if (values[field_name] == value) is negated:
            return False
    labels = item["metadata"].get("labels") or {}
    for term in filter(None, query.get("labelSelector", "").split(",")):
        name, equals, value = term.lstrip("!").partition("=")
        holds = labels.get(name) == value if equals else name in labels
        if holds is term.startswith("!"):
            return False
    return True


class ScriptedServer(ThreadingHTTPServer):
    """Gives what ``serve`` makes of a request, else the laid-ready replies in order; the last one is repeated."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: list[Reply] = [Reply()]
        self.seen: list[Seen] = []
        self.serve: Callable[[Seen], Reply] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def client(self, **params: Any) -> KubeClient:
        return KubeClient.from_params({"host": self.url, "api_key": "secret", **params})

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        size = int(self.headers.get("Content-Length") or 0)
        sent = self.rfile.read(size)
        headers = {name: self.headers.get_all(name) or [] for name in self.headers}
        seen = Seen(self.command, self.path, headers, json.loads(sent) if sent else None)
        self.server.seen.append(seen)
        reply = self.server.serve(seen) if self.server.serve else self.server.next_reply()
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        if reply.cut == "before":
            self._break()
            return
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        if isinstance(reply.body, list):
            self._stream(reply)
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if reply.cut else body)
        if reply.cut:
            self._break()

    def _stream(self, reply: Reply) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for entry in reply.body:
            line = json.dumps(entry).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        if reply.cut == "never":
            self.connection.settimeout(5)
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.rfile.read(1)  # until the client goes
        elif reply.cut:
            self._break()
        else:
            self.wfile.write(b"0\r\n\r\n")

    def _break(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 - the base class calls them so


@pytest.fixture
def serve(api: ScriptedServer) -> Callable[..., ScriptedServer]:
    """Have the server answer from collections of objects."""

    def with_objects(objects: dict[str, list[dict[str, Any]]], page_size: int = 0) -> ScriptedServer:
        api.serve = Collections(objects, page_size)
        return api

    return with_objects


@pytest.fixture
def api() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)

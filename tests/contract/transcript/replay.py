"""Sends the recorded requests in order to a simulated API server with its controllers, and compares the answers."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from contract.transcript.circumstances import CLEANUPS, PREPARATIONS
from contract.transcript.matching import Bindings, Comparison, trace_problems, without_managed_fields
from simulator.apiserver.app import create_app
from simulator.apiserver.serving import Served, serve
from simulator.clock import Clock
from simulator.controllers.control_plane import ControlPlane
from simulator.registry import Registry

Entry = dict[str, Any]

SPEED = 2.0
TOKEN = "transcript-admin"
JSON = "application/json"
POLL_SECONDS = 10.0
SETTLE_SECONDS = 0.6
POLL_EVERY = 0.02
UNRELATED_NODE = {
    "metadata": {"name": "unrelated", "labels": {"kubernetes.io/hostname": "unrelated"}},
    "status": {
        "capacity": {"cpu": "8", "memory": "32Gi", "pods": "110", "nvidia.com/gpu": "12"},
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


@dataclass
class Result:
    """How one entry went; ``problems`` is empty if the answer matches."""

    entry: Entry
    problems: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.entry['group']}/{self.entry['name']}"


@dataclass
class Answer:
    status: int
    content_type: str
    headers: dict[str, str]
    body: Any


class Cluster:
    """The server and controllers that are replayed against."""

    def __init__(self, directory: Path) -> None:
        self.registry = Registry(clock=Clock(SPEED))
        self.control_plane = ControlPlane(self.registry, ca_certificate="pem")
        self._directory = directory
        self.served: Served | None = None

    async def start(self) -> None:
        self.registry.create("nodes", UNRELATED_NODE)
        self.control_plane.engine.settle()
        self.control_plane.engine.start(asyncio.get_running_loop())
        self.served = await serve(create_app(self.registry, [TOKEN]), self._directory)

    async def stop(self) -> None:
        self.control_plane.engine.stop()
        if self.served:
            await self.served.close()


class Replay:
    def __init__(self, cluster: Cluster, session: aiohttp.ClientSession) -> None:
        self.bindings = Bindings()
        self.cluster = cluster
        self.expired_token = ""
        self._session = session
        self._group = ""
        self._group_revision = 0
        self.block_revision = 0
        self._in_setup = False

    async def run(self, entries: list[Entry], skipped: dict[str, str]) -> list[Result]:
        results = []
        for entry in entries:
            name = f"{entry['group']}/{entry['name']}"
            self._mark(entry)
            if name in PREPARATIONS:
                await PREPARATIONS[name](self)
            problems = await self._play(entry, compared=name not in skipped)
            results.append(Result(entry, problems if name not in skipped else []))
            if name in CLEANUPS:
                await CLEANUPS[name](self)
        return results

    def _mark(self, entry: Entry) -> None:
        """Revisions that the recording used and did not store: from before a group's, or a run of set-up steps', first write."""
        revision = self.cluster.registry.store.revision
        if entry["group"] != self._group:
            self._group, self._group_revision = entry["group"], revision
        if entry.get("setup") and not self._in_setup:
            self.block_revision = revision
        self._in_setup = bool(entry.get("setup"))

    async def _play(self, entry: Entry, *, compared: bool) -> list[str]:
        """Reads are repeated for a while: controllers need their time, as they did when this was recorded."""
        is_read = entry["request"]["method"] == "GET" and "watch" not in entry["request"]["path"]
        patience = POLL_SECONDS if entry.get("polled") else SETTLE_SECONDS
        end = asyncio.get_running_loop().time() + (patience if is_read and compared else 0)
        while True:
            # Before the answer: one that took until the end, because this process stood still, is followed by another look.
            is_last = asyncio.get_running_loop().time() >= end
            problems = self._compare(entry, await self.send(entry["request"]))
            if not problems or is_last:
                return problems
            await asyncio.sleep(POLL_EVERY)

    def _compare(self, entry: Entry, answer: Answer) -> list[str]:
        expected = entry["response"]
        if answer.status != expected["status"]:
            shown = answer.body.get("message") if isinstance(answer.body, dict) else answer.body
            return [f"status: expected {expected['status']}, got {answer.status} {shown}"]
        if expected.get("content_type") and not answer.content_type.startswith(
            expected["content_type"].partition(";")[0]
        ):
            return [f"content type: expected {expected['content_type']}, got {answer.content_type}"]
        problems = self._compare_headers(expected.get("headers") or {}, answer)
        if entry.get("setup"):
            return self._learn(expected.get("body"), answer.body)
        return problems or self._compare_bodies(entry, answer)

    def _compare_headers(self, expected: dict[str, Any], answer: Answer) -> list[str]:
        problems = []
        for name, value in expected.items():
            wanted = value if isinstance(value, str) else value[0]
            if not self.bindings.match(wanted, answer.headers.get(name.lower(), "")):
                problems.append(f"header {name}: expected {wanted}, got {answer.headers.get(name.lower())}")
        return problems

    def _compare_bodies(self, entry: Entry, answer: Answer) -> list[str]:
        expected = entry["response"].get("body")
        actual = answer.body
        if entry["group"] != "server-side-apply":
            actual = without_managed_fields(actual)
        note = entry.get("note") or ""
        cut = "objects cut" in note or (isinstance(expected, dict) and "trimmed" in expected)
        is_list = isinstance(expected, dict) and "items" in expected
        partial = is_list and str(expected.get("trimmed", "")).startswith("first ")
        if entry["name"].endswith("watch-trace"):
            return trace_problems(self.bindings, expected, actual)
        comparison = Comparison(self.bindings, subset=cut, loose_version=is_list, partial=partial)
        return [] if comparison.matches(expected, actual) else comparison.problems[-1:]

    def _learn(self, expected: Any, actual: Any) -> list[str]:
        """Set-up answers are stored for their names alone."""
        if isinstance(expected, (dict, list)):
            comparison = Comparison(self.bindings, subset=True, loose_version=True)
            return [] if comparison.matches(expected, actual) else comparison.problems[-1:]
        return []

    async def send(self, request: Entry) -> Answer:
        path = await self._filled_path(request)
        headers = {"Accept": request.get("accept", JSON), **self._authorization(request.get("auth"))}
        headers |= {name: self.bindings.fill(value) for name, value in (request.get("headers") or {}).items()}
        if request.get("content_type"):
            headers["Content-Type"] = request["content_type"]
        if "Accept-Encoding" not in headers:
            headers["Accept-Encoding"] = "identity"
        headers.setdefault("User-Agent", "transcript")
        data = await self._body(request, path)
        assert self.cluster.served is not None
        url = URL(self.cluster.served.url + path, encoded=True)
        async with self._session.request(request["method"], url, headers=headers, data=data) as response:
            raw = await response.read()
            content_type = response.headers.get("Content-Type", "")
            found = {name.lower(): value for name, value in response.headers.items()}
            if "etag" in found:
                self.bindings.values["<etag>"] = found["etag"].strip('"')
            return Answer(response.status, content_type, found, _parsed(raw, content_type))

    def _authorization(self, auth: str | None) -> dict[str, str]:
        if auth == "none":
            return {}
        if auth == "basic":
            return {"Authorization": "Basic YTpi"}
        token = {"bad": "unknown", "sa": self.bindings.values.get("<sa token>", "")}.get(auth or "", TOKEN)
        return {"Authorization": f"Bearer {token}"}

    async def _filled_path(self, request: Entry) -> str:
        path = self.bindings.fill(request["path"])
        path = path.replace("<token of a compacted resourceVersion>", self.expired_token)
        revision = self._group_revision if self._group != "watch" else self.block_revision
        return re.sub(r"<rv(:\d+)?>", str(revision), path)

    async def _body(self, request: Entry, path: str) -> bytes | None:
        body = request.get("body")
        if body is None:
            return None
        if isinstance(body, dict) and set(body) == {"hex"}:
            return bytes.fromhex(body["hex"])
        text = body if isinstance(body, str) else json.dumps(body)
        text = self.bindings.fill(text)
        text = re.sub(r"<repeat:a:(\d+)>", lambda match: "a" * int(match.group(1)), text)
        if "<uid>" in text or "<rv>" in text or '"creationTimestamp": "<time>"' in text:
            text = self._with_identity(text, path)
        return text.replace("<time>", datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")).encode()

    def _with_identity(self, text: str, path: str) -> str:
        """Fill in what the recording's client had read from the object before."""
        parts = path.partition("?")[0].removesuffix("/eviction").strip("/").split("/")
        namespace = parts[parts.index("namespaces") + 1] if "namespaces" in parts else None
        plural, name = parts[-2], parts[-1]
        key = f"{parts[1]}/{plural}" if parts[0] == "apis" else plural
        metadata = self.cluster.registry.get(key, namespace, name)["metadata"]
        text = text.replace("<uid>", metadata["uid"]).replace("<rv>", metadata["resourceVersion"])
        return text.replace('"creationTimestamp": "<time>"', f'"creationTimestamp": "{metadata["creationTimestamp"]}"')


def _parsed(raw: bytes, content_type: str) -> Any:
    if content_type.startswith("application/json") and raw:
        lines = raw.decode().strip().split("\n")
        if len(lines) > 1 or raw.startswith(b'{"type":'):
            try:
                return [json.loads(line) for line in lines]
            except json.JSONDecodeError:
                pass
        return json.loads(raw)
    if content_type.startswith("application/json"):
        return []
    text = raw.decode("utf-8", errors="replace")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


async def replay_all(entries: list[Entry], skipped: dict[str, str], directory: Path) -> list[Result]:
    """Everything, in order, against one fresh server."""
    cluster = Cluster(directory)
    await cluster.start()
    assert cluster.served is not None
    context = ssl.create_default_context(cadata=cluster.served.ca_pem.decode())
    connector = aiohttp.TCPConnector(ssl=context)
    try:
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            return await Replay(cluster, session).run(entries, skipped)
    finally:
        await cluster.stop()

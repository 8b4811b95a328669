# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kubernetes objects as plain JSON, with every request counted. PRIVATE to the collection."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping
from urllib.parse import urlencode

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError, Request, broken, refused
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.transport import Stream, Transport, connect

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

COLLECTION_VERSION = "0.1.0"
USER_AGENT = f"kubegpu.sharing/{COLLECTION_VERSION}"
FIELD_MANAGER = "kubegpu.sharing"
PAGE_SIZE = 500
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_REVIEWS = "/apis/authorization.k8s.io/"
_PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
#: How much longer than asked for a watch may stay silent at its end.
_WATCH_MARGIN_SECONDS = 10


@dataclass
class RequestCounts:
    """Requests of a client by kind.

    :param get: reads, watches included.
    :param write: requests that change something.
    :param review: access reviews: POST requests that change nothing.
    :param dry_run: writes that the server was asked only to try.
    :param bytes: size of all answers.
    """

    get: int = 0
    write: int = 0
    review: int = 0
    dry_run: int = 0
    bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def add(self, kind: str, requests: int = 0, size: int = 0) -> None:
        """Count requests of a kind, and bytes of their answers."""
        with self._lock:
            setattr(self, kind, getattr(self, kind) + requests)
            self.bytes += size

    def to_dict(self) -> dict[str, int]:
        """For a module's result."""
        return {name: getattr(self, name) for name in ("get", "write", "review", "dry_run", "bytes")}


@dataclass(frozen=True)
class ListResult:
    """A list, or one page of it.

    :param resource_version: where a watch goes on from.
    """

    items: list[dict[str, Any]]
    resource_version: str


class KubeClient:
    """An API server. Objects are plain dicts, paths as the API has them ("/api/v1/nodes/gpu-1").

    Reads are tried again by themselves (see ReadRetry), writes never: only the caller can tell whether it may.
    Methods may be called from several threads. All raise ApiError.
    """

    def __init__(self, transport: Transport) -> None:
        self.requests = RequestCounts()
        self._transport = transport

    @classmethod
    def from_module(cls, module: AnsibleModule) -> KubeClient:
        """The client for a module's authentication options (KUBE_AUTH_SPEC)."""
        return cls.from_params(module.params)

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> KubeClient:
        """The client for authentication options, such as {"kubeconfig": path}."""
        return cls(connect(params, USER_AGENT))

    @property
    def host(self) -> str:
        """Base URL of the API server."""
        return self._transport.host

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read an object. Query parameters as the API names them; None is left out."""
        return self._send("GET", path, query)

    def list_metadata(self, path: str, *, page_size: int = PAGE_SIZE, **query: Any) -> ListResult:
        """Read the metadata of a collection's objects, and nothing else of them."""
        return self._gather(path, page_size, query, {"Accept": _METADATA_ONLY})

    def get_or_none(self, path: str, **query: Any) -> dict[str, Any] | None:
        """Read an object, None if it (or its whole API group) does not exist."""
        try:
            return self.get(path, **query)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, path: str, *, page_size: int = PAGE_SIZE, **query: Any) -> ListResult:
        """Read a collection page by page into one list."""
        return self._gather(path, page_size, query, None)

    def pages(self, path: str, *, page_size: int = PAGE_SIZE, **query: Any) -> Iterator[ListResult]:
        """Read a collection page by page, so that no more than a page need be in memory.

        If a page's token has expired, the rest is read at a newer state with the token that the server offers for it:
        an object that moved meanwhile may then be missing or come twice.
        """
        return self._pages(path, page_size, query, None)

    def _gather(
        self, path: str, page_size: int, query: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> ListResult:
        items: list[dict[str, Any]] = []
        version = ""
        for page in self._pages(path, page_size, query, headers):
            items.extend(page.items)
            version = page.resource_version
        return ListResult(items=items, resource_version=version)

    def _pages(
        self, path: str, page_size: int, query: Mapping[str, Any], headers: Mapping[str, str] | None
    ) -> Iterator[ListResult]:
        token: str | None = None
        while True:
            asked = {"limit": page_size, **query, "continue": token}
            try:
                page = self._send("GET", path, asked, headers=headers)
            except ApiError as error:
                if error.status != 410 or not token or not error.continue_token:
                    raise
                token = error.continue_token
                continue
            meta = page.get("metadata") or {}
            yield ListResult(items=page.get("items") or [], resource_version=meta.get("resourceVersion") or "")
            token = meta.get("continue")
            if not token:
                return

    def create(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Create an object in a collection, or a subresource such as an eviction, or an access review."""
        query = {} if path.startswith(_REVIEWS) else {"fieldManager": FIELD_MANAGER}
        return self._send("POST", path, query, body=body, dry_run=dry_run)

    def replace(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Put an object in the place of the present one; metadata.resourceVersion makes it conditional."""
        return self._send("PUT", path, {"fieldManager": FIELD_MANAGER}, body=body, dry_run=dry_run)

    def patch(self, path: str, body: Any, *, kind: str = "merge", dry_run: bool = False) -> dict[str, Any]:
        """Patch an object.

        :param kind: merge, strategic or json. In the first two, metadata.resourceVersion makes the patch conditional (409).
        """
        headers = {"Content-Type": _PATCH_TYPES[kind]}
        return self._send("PATCH", path, {"fieldManager": FIELD_MANAGER}, body=body, dry_run=dry_run, headers=headers)

    def delete(self, path: str, body: Mapping[str, Any] | None = None, *, dry_run: bool = False) -> dict[str, Any]:
        """Delete an object. The body may carry DeleteOptions: preconditions, propagationPolicy, gracePeriodSeconds."""
        return self._send("DELETE", path, {}, body=body, dry_run=dry_run)

    def watch(
        self,
        path: str,
        resource_version: str,
        timeout_seconds: float,
        *,
        opened: Callable[[], None] | None = None,
        **query: Any,
    ) -> Iterator[dict[str, Any]]:
        """Events of a collection from a resourceVersion on: {"type": ..., "object": ...}.

        Ends when the time is over, and also when the connection breaks: the caller reads the state anew either way.

        :param opened: told when the server has begun to answer, that is before the first event.
        :raises ApiError: no connection, a refusal, silence (reason Timeout), or an ERROR event (status 410: list again).
        """
        seconds = max(1, round(timeout_seconds))
        asked = {**query, "watch": "1", "resourceVersion": resource_version, "timeoutSeconds": seconds}
        target = _with_query(path, {"allowWatchBookmarks": "true", **asked})
        request = Request.of("GET", target, self.host, watching=True)
        self.requests.add("get", requests=1)
        stream = self._transport.stream(target, seconds + _WATCH_MARGIN_SECONDS)
        try:
            if stream.status != 200:
                raise refused(request, stream.status, b"".join(stream.chunks()), stream.headers)
            if opened is not None:
                opened()
            yield from self._events(request, stream)
        finally:
            stream.close()

    def _events(self, request: Request, stream: Stream) -> Iterator[dict[str, Any]]:
        rest = b""
        for chunk in stream.chunks():
            self.requests.add("get", size=len(chunk))
            *lines, rest = (rest + chunk).split(b"\n")
            for line in filter(None, lines):
                event = _decode(request, line)
                if event.get("type") == "ERROR":
                    status = event.get("object") or {}
                    raise refused(request, int(status.get("code") or 500), json.dumps(status))
                yield event

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        *,
        body: Any = None,
        dry_run: bool = False,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        kind = _kind(method, path, dry_run)
        target = _with_query(path, {**query, "dryRun": "All" if dry_run else None})
        request = Request.of(method, path, self.host)
        sent = {"Content-Type": "application/json", **(headers or {})} if body is not None else headers
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._transport.send(method, target, body=data, headers=sent)
        except ApiError:
            self.requests.add(kind, requests=1)
            raise
        self.requests.add(kind, requests=answer.attempts, size=len(answer.body))
        if not 200 <= answer.status <= 299:
            raise refused(request, answer.status, answer.body, answer.headers)
        return _decode(request, answer.body)


def _kind(method: str, path: str, dry_run: bool) -> str:
    if method == "GET":
        return "get"
    if path.startswith(_REVIEWS):
        return "review"
    return "dry_run" if dry_run else "write"


def _with_query(path: str, query: Mapping[str, Any]) -> str:
    present = {name: value for name, value in query.items() if value is not None}
    return f"{path}?{urlencode(present)}" if present else path


def _decode(request: Request, body: bytes) -> dict[str, Any]:
    try:
        decoded = json.loads(body)
    except ValueError as error:
        start = body[:80].decode("utf-8", "replace")
        raise broken(request, "BadAnswer", f"the answer is no JSON but begins with {start!r}") from error
    if not isinstance(decoded, dict):
        raise broken(request, "BadAnswer", "the answer is no JSON object")
    return decoded

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API server in memory that the steps of a rollout can be driven against: objects, conflicts, selectors, watches."""

from __future__ import annotations

import copy
import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import ListResult, RequestCounts
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError, Request, broken, refused
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import parse_path

Change = Callable[[str, str, "dict[str, Any] | None"], None]


@dataclass(frozen=True)
class Write:
    method: str
    path: str
    body: Any


@dataclass
class FakeApi:
    """``faults`` are asked before each request and may raise; ``listeners`` hear of each change: (type, path, object).

    ``cut``: watches end at once. ``ends_after``: seconds that a pod takes to end once it is evicted.
    """

    requests: RequestCounts = field(default_factory=RequestCounts)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    faults: list[Callable[[str, str], None]] = field(default_factory=list)
    listeners: list[Change] = field(default_factory=list)
    events: list[tuple[int, str, str, dict[str, Any]]] = field(default_factory=list)
    cut: bool = False
    ends_after: float = 0.0

    def __post_init__(self) -> None:
        self.guard = threading.RLock()
        self.changed = threading.Condition(self.guard)
        self._versions = itertools.count(1)
        self._version = 0

    # What tests and controllers do to the cluster: neither counted nor hindered.

    def put(self, path: str, obj: Mapping[str, Any]) -> dict[str, Any]:
        with self.guard:
            known = self.objects.get(path)
            body = copy.deepcopy(dict(obj))
            metadata = body.setdefault("metadata", {})
            metadata["name"] = parse_path(path).name
            if parse_path(path).namespace:
                metadata["namespace"] = parse_path(path).namespace
            metadata.setdefault("uid", known["metadata"]["uid"] if known else f"uid-{next(self._versions)}")
            if known and _without_version(known) == _without_version(body):
                return known
            self._version += 1
            metadata["resourceVersion"] = str(self._version)
            self.objects[path] = body
            self._tell("MODIFIED" if known else "ADDED", path, body)
            return body

    def change(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        with self.guard:
            return self.put(path, merge(self.objects[path], patch))

    def remove(self, path: str) -> None:
        with self.guard:
            gone = self.objects.pop(path, None)
            if gone is not None:
                self._version += 1
                self._tell("DELETED", path, gone)

    def under(self, prefix: str) -> list[dict[str, Any]]:
        with self.guard:
            return [obj for path, obj in sorted(self.objects.items()) if parse_path(path).resource == prefix]

    # KubeApi

    def get(self, path: str, **_query: Any) -> dict[str, Any]:
        self._request("GET", path, "get")
        with self.guard:
            if path not in self.objects:
                raise self._not_found("GET", path)
            return copy.deepcopy(self.objects[path])

    def get_or_none(self, path: str, **query: Any) -> dict[str, Any] | None:
        try:
            return self.get(path, **query)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def pages(self, path: str, *, page_size: int = 500, **query: Any) -> Iterator[ListResult]:
        self._request("GET", path, "get")
        with self.guard:
            items = [copy.deepcopy(obj) for at, obj in sorted(self.objects.items()) if _selected(path, query, at, obj)]
            yield ListResult(items, str(self._version))

    def create(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        self._request("POST", path, "write", body)
        with self.guard:
            if path.endswith("/eviction"):
                return self._evict(path, body)
            at = f"{path}/{body['metadata']['name']}"
            if at in self.objects:
                raise self._refuse("POST", path, 409, "AlreadyExists", f'"{at}" already exists')
            return copy.deepcopy(self.put(at, body))

    def _evict(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        pod = path.rpartition("/")[0]
        if pod not in self.objects:
            raise self._not_found("POST", path)
        if body["deleteOptions"]["preconditions"]["uid"] != self.objects[pod]["metadata"]["uid"]:
            raise self._refuse("POST", path, 409, "Conflict", "Precondition failed: UID in precondition")
        if self.ends_after:
            self.change(pod, {"metadata": {"deletionTimestamp": "2026-03-01T12:00:30Z"}})
            threading.Timer(self.ends_after, self.remove, (pod,)).start()
        else:
            self.remove(pod)
        return {"kind": "Status", "status": "Success"}

    def patch(self, path: str, body: Any, *, kind: str = "merge", dry_run: bool = False) -> dict[str, Any]:
        self._request("PATCH", path, "write", body)
        with self.guard:
            if path not in self.objects:
                raise self._not_found("PATCH", path)
            wanted = (body.get("metadata") or {}).get("resourceVersion")
            if wanted is not None and wanted != self.objects[path]["metadata"]["resourceVersion"]:
                raise self._refuse("PATCH", path, 409, "Conflict", "the object has been modified")
            return copy.deepcopy(self.change(path, body))

    def delete(self, path: str, body: Mapping[str, Any] | None = None, *, dry_run: bool = False) -> dict[str, Any]:
        self._request("DELETE", path, "write", body)
        with self.guard:
            if path not in self.objects:
                raise self._not_found("DELETE", path)
            uid = ((body or {}).get("preconditions") or {}).get("uid")
            if uid and uid != self.objects[path]["metadata"]["uid"]:
                raise self._refuse("DELETE", path, 409, "Conflict", "the UID in the precondition does not match")
            self.remove(path)
            return {"kind": "Status", "status": "Success"}

    def watch(
        self,
        path: str,
        resource_version: str,
        timeout_seconds: float,
        *,
        opened: Callable[[], None] | None = None,
        **query: Any,
    ) -> Iterator[dict[str, Any]]:
        self._request("GET", f"{path}?watch", "get")
        if self.cut:
            raise lost_answer("GET", path)
        if opened is not None:
            opened()
        seen, deadline = int(resource_version), time.monotonic() + timeout_seconds
        known: dict[str, bool] = {}
        with self.guard:
            for at, obj in self.objects.items():
                known[at] = _selected(path, query, at, obj)
        while time.monotonic() < deadline and not self.cut:
            with self.guard:
                fresh = [event for event in self.events if event[0] > seen]
                if not fresh:
                    self.changed.wait(0.05)
                    continue
            for version, kind, at, obj in fresh:
                seen = version
                event = _seen_through(path, query, known, (kind, at, obj))
                if event:
                    yield event

    def _request(self, method: str, path: str, kind: str, body: Any = None) -> None:
        self.requests.add(kind, requests=1)
        for fault in list(self.faults):
            fault(method, path)
        if kind == "write":
            with self.guard:
                self.writes.append(Write(method, path, copy.deepcopy(body)))

    def _tell(self, kind: str, path: str, obj: dict[str, Any]) -> None:
        frozen = copy.deepcopy(obj)
        self.events.append((self._version, kind, path, frozen))
        self.changed.notify_all()
        for listener in list(self.listeners):
            listener(kind, path, frozen)

    def _not_found(self, method: str, path: str) -> ApiError:
        return self._refuse(method, path, 404, "NotFound", "not found")

    def _refuse(self, method: str, path: str, status: int, reason: str, message: str) -> ApiError:
        return api_error(method, path, status, reason, message)


def api_error(method: str, path: str, status: int, reason: str, message: str = "") -> ApiError:
    text = f'{{"kind": "Status", "status": "Failure", "reason": "{reason}", "message": {message!r}}}'.replace("'", '"')
    return refused(Request.of(method, path), status, text)


def lost_answer(method: str, path: str) -> ApiError:
    return broken(Request.of(method, path), "ConnectionLost", "the connection broke before the answer was complete")


def merge(value: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(value) if isinstance(value, Mapping) else {}
    for name, change in patch.items():
        if change is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), change)
    return merged


def _without_version(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in (obj.get("metadata") or {}).items() if name != "resourceVersion"}
    return {**obj, "metadata": metadata}


def _selected(path: str, query: Mapping[str, Any], at: str, obj: Mapping[str, Any]) -> bool:
    collection, target = parse_path(path), parse_path(at)
    if (collection.group, collection.resource) != (target.group, target.resource):
        return False
    if collection.namespace and collection.namespace != target.namespace:
        return False
    labels = (obj.get("metadata") or {}).get("labels") or {}
    return _labels_match(query.get("labelSelector"), labels) and _fields_match(query.get("fieldSelector"), obj)


def _labels_match(selector: str | None, labels: Mapping[str, str]) -> bool:
    for term in filter(None, (selector or "").split(",")):
        name, equals, value = term.partition("=")
        if name.startswith("!"):
            if name[1:] in labels:
                return False
        elif name not in labels or (equals and labels[name] != value):
            return False
    return True


def _fields_match(selector: str | None, obj: Mapping[str, Any]) -> bool:
    readers: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "spec.nodeName": lambda one: (one.get("spec") or {}).get("nodeName") or "",
        "status.phase": lambda one: (one.get("status") or {}).get("phase") or "",
        "spec.unschedulable": lambda one: "true" if (one.get("spec") or {}).get("unschedulable") else "false",
    }
    terms = [term.partition("=") for term in filter(None, (selector or "").split(","))]
    return all((readers[name.rstrip("!")](obj) == value) != name.endswith("!") for name, _equals, value in terms)


def _seen_through(
    path: str, query: Mapping[str, Any], known: dict[str, bool], change: tuple[str, str, dict[str, Any]]
) -> dict[str, Any] | None:
    """The event as a watch with a selector shows it: an object that leaves the selection looks deleted."""
    kind, at, obj = change
    before, after = known.get(at, False), kind != "DELETED" and _selected(path, query, at, obj)
    known[at] = after
    if after:
        return {"type": "MODIFIED" if before else "ADDED", "object": copy.deepcopy(obj)}
    return {"type": "DELETED", "object": copy.deepcopy(obj)} if before else None

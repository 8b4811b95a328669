"""Lists: which revision they show, paging, selectors."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from simulator.apiserver import selectors
from simulator.apiserver.errors import ApiError, bad_request, forbidden_field, internal_error, invalid_options
from simulator.apiserver.resources import ResourceType

if TYPE_CHECKING:
    from simulator.store import Entry, Store

Object = dict[str, Any]

EXPIRED_LIST = "The resourceVersion for the provided list is too old."
EXPIRED_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without"
    " the continue parameter, or use the continue token in this response to retrieve the remainder of the results."
    " Continuing with the provided token results in an inconsistent list - objects that were created, modified, or"
    " deleted between the time the first chunk was returned and now may show up in the list."
)


@dataclass
class ListQuery:
    labels: selectors.Match = selectors.everything
    fields: selectors.Match = selectors.everything
    selective: bool = False
    limit: int = 0
    token: str = ""
    revision: str = ""
    match: str = ""

    def accepts(self, obj: Object) -> bool:
        return self.labels(obj) and self.fields(obj)


@dataclass
class Page:
    entries: list[Entry] = field(default_factory=list)
    metadata: Object = field(default_factory=dict)


class TooLargeRevision(Exception):
    """The client asks for a revision that does not exist yet."""

    def __init__(self, wanted: int, current: int) -> None:
        super().__init__(wanted, current)
        self.wanted = wanted
        self.current = current

    def error(self, *, code: int = 504) -> ApiError:
        causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
        message = f"Timeout: Too large resource version: {self.wanted}, current: {self.current}"
        details = {"causes": causes, "retryAfterSeconds": 1}
        return ApiError(code, "Timeout", message, details, headers={"Retry-After": "1"})


def parse_list_query(query: Mapping[str, str], kind: ResourceType) -> ListQuery:
    revision, match = query.get("resourceVersion", ""), query.get("resourceVersionMatch", "")
    if match and not revision and query.get("sendInitialEvents") != "true":
        why = "resourceVersionMatch is forbidden unless resourceVersion is provided"
        raise invalid_options("ListOptions", [forbidden_field("resourceVersionMatch", why)])
    label_text, field_text = query.get("labelSelector", ""), query.get("fieldSelector", "")
    result = ListQuery(
        limit=int(query.get("limit") or 0), token=query.get("continue", ""), revision=revision, match=match
    )
    if label_text:
        result.labels = selectors.parse_labels(label_text)
    if field_text:
        modern = kind.group == "events.k8s.io"
        result.fields = selectors.parse_fields(field_text, kind.key, modern_events=modern)
    result.selective = bool(label_text or field_text)
    return result


def parse_revision(text: str) -> int:
    if not text.isdigit():
        problem = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise internal_error(problem)
    return int(text)


def read_page(store: Store, resource: str, namespace: str, query: ListQuery) -> Page:
    """One page. ApiError 400, 410; TooLargeRevision."""
    start, revision = "", store.revision
    if query.token:
        start, revision = _open_token(query.token)
        entries = store.entries_at(resource, namespace, revision)
        if entries is None:
            fresh = _token(store.revision, start)
            raise ApiError(410, "Expired", EXPIRED_TOKEN, metadata={"continue": fresh})
    else:
        entries, revision = _entries_for(store, resource, namespace, query)
    if start:
        entries = [entry for entry in entries if entry.key >= start]
    chosen = [entry for entry in entries if query.accepts(entry.obj)] if query.selective else entries
    page = Page(chosen, {"resourceVersion": str(revision)})
    if query.limit and len(chosen) > query.limit:
        page.entries = chosen[: query.limit]
        page.metadata["continue"] = _token(revision, page.entries[-1].key + "\0")
        if not query.selective:
            page.metadata["remainingItemCount"] = len(chosen) - query.limit
    return page


def _entries_for(store: Store, resource: str, namespace: str, query: ListQuery) -> tuple[list[Entry], int]:
    if query.revision in ("", "0"):
        return store.entries(resource, namespace), store.revision
    wanted = parse_revision(query.revision)
    if wanted > store.revision:
        raise TooLargeRevision(wanted, store.revision)
    if query.match != "Exact":
        return store.entries(resource, namespace), store.revision
    entries = store.entries_at(resource, namespace, wanted)
    if entries is None:
        raise ApiError(410, "Expired", EXPIRED_LIST)
    return entries, wanted


def _token(revision: int, start: str) -> str:
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": revision, "start": start}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _open_token(token: str) -> tuple[str, int]:
    problem = "invalid continue token: continue key is not valid: "
    try:
        text = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("latin-1")
    except binascii.Error:
        raise bad_request(f"{problem}illegal base64 data at input byte {len(token)}") from None
    try:
        value = json.loads(text)
        return str(value["start"]), int(value["rv"])
    except (ValueError, KeyError, TypeError):
        raise bad_request(f"{problem}invalid character '{text[:1]}' looking for beginning of value") from None

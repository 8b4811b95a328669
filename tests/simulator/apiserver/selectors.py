"""Label and field selectors, as strings in a query and as LabelSelector objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from simulator.apiserver.errors import bad_request

Object = dict[str, Any]
Match = Callable[[Object], bool]

TOKEN = re.compile(r"\s*(!=|==|=|,|\(|\)|!|<|>|[^\s=!,()<>]+)")
COMMON_FIELDS = ("metadata.name", "metadata.namespace")
POD_FIELDS: tuple[str, ...] = (
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.phase",
)
POD_FIELDS += ("spec.hostNetwork", "status.podIP", "status.nominatedNodeName")
EVENT_OBJECT = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
EVENT_FIELDS = tuple(f"involvedObject.{name}" for name in EVENT_OBJECT)
EVENT_FIELDS += ("reason", "reportingComponent", "source", "type")
FIELDS: dict[str, tuple[str, ...]] = {
    "pods": POD_FIELDS,
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "events": EVENT_FIELDS,
    "secrets": ("type",),
    "apps/replicasets": ("status.replicas",),
    "batch/jobs": ("status.successful",),
}
MODERN_EVENT_FIELDS = {"reportingController": "reportingComponent"} | {
    f"regarding.{name}": f"involvedObject.{name}" for name in EVENT_OBJECT
}


def everything(obj: Object) -> bool:
    return True


def parse_labels(text: str) -> Match:
    """A selector string: ``a=b,c!=d,e in (f,g),h notin (i),j,!k``. ApiError 400 if it is malformed."""
    parser = _Parser(TOKEN.findall(text))
    requirements = []
    while parser.peek():
        requirements.append(parser.requirement())
        if parser.peek():
            parser.expect(",")
    return lambda obj: _all(requirements, obj["metadata"].get("labels") or {})


def _all(requirements: list[Callable[[Object], bool]], labels: Object) -> bool:
    return all(requirement(labels) for requirement in requirements)


class _Parser:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self._at += 1
        return token

    def expect(self, wanted: str) -> None:
        token = self.next()
        if token != wanted:
            raise bad_request(f"unable to parse requirement: found '{token}', expected: '{wanted}'")

    def word(self) -> str:
        token = self.next()
        if not token or not re.match(r"[A-Za-z0-9._/-]", token):
            raise bad_request(f"unable to parse requirement: found '{token}', expected: identifier")
        return token

    def requirement(self) -> Callable[[Object], bool]:
        if self.peek() == "!":
            self.next()
            absent = self.word()
            return lambda labels: absent not in labels
        key = self.word()
        operator = self.peek()
        if operator in ("", ","):
            return lambda labels: key in labels
        self.next()
        if operator in ("=", "==", "!="):
            value = "" if self.peek() in ("", ",") else self.word()
            return _compare(key, [value], negated=operator == "!=")
        if operator in ("in", "notin"):
            return _compare(key, self._values(), negated=operator == "notin")
        raise bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")

    def _values(self) -> list[str]:
        self.expect("(")
        values = []
        while self.peek() != ")":
            values.append(self.word())
            if self.peek() == ",":
                self.next()
        self.next()
        return values


def _compare(key: str, values: list[str], *, negated: bool) -> Callable[[Object], bool]:
    """!= and notin also match objects without the label."""
    if negated:
        return lambda labels: labels.get(key) not in values or key not in labels
    return lambda labels: key in labels and labels[key] in values


def parse_fields(text: str, resource: str, *, modern_events: bool = False) -> Match:
    """``a=b,c!=d`` over the fields that the resource supports. ApiError 400 otherwise."""
    terms = []
    for part in [part for part in text.split(",") if part]:
        match = re.fullmatch(r"([^=!]+)(!=|==|=)(.*)", part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        name = match.group(1)
        field = MODERN_EVENT_FIELDS.get(name, name) if modern_events else name
        if field not in (*COMMON_FIELDS, *FIELDS.get(resource, ())):
            raise bad_request(f"field label not supported: {name}")
        terms.append((field.split("."), match.group(3), match.group(2) == "!="))
    return lambda obj: all((_field(obj, path) == value) != negated for path, value, negated in terms)


def _field(obj: Object, path: list[str]) -> str:
    value: Any = obj
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    if path == ["source"] and isinstance(value, dict):
        value = value.get("component")
    if path[-1] in ("unschedulable", "hostNetwork"):
        return "true" if value else "false"
    return "" if value is None else str(value)


def label_selector_matches(selector: Object | None, labels: Object) -> bool:
    """A LabelSelector object; an empty one matches everything, none matches nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression_matches(item, labels) for item in selector.get("matchExpressions") or [])


def _expression_matches(expression: Object, labels: Object) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or []
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    found = key in labels and labels[key] in values
    return found if operator == "In" else not found


def selector_string(selector: Object) -> str:
    """matchLabels as a selector string, as Scale reports it."""
    return ",".join(f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items()))

"""What every kind has in common: the hooks that the registry calls, and rules for metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from simulator.apiserver.errors import Cause, invalid_value

Object = dict[str, Any]

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
QUALIFIED_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")

SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end"
    " with an alphanumeric character (e.g. 'example.com', regex used for validation is"
    r" '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
DNS_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an"
    " alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
LABEL_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end"
    " with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is"
    " '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
QUALIFIED_NAME_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric"
    " character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"
    " '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


Lookup = Callable[[str, str, str], "Object | None"]


class Rules:
    """Rules of a kind; the defaults suit kinds without any of their own."""

    has_generation = False
    status_on_create = False
    name_is_label = False
    name_is_free = False
    update_needs_version = False
    delete_answers_object = False
    metadata_repeats = 2  # An update validates metadata more than once, and its answer lists every finding.

    def default(self, obj: Object) -> None:
        """Fill in what the client left out. ``obj`` may be changed, nested objects too."""

    def prepare_create(self, obj: Object) -> None:
        """Set what only the server decides on creation."""

    def prepare_update(self, new: Object, old: Object) -> None:
        """Keep or set what an update may not decide."""

    def admit(self, obj: Object, lookup: Lookup) -> None:
        """Check and complete a new object by others: ``lookup(resource, namespace, name)``. May raise ApiError."""

    def validate(self, obj: Object, old: Object | None) -> list[Cause]:
        return []


class VersionedRules(Rules):
    """Kinds whose generation counts changes of the specification."""

    has_generation = True


def quoted(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def name_problem(name: str, *, as_label: bool) -> str | None:
    """Why this cannot be an object's name, or None."""
    pattern, text, limit = (DNS_LABEL, DNS_LABEL_TEXT, 63) if as_label else (SUBDOMAIN, SUBDOMAIN_TEXT, 253)
    if len(name) > limit:
        return f"must be no more than {limit} bytes"
    return None if pattern.fullmatch(name) else text


def key_problem(key: str) -> str | None:
    """Why this cannot be the key of a label, an annotation or a resource, or None."""
    prefix, slash, name = key.rpartition("/")
    if slash and not SUBDOMAIN.fullmatch(prefix):
        return f"prefix part {SUBDOMAIN_TEXT}"
    if len(name) > 63:
        return "name part must be no more than 63 bytes"
    return None if QUALIFIED_NAME.fullmatch(name) else QUALIFIED_NAME_TEXT


def label_causes(labels: Object, field: str) -> list[Cause]:
    causes = []
    for key, value in sorted(labels.items()):
        if problem := key_problem(key):
            causes.append(invalid_value(field, quoted(key), problem))
        if len(value) > 63:
            causes.append(invalid_value(field, quoted(value), "must be no more than 63 bytes"))
        elif not LABEL_VALUE.fullmatch(value):
            causes.append(invalid_value(field, quoted(value), LABEL_VALUE_TEXT))
    return causes


def metadata_causes(metadata: Object) -> list[Cause]:
    causes = label_causes(metadata.get("labels") or {}, "metadata.labels")
    for key in sorted(metadata.get("annotations") or {}):
        if problem := key_problem(key.lower()):
            causes.append(invalid_value("metadata.annotations", quoted(key), problem))
    return causes

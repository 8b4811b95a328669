# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement as a document, checked before it is believed: files may be cut off, edited, or from elsewhere. Pure.
PRIVATE to the collection.

Words that are not known are let through: a newer release may have written more.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import kind_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import KIND, SCHEMA_VERSION

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

_Check = Callable[[Any], bool]
_Form = Tuple[_Check, str]


def read_measurement(where: str, document: Any) -> Dict[str, Any]:
    """A measurement that may be calculated with.

    :param where: what the document is called, for messages.
    :returns: the document.
    :raises InputError: with everything that is wrong with its form.
    """
    reader = _Reader()
    reader.read(where, document)
    if reader.problems:
        raise InputError(where, reader.problems)
    return dict(document)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    # a comparison with NaN is false
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_points(value: Any, is_first: _Check) -> bool:
    return isinstance(value, (list, tuple)) and all(
        isinstance(point, (list, tuple)) and len(point) == 2 and is_first(point[0]) and _is_whole(point[1])
        for point in value
    )


def _or_null(form: _Form) -> _Form:
    check, wanted = form
    return lambda value: value is None or check(value), f"{wanted}, or null"


_WHOLE: _Form = (_is_whole, "a whole number, 0 or more")
_SECONDS: _Form = (lambda value: _is_number(value) and value >= 0, "a number, 0 or more")
_NUMBER: _Form = (_is_number, "a number")
_TEXT: _Form = (_is_text, "text")
_ANY_TEXT: _Form = (lambda value: isinstance(value, str), "text")
_FLAG: _Form = (lambda value: isinstance(value, bool), "true or false")
_TEXTS: _Form = (lambda value: isinstance(value, (list, tuple)) and all(map(_is_text, value)), "a list of text")
_TIME: _Form = (lambda value: parse_time(value) is not None, "a time such as 2026-03-01T12:00:00Z")
_POINTS: _Form = (lambda value: _is_points(value, _is_number), "a list of pairs of seconds and MiB")
_HISTOGRAM: _Form = (lambda value: _is_points(value, _is_whole), "a list of pairs of whole numbers")

_HEAD: Mapping[str, _Form] = {
    "id": (lambda value: isinstance(value, str) and bool(ID.fullmatch(value)), "letters, digits, '.', '_' and '-'"),
    "host": _or_null(_TEXT),
    "node": _or_null(_TEXT),
    "started": _TIME,
    "ended": _TIME,
    "duration_seconds": _SECONDS,
    "interval_seconds": _SECONDS,
    "samples": _WHOLE,
    "missed": _WHOLE,
    "complete": _FLAG,
    "nvml_available": _FLAG,
    "reason": _or_null(_ANY_TEXT),
    "notes": _TEXTS,
}
_CARD: Mapping[str, _Form] = {
    "index": _or_null(_WHOLE),
    "uuid": _TEXT,
    "product": _or_null(_ANY_TEXT),
    "memory_total_mib": _or_null(_WHOLE),
    "memory_reserved_mib": _or_null(_WHOLE),
    "samples": _WHOLE,
    "unanswered": _WHOLE,
    "state": _TEXT,
    "reason": _or_null(_ANY_TEXT),
    "over_time": _POINTS,
    "histogram": _HISTOGRAM,
    "utilization_histogram": _HISTOGRAM,
}
_MIG_DEVICE: Mapping[str, _Form] = {
    "uuid": _TEXT,
    "profile": _or_null(_TEXT),
    "memory_total_mib": _or_null(_WHOLE),
}
_USER: Mapping[str, _Form] = {
    **{name: _or_null(_TEXT) for name in ("mig_device", "pod_uid", "container_id")},
    **{name: _or_null(_ANY_TEXT) for name in ("command", "namespace", "pod", "container")},
    "gpu": _TEXT,
    "types": _TEXTS,
    "samples": _WHOLE,
    "untold": _WHOLE,
    "first_seen": _SECONDS,
    "last_seen": _SECONDS,
    "restarted": _WHOLE,
    "slots": _or_null(_WHOLE),
    "folded": _WHOLE,
    "pid": _or_null(_WHOLE),
    "trend_mib_per_hour": _or_null(_NUMBER),
    "trend_span_seconds": _SECONDS,
    "over_time": _POINTS,
    "histogram": _HISTOGRAM,
    "process_histogram": _HISTOGRAM,
}
_FIGURES: Mapping[str, _Form] = {"peak": _WHOLE, "mean": _SECONDS, "p95": _WHOLE, "samples": _WHOLE}
_NOTHING: Mapping[str, Any] = {"peak": 0, "mean": 0, "p95": 0, "samples": 0}
_PROCESSES: Mapping[str, _Form] = {"peak": _WHOLE, "mean": _SECONDS}
# which figures the samples of which histogram are
_OF_A_CARD = (("memory_used_mib", "histogram"), ("utilization_percent", "utilization_histogram"))
_OF_A_USER = (("memory_mib", "histogram"), ("process_memory_mib", "process_histogram"))


class _Reader:
    """Collects what is wrong with a document."""

    def __init__(self) -> None:
        self.problems: List[str] = []

    def read(self, where: str, document: Any) -> None:
        if not self._is_mapping(where, document):
            return
        for name, wanted in (("schema_version", SCHEMA_VERSION), ("kind", KIND)):
            if document.get(name) != wanted or isinstance(document.get(name), bool):
                # the rest is of another form then
                self.problems.append(f"{where}.{name} is {document.get(name)!r}; only {wanted!r} can be read.")
        if self.problems:
            return
        self._check(where, document, _HEAD)
        cards: Dict[str, str] = {}
        for place, card in self._entries(f"{where}.gpus", document.get("gpus")):
            self._read_card(place, card, cards)
        for place, user in self._entries(f"{where}.users", document.get("users")):
            self._read_user(place, user, cards)

    def _read_card(self, where: str, card: Mapping[str, Any], cards: Dict[str, str]) -> None:
        self._check(where, card, _CARD)
        self._read_figures(where, card, _OF_A_CARD)
        free = card.get("memory_free_mib")
        if free is not None and self._is_mapping(f"{where}.memory_free_mib", free):
            self._check(f"{where}.memory_free_mib", free, {"min": _WHOLE})
        for place, device in self._entries(f"{where}.mig_devices", card.get("mig_devices")):
            self._check(place, device, _MIG_DEVICE)
        uuid = card.get("uuid")
        if not isinstance(uuid, str):
            return
        if uuid in cards:
            self.problems.append(f"{where} describes {uuid}, and so does {cards[uuid]}; drop one of them.")
        cards[uuid] = where

    def _read_user(self, where: str, user: Mapping[str, Any], cards: Mapping[str, str]) -> None:
        self._check(where, user, _USER)
        self._read_figures(where, user, _OF_A_USER)
        if self._is_mapping(f"{where}.processes", user.get("processes")):
            self._check(f"{where}.processes", user["processes"], _PROCESSES)
        gpu = user.get("gpu")
        if isinstance(gpu, str) and gpu not in cards:
            self.problems.append(f"{where}.gpu is {gpu}, of which gpus says nothing; measure again.")

    def _read_figures(self, where: str, entry: Mapping[str, Any], pairs: Sequence[Tuple[str, str]]) -> None:
        for name, histogram in pairs:
            # null: nothing was told
            figures: Any = _NOTHING if name in entry and entry[name] is None else entry.get(name)
            before = len(self.problems)
            if self._is_mapping(f"{where}.{name}", figures):
                self._check(f"{where}.{name}", figures, _FIGURES)
            if len(self.problems) == before and _HISTOGRAM[0](entry.get(histogram)):
                self._compare(where, name, figures, histogram, entry[histogram])

    def _compare(
        self, where: str, name: str, figures: Mapping[str, Any], histogram: str, buckets: Sequence[Sequence[int]]
    ) -> None:
        samples, counted = figures["samples"], sum(count for _edge, count in buckets)
        if counted != samples:
            self.problems.append(
                f"{where}.{name}.samples is {samples} and {histogram} counts {counted}; measure again."
            )
        if figures["p95"] > figures["peak"]:
            self.problems.append(f"{where}.{name}.p95 is above its peak, {figures['peak']}; measure again.")

    def _check(self, where: str, entry: Mapping[str, Any], forms: Mapping[str, _Form]) -> None:
        for name, (check, wanted) in forms.items():
            if name not in entry:
                self.problems.append(f"{where}.{name} is missing; give {wanted}.")
            elif not check(entry[name]):
                self.problems.append(f"{where}.{name} is {_show(entry[name])}; give {wanted}.")

    def _is_mapping(self, where: str, entry: Any) -> bool:
        if not isinstance(entry, Mapping):
            self.problems.append(f"{where} is {kind_of(entry)}; give a mapping.")
            return False
        return True

    def _entries(self, where: str, entries: Any) -> List[Tuple[str, Mapping[str, Any]]]:
        if not isinstance(entries, (list, tuple)):
            self.problems.append(f"{where} is {kind_of(entries)}; give a list.")
            return []
        placed = [(f"{where}[{number}]", entry) for number, entry in enumerate(entries)]
        return [(place, entry) for place, entry in placed if self._is_mapping(place, entry)]


def _show(value: Any) -> str:
    """A value in a message: as it is if that is short, else its type."""
    if isinstance(value, (bool, int, float, str)) and len(repr(value)) <= 60:
        return repr(value)
    return kind_of(value)

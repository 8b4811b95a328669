"""Comparing an answer with a recorded one: placeholders stand for values that are bound when first seen."""

from __future__ import annotations

import re
from typing import Any

PLACEHOLDER = re.compile(
    r"<(?:rv|gen|hash|continue)(?::\d+)?>"
    r"|<(?:uid|time|token|server|etag|age|text|pem|host|n|hex|event-hex|the patched object as JSON|repeat:a:\d+)>"
)
PATTERNS = {
    "uid": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "time": r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z|2006-01-02T15:04:05\.000000Z)",
    "rv": r"\d+",
    "gen": r"[a-z0-9]{5}",
    "hash": r"[a-z0-9]+",
    "continue": r"[A-Za-z0-9_-]+",
    "age": r"(?:\d+[smhdy])+",
    "hex": r"[0-9a-f]+",
    "event-hex": r"[0-9a-f]+",
}
LOOSE_LISTS = ("items", "rows")
UNRELATED = "unrelated"


class Bindings:
    """Values of numbered placeholders, with the means to take guesses back."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def fill(self, text: str) -> str:
        """The text with all known placeholders replaced."""
        return PLACEHOLDER.sub(lambda match: self.values.get(match.group(0), match.group(0)), text)

    def match(self, expected: str, actual: str) -> bool:
        """Whether the text fits; binds numbered placeholders that are not bound yet."""
        pattern, names = self._pattern(expected)
        found = re.fullmatch(pattern, actual, re.DOTALL)
        if found is None:
            return False
        new: dict[str, str] = {}
        for name, value in zip(names, found.groups()):
            if new.setdefault(name, value) != value:
                return False
        self.values.update(new)
        return True

    def _pattern(self, expected: str) -> tuple[str, list[str]]:
        pattern, names, at = "", [], 0
        for match in PLACEHOLDER.finditer(expected):
            placeholder = match.group(0)
            pattern += re.escape(expected[at : match.start()])
            kind, _unused, number = placeholder[1:-1].partition(":")
            if placeholder in self.values:
                pattern += re.escape(self.values[placeholder])
            elif kind == "repeat":
                pattern += f"a{{{number.rpartition(':')[2]}}}"
            elif number:
                pattern += f"({PATTERNS[kind]})"
                names.append(placeholder)
            else:
                pattern += f"(?:{PATTERNS.get(kind, '.*')})"
            at = match.end()
        return pattern + re.escape(expected[at:]), names


class Comparison:
    """One answer against its record. ``subset``: the record was cut, so that the answer may have more keys;
    ``partial``: more items too. ``loose_version``: a list's own version may move on."""

    def __init__(self, bindings: Bindings, *, subset: bool, loose_version: bool, partial: bool = False) -> None:
        self._bindings = bindings
        self._subset = subset
        self._loose_version = loose_version
        self._partial = partial
        self.problems: list[str] = []

    def matches(self, expected: Any, actual: Any) -> bool:
        saved = dict(self._bindings.values)
        if self._compare(expected, actual, ""):
            return True
        self._bindings.values = saved
        return False

    def _compare(self, expected: Any, actual: Any, path: str) -> bool:
        if isinstance(expected, dict) and isinstance(actual, dict):
            return self._compare_dicts(expected, actual, path)
        if isinstance(expected, list) and isinstance(actual, list):
            if path.rpartition(".")[2] in LOOSE_LISTS:
                return self._compare_sets(expected, _related(actual), path)
            return self._compare_lists(expected, actual, path)
        if isinstance(expected, str) and isinstance(actual, str):
            same = self._bindings.match(expected, actual)
        else:
            same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
        return same or self._problem(path, expected, actual)

    def _compare_dicts(self, expected: dict[str, Any], actual: dict[str, Any], path: str) -> bool:
        missing = [key for key in expected if key not in actual and key != "trimmed" and expected[key] is not None]
        extra = [] if self._subset else [key for key in actual if key not in expected]
        if missing or extra:
            return self._problem(path, f"keys {missing} (missing)", f"keys {extra} (unexpected)")
        keys = [key for key in expected if key != "trimmed" and key in actual]
        if self._loose_version and path == ".metadata":
            keys = [key for key in keys if key != "resourceVersion"]
        return all(self._compare(expected[key], actual[key], f"{path}.{key}") for key in keys)

    def _compare_lists(self, expected: list[Any], actual: list[Any], path: str) -> bool:
        if len(expected) != len(actual):
            return self._problem(path, f"{len(expected)} items", f"{len(actual)} items")
        return all(
            self._compare(one, other, f"{path}[{number}]") for number, (one, other) in enumerate(zip(expected, actual))
        )

    def _compare_sets(self, expected: list[Any], actual: list[Any], path: str) -> bool:
        """Generated names sort by chance: any order will do."""
        if len(expected) > len(actual) or (len(expected) < len(actual) and not self._partial):
            return self._problem(path, f"{len(expected)} items", f"{len(actual)} items")
        if not expected:
            return True
        for number, candidate in enumerate(actual):
            saved, problems = dict(self._bindings.values), list(self.problems)
            rest = actual[:number] + actual[number + 1 :]
            if self._compare(expected[0], candidate, f"{path}[]") and self._compare_sets(expected[1:], rest, path):
                return True
            self._bindings.values = saved
            if number + 1 < len(actual):
                self.problems = problems
        return False

    def _problem(self, path: str, expected: Any, actual: Any) -> bool:
        self.problems.append(f"{path or '.'}: expected {_short(self._shown(expected))}, got {_short(actual)}")
        return False

    def _shown(self, value: Any) -> Any:
        return self._bindings.fill(value) if isinstance(value, str) else value


def _related(items: list[Any]) -> list[Any]:
    return [item for item in items if _name(item) != UNRELATED]


def _name(item: Any) -> str:
    if not isinstance(item, dict):
        return ""
    holder = item.get("object") if isinstance(item.get("object"), dict) else item
    return str(((holder or {}).get("metadata") or {}).get("name", ""))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"


def without_managed_fields(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_managed_fields(item) for key, item in value.items() if key != "managedFields"}
    if isinstance(value, list):
        return [without_managed_fields(item) for item in value]
    return value


def trace_problems(bindings: Bindings, expected: list[Any], actual: list[Any]) -> list[str]:
    """Every state of an object in order. Controllers may merge or split status writes: one in ten may differ, not the ends."""
    alike = [[_same_state(bindings, one, other) for other in actual] for one in expected]
    if not alike or not actual or not alike[0][0] or not alike[-1][-1]:
        return ["the first or the last state differs"]
    common = _longest_common(alike)
    allowed = -(-len(expected) // 10)
    missing, extra = len(expected) - common, len(actual) - common
    if missing > allowed or extra > allowed:
        return [f"{missing} of {len(expected)} recorded states are missing and {extra} others appear; {allowed} may"]
    return []


def _same_state(bindings: Bindings, expected: Any, actual: Any) -> bool:
    saved = dict(bindings.values)
    comparison = Comparison(bindings, subset=True, loose_version=False)
    same = comparison.matches(_without_version(expected), _without_version(actual))
    bindings.values = saved
    return same


def _without_version(event: Any) -> Any:
    metadata = {key: value for key, value in event["object"]["metadata"].items() if key != "resourceVersion"}
    return {**event, "object": {**event["object"], "metadata": metadata}}


def _longest_common(alike: list[list[bool]]) -> int:
    lengths = [[0] * (len(alike[0]) + 1) for _unused in range(len(alike) + 1)]
    for row, line in enumerate(alike):
        for column, same in enumerate(line):
            best = max(lengths[row][column + 1], lengths[row + 1][column])
            lengths[row + 1][column + 1] = lengths[row][column] + 1 if same else best
    return lengths[-1][-1]

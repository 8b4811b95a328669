# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An edit of a JSON text changes one member and no other byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime import json_text
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.json_text import (
    JsonTextError,
    parse,
    remove_member,
    set_member,
)

NVIDIA = {"path": "/usr/bin/nvidia-container-runtime", "args": []}
PATH = ("runtimes", "nvidia")

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=6)
#: How people and programs lay JSON out: one line, tight, indented by anything, with CRLF, with a mark of byte order.
LAYOUTS = st.builds(
    lambda indent, tight, head, tail, crlf, ascii_only: (indent, tight, head, tail, crlf, ascii_only),
    st.sampled_from([None, 1, 2, 4, "\t"]),
    st.booleans(),
    st.sampled_from(["", "\ufeff", "\n", "  "]),
    st.sampled_from(["", "\n", "\n\n", "  "]),
    st.booleans(),
    st.booleans(),
)


def laid_out(value: Any, layout: tuple[Any, ...]) -> str:
    indent, tight, head, tail, crlf, ascii_only = layout
    separators = (",", ":") if tight else None
    text = head + json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only) + tail
    return text.replace("\n", "\r\n") if crlf else text


@settings(max_examples=150, deadline=None)
@given(value=VALUES, layout=LAYOUTS)
def test_parse_any_json_reads_what_the_standard_library_reads(value: Any, layout: tuple[Any, ...]) -> None:
    assert parse(laid_out(value, layout)).value == json.loads(laid_out(value, layout).lstrip("\ufeff"))


@settings(max_examples=150, deadline=None)
@given(value=OBJECTS, layout=LAYOUTS, key=st.text(), put=VALUES)
def test_set_member_any_object_adds_the_member_alone(
    value: dict[str, Any], layout: tuple[Any, ...], key: str, put: Any
) -> None:
    text = laid_out(value, layout)
    result = set_member(text, (key,), put)
    assert json.loads(result.lstrip("\ufeff")) == {**value, key: put}
    assert set_member(result, (key,), put) == result


@settings(max_examples=150, deadline=None)
@given(value=OBJECTS.filter(bool), layout=LAYOUTS, key=st.text(), put=VALUES)
def test_remove_member_that_was_put_in_gives_back_every_byte(
    value: dict[str, Any], layout: tuple[Any, ...], key: str, put: Any
) -> None:
    value.pop(key, None)
    text = laid_out(value or {"a": 1, key + "b": 2}, layout)
    if key in json.loads(text.lstrip("\ufeff")):
        return
    assert remove_member(set_member(text, (key,), put), (key,)) == text


@settings(max_examples=100, deadline=None)
@given(value=OBJECTS.filter(bool), layout=LAYOUTS, data=st.data())
def test_remove_member_any_of_an_object_leaves_the_rest(
    value: dict[str, Any], layout: tuple[Any, ...], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(value)))
    result = remove_member(laid_out(value, layout), (key,))
    assert json.loads(result.lstrip("\ufeff")) == {name: one for name, one in value.items() if name != key}


def test_set_member_new_object_follows_the_indentation_of_the_file() -> None:
    text = '{\n    "log-driver": "json-file",\n    "features": {"buildkit": true}\n}\n'
    assert set_member(text, PATH, NVIDIA) == (
        '{\n    "log-driver": "json-file",\n    "features": {"buildkit": true},\n'
        '    "runtimes": {\n        "nvidia": {\n            "path": "/usr/bin/nvidia-container-runtime",\n'
        '            "args": []\n        }\n    }\n}\n'
    )


def test_set_member_inside_an_object_on_one_line_stays_on_it() -> None:
    text = '{\n  "features": {"buildkit": true},\n  "debug": false\n}\n'
    assert set_member(text, ("features", "cdi"), True) == text.replace("true}", 'true, "cdi": true}')


def test_set_member_of_a_file_on_one_line_stays_on_it() -> None:
    assert set_member('{"debug":true}\n', ("default-runtime",), "nvidia") == (
        '{"debug":true, "default-runtime": "nvidia"}\n'
    )


def test_set_member_equal_value_written_differently_is_left_as_it_stands() -> None:
    text = '{"runtimes": {"nvidia": {"args": [ ],   "path": "/usr/bin/nvidia-container-runtime"}}}'
    assert set_member(text, PATH, NVIDIA) == text


def test_set_member_number_for_a_boolean_is_a_change() -> None:
    assert set_member('{"a": 1}', ("a",), True) == '{"a": true}'


@pytest.mark.parametrize(
    ("text", "line", "column", "reason"),
    [
        ('{\n  "a": 1,\n}\n', 3, 1, "no comma behind the last member"),
        ('{\n  "a": 1\n  "b": 2\n}', 3, 3, "a comma or '}' is missing here"),
        ('{"a" 1}', 1, 6, "a colon is missing behind the key 'a'"),
        ('{"a": }', 1, 7, "a value is missing here"),
        ("{'a': 1}", 1, 2, "a key in double quotes is missing here"),
        ('{"a": [1 2]}', 1, 10, "a comma or ']' is missing here"),
        ('{"a": nope}', 1, 7, "'n' begins no value"),
        ('{"a": "x\ny"}', 1, 9, "Invalid control character at"),
        ("", 1, 1, "a value is missing here"),
        ("{} {}", 1, 4, "the value ends before this"),
        ("[" * 100_000, 1, None, "nested deeper"),
    ],
)
def test_parse_no_json_tells_line_column_and_reason(text: str, line: int, column: int | None, reason: str) -> None:
    with pytest.raises(JsonTextError) as caught:
        parse(text)
    assert caught.value.line == line
    assert column is None or caught.value.column == column
    assert reason in caught.value.reason


def test_set_member_below_something_that_is_no_object_is_refused_with_its_place() -> None:
    with pytest.raises(JsonTextError, match=r"line 2, column 15: runtimes is no object.*'nvidia'"):
        set_member('{\n  "runtimes": []\n}', PATH, NVIDIA)


def test_lookup_of_a_key_given_twice_finds_the_one_that_counts() -> None:
    found = json_text.lookup(parse('{"a": 1, "a": 2}'), ("a",))
    assert found is not None
    assert found.value == 2

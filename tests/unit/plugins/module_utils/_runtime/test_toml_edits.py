# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single changes of a TOML text."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime import toml_reading
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_arrays import (
    add_element,
    drop_element,
    put_first,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import (
    literal,
    put,
    raw_value,
    take_out,
    take_out_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_places import scan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import flatten, parse


@pytest.mark.parametrize(
    ("text", "path", "value", "result"),
    [
        pytest.param("a = 1 # why\nb=2\n", ("a",), 3, "a = 3 # why\nb=2\n", id="in_its_place"),
        pytest.param("  a = '''\nx'''\nb=2", ("a",), "y", '  a = "y"\nb=2', id="lines"),
        pytest.param("a = 1\n[t]\nb = 2\n", ("c",), 3, "a = 1\nc = 3\n[t]\nb = 2\n", id="root"),
        pytest.param("[t]\nb = 2\n", ("c",), 3, "c = 3\n[t]\nb = 2\n", id="empty_root"),
        pytest.param("[t]\n  b = 2\n\n[u]\n", ("t", "c"), 3, "[t]\n  b = 2\n  c = 3\n\n[u]\n", id="table"),
        pytest.param("[t]", ("t", "c"), 3, "[t]\n  c = 3", id="no_line_break"),
        pytest.param("[t]\r\n[u]\r\n", ("t", "c"), 3, "[t]\r\n  c = 3\r\n[u]\r\n", id="crlf"),
        pytest.param("t.b = 1\n[u]\n", ("t", "c"), 3, "t.b = 1\nt.c = 3\n[u]\n", id="dotted"),
        pytest.param("t = { b = 1 }\n", ("t", "c"), 3, "t = { b = 1, c = 3}\n", id="inline"),
        pytest.param("[a.b]\nx = 1\n", ("a", "c", "y"), 3, "[a.b]\nx = 1\n\n[a.c]\n  y = 3\n", id="beside"),
        pytest.param(
            "[a]\n  [a.b]\n    [a.b.c]\n      x = 1\n  [a.d]\n",
            ("a", "b", "e", "f", "y"),
            3,
            "[a]\n  [a.b]\n    [a.b.c]\n      x = 1\n\n    [a.b.e.f]\n      y = 3\n  [a.d]\n",
            id="within_nothing_beside",
        ),
        pytest.param(
            "[a]\n  [a.b]\n", ("a", "b", "c", "y"), 3, "[a]\n  [a.b]\n\n    [a.b.c]\n      y = 3\n", id="within"
        ),
        pytest.param("# of b\n[a.b]\nx = 1\n", ("a", "y"), 3, "[a]\n  y = 3\n\n# of b\n[a.b]\nx = 1\n", id="above"),
        pytest.param(
            "x = '''\n# no comment '''\n[a.b]\n",
            ("a", "y"),
            3,
            "x = '''\n# no comment '''\n[a]\n  y = 3\n\n[a.b]\n",
            id="above_a_text_of_several_lines",
        ),
        pytest.param("", ("a", "b"), 3, "[a]\n  b = 3\n", id="empty"),
        pytest.param("\ufeff", ("a",), 3, "\ufeffa = 3\n", id="bom"),
        pytest.param('["a.b".c]\n"d e" = 1\n', ("a.b", "c", "d e"), 3, '["a.b".c]\n"d e" = 3\n', id="quoted"),
        pytest.param(
            "[[l]]\na = 1\n[l.t]\nb = 1\n", ("t", "b"), 3, "[[l]]\na = 1\n[l.t]\nb = 1\n\n[t]\n  b = 3\n", id="array"
        ),
    ],
)
def test_put_changes_the_value_alone(text: str, path: Any, value: Any, result: str) -> None:
    assert put(text, path, value) == result
    parse(result, "result")


@pytest.mark.parametrize(
    ("text", "path", "result"),
    [
        pytest.param("a = 1\nb = 2 # x\nc = 3\n", ("b",), "a = 1\nc = 3\n", id="line"),
        pytest.param("a = [\n1,\n]\nb = 2", ("a",), "b = 2", id="lines"),
        pytest.param("a = 1\nb = 2", ("b",), "a = 1", id="last"),
        pytest.param("t = {a = 1, b = 2}\n", ("t", "a"), "t = { b = 2}\n", id="inline"),
        pytest.param("a = 1\n", ("z",), "a = 1\n", id="missing"),
    ],
)
def test_take_out_leaves_the_rest(text: str, path: Any, result: str) -> None:
    assert take_out(text, path) == result


def test_table_goes_only_when_it_is_empty() -> None:
    assert take_out_table("[a]\nx = 1\n\n[b]\n", ("b",)) == "[a]\nx = 1\n"
    for kept in ("[a]\nx = 1\n", "[a]\n[a.b]\ny = 1\n", "[[a]]\n[[a]]\n"):
        assert take_out_table(kept, ("a",)) == kept


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("l = []\n", 'l = ["new"]\n'),
        ('l = ["a"] # why\n', 'l = ["a", "new"] # why\n'),
        ("l = ['a',]\n", "l = ['a', \"new\",]\n"),
        ('l = [\n  "a", # one\n  "b" # two\n]\n', 'l = [\n  "a", # one\n  "b",\n  "new" # two\n]\n'),
        ("l = [\n  # none\n]\n", 'l = ["new"\n  # none\n]\n'),
        ("x = 1\n", 'x = 1\nl = ["new"]\n'),
    ],
)
def test_element_is_added_at_the_end_and_taken_out_again(text: str, result: str) -> None:
    added = add_element(text, ("l",), "new")
    assert added == result
    assert parse(added, "l")["l"] == [*parse(text, "l").get("l", []), "new"]
    assert parse(drop_element(added, ("l",), "new"), "l")["l"] == parse(text, "l").get("l", [])


def test_first_element_is_taken_out() -> None:
    assert drop_element("l = ['a', 'b']\n", ("l",), "a") == "l = ['b']\n"
    assert drop_element("l = ['a', 'b']\n", ("l",), "z") == "l = ['a', 'b']\n"


SPREAD = 'l = [\n  # in this order\n  "a", # of a\n  "b",\n  "c", # of c\n]\n'


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("l = ['a']\n", "l = [\"new\", 'a']\n"),
        ("l = []\n", 'l = ["new"]\n'),
        ("", 'l = ["new"]\n'),
        (SPREAD, SPREAD.replace('  "a"', '  "new",\n  "a"')),
        (SPREAD.replace("\n", "\r\n"), SPREAD.replace('  "a"', '  "new",\n  "a"').replace("\n", "\r\n")),
    ],
)
def test_element_is_put_first_like_those_beside_it(text: str, result: str) -> None:
    assert put_first(text, ("l",), "new") == result
    if "[]" not in text and text:
        assert drop_element(result, ("l",), "new") == text


@pytest.mark.parametrize(
    ("text", "element", "result"),
    [
        (SPREAD, "a", SPREAD.replace('  "a", # of a', "   # of a")),
        (SPREAD, "b", SPREAD.replace('  "b",\n', "")),
        ("l = ['a',]\n", "a", "l = []\n"),
        ("l = [ 'a' # of a\n, 'b' ]\n", "a", "l = [  # of a\n 'b' ]\n"),
        ("l = [ 'b', # of b\n 'a' ]\n", "a", "l = [ 'b', # of b\n  ]\n"),
    ],
)
def test_element_that_goes_takes_no_comment_along(text: str, element: str, result: str) -> None:
    left = drop_element(text, ("l",), element)
    assert left == result
    assert parse(left, "l")["l"] == [one for one in parse(text, "l")["l"] if one != element]


def test_value_is_told_as_it_is_written() -> None:
    assert raw_value("[t]\na = 0x1F # hex\n", ("t", "a")) == "0x1F"
    assert raw_value("t = {a = 1}\n", ("t", "a")) is None


@pytest.mark.parametrize(
    "value", ["", 'a"b\\c', "tab\tnew\nline", "\x7f\x00", "ключ", True, -5, 1.5, ["a", 1], {"a b": {"c": []}}]
)
def test_literal_means_the_value(value: Any) -> None:
    assert parse(f"x = {literal(value)}", "x")["x"] == value


@pytest.mark.parametrize(
    "text",
    [
        'a = """x\n[no]\n"""""\nb = 1\n',
        "a = '''\n[no]\n# no'''\n[t]\nb = 1\n",
        'a = [ [1, 2], ["]", { x = "}" }], # ]\n 3 ]\nb = 1\n',
        '"a.b" . c = 1\n\'d\\\' = 2\n"\\u00e9" = 3\n"\\U0001F600" = 4\n',
        "[ a . b ]\n x=1#c\n[[ l ]]\ny = 1979-05-27 07:32:00Z\n",
        'a = "\\\\"\nb = "\\""\n',
    ],
)
def test_statements_are_found_in_any_spelling(text: str) -> None:
    data = parse(text, "text")
    found = {one.path for one in scan(text) if not one.header}
    assert found <= {*flatten(data), ("l", "y")}
    assert len(found) == len([path for path in flatten(data) if path != ("l",)]) + ("[[" in text)


@pytest.mark.parametrize("text", ["a", "a = 'x", "a = [1", "a b = 1", '"a'])
def test_text_that_is_no_toml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        scan(text)


@pytest.mark.parametrize("text", ["a = 1\r\n[t]\nb = { c = [1, 'x'] }\n", "\ufeff[[l]]\nd = 1979-05-27\n", ""])
def test_reading_is_the_same_without_pythons_own_reader(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = parse(text, "text")
    monkeypatch.setattr(toml_reading, "_LOADS", None)
    toml_reading._read.cache_clear()
    assert parse(text, "text") == fast


@pytest.mark.parametrize("own", [True, False])
@pytest.mark.parametrize(
    ("text", "place"),
    [("a = 1\nb = [1,\nc = 2\n", ":3:1: "), ("a = 1\na = 2\n", ": "), ('x = "a\n', ":1:7: "), ("[a\n", ":1:3: ")],
)
def test_place_of_what_is_no_toml_is_told_by_either_reader(
    text: str, place: str, own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not own:
        monkeypatch.setattr(toml_reading, "_LOADS", None)
    toml_reading._read.cache_clear()
    with pytest.raises(toml_reading.TomlError) as caught:
        parse(text, "/etc/x.toml")
    assert str(caught.value).startswith(f"Reading /etc/x.toml{place}" if place != ": " else "Reading /etc/x.toml:")

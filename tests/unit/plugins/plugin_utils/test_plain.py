# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain values out of Ansible's own types."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import jmespath
import pytest

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain


class Text(str):
    """As a tagged string: equal to a plain one, of another type."""


class Number(int):
    """As a tagged number."""


def types_in(value: Any) -> set[type]:
    if isinstance(value, dict):
        return {dict}.union(*(types_in(key) | types_in(item) for key, item in value.items()))
    if isinstance(value, list):
        return {list}.union(*map(types_in, value))
    return {type(value)}


def test_to_plain_leaves_only_built_in_types() -> None:
    value = OrderedDict({Text("a"): [Text("b"), Number(1), True, None, 0.5], Number(2): (Text("c"),), "d": {Text("e")}})
    plain = to_plain(value)
    assert plain == {"a": ["b", 1, True, None, 0.5], "2": ["c"], "d": ["e"]}
    assert types_in(plain) <= {dict, list, str, int, bool, float, type(None)}


def test_to_plain_makes_jmespath_functions_work() -> None:
    with pytest.raises(jmespath.exceptions.JMESPathTypeError):
        jmespath.search("contains(product, 'L20')", {"product": Text("NVIDIA L20")})
    assert jmespath.search("contains(product, 'L20')", to_plain({"product": Text("NVIDIA L20")})) is True


def test_to_plain_of_ansibles_tagged_values() -> None:
    datatag = pytest.importorskip("ansible._internal._datatag._tags", reason="tags came with ansible-core 2.19")
    tagged = datatag.TrustedAsTemplate().tag("{{ x }}")
    assert datatag.TrustedAsTemplate.is_tagged_on(tagged)
    assert not datatag.TrustedAsTemplate.is_tagged_on(to_plain(tagged))


def test_to_plain_of_anything_else_is_its_text() -> None:
    assert to_plain(ValueError("x")) == "x"

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Profile names."""

from __future__ import annotations

from typing import Any, Tuple

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import (
    compute_name,
    parse_name,
    resource_name,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.profiles import MODELS

pytestmark = pytest.mark.node_side


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1g.12gb", (1, 1, 12, ())),
        ("7g.79gb", (7, 7, 79, ())),
        ("1g.10gb+me", (1, 1, 10, ("+me",))),
        ("1g.24gb+me.all", (1, 1, 24, ("+me.all",))),
        ("1g.24gb-me", (1, 1, 24, ("-me",))),
        ("4g.96gb+gfx", (4, 4, 96, ("+gfx",))),
        ("1c.3g.20gb", (1, 3, 20, ())),
        ("2c.2g.12gb+me", (2, 2, 12, ("+me",))),
        ("1g.24gb+me,gfx", (1, 1, 24, ("+gfx", "+me"))),
        ("MIG 1g.10gb+me", (1, 1, 10, ("+me",))),
        (" 1g.12gb ", (1, 1, 12, ())),
    ],
)
def test_parse_name_known_form_is_taken_apart(text: str, parts: Tuple[Any, ...]) -> None:
    name = parse_name(text)
    assert (name.compute, name.slices, name.memory_gb, name.attributes) == parts


@pytest.mark.parametrize(
    "text",
    ["", "1g", "1g.12", "1g12gb", "g.12gb", "0g.12gb", "1g.0gb", "1G.12GB", "1g.12gb+", "1g.12gb++me", "1g.12gb+me-me",
     "0c.3g.20gb", "1c.1c.3g.20gb", "1g.12gb.me", "all-1g.12gb", "１g.12gb", "1g.12gb\n1g.12gb", None, 19, ["1g.12gb"]],
)  # fmt: skip  # one form a word, in few lines
def test_parse_name_anything_else_is_refused_with_an_example(text: Any) -> None:
    with pytest.raises(ValueError, match="is no MIG profile; give a name such as 1g.12gb"):
        parse_name(text)


def test_parse_name_more_compute_slices_than_the_instance_has_are_refused() -> None:
    with pytest.raises(ValueError, match="'4c.3g.20gb' asks for 4 compute slices .* that has 3; give at most 3c"):
        parse_name("4c.3g.20gb")


def test_name_of_a_whole_compute_instance_is_that_of_its_gpu_instance() -> None:
    assert str(parse_name("3c.3g.20gb")) == "3g.20gb"
    assert str(parse_name("2c.3g.20gb")) == "2c.3g.20gb"
    assert parse_name("2c.2g.12gb+me").gpu_instance == "2g.12gb+me"


def test_names_of_all_tables_are_canonical() -> None:
    for model in MODELS:
        for profile in model.profiles:
            assert str(parse_name(profile.name)) == profile.name
            assert parse_name(profile.name).slices == profile.slices


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("1g.12gb", "nvidia.com/mig-1g.12gb"),
        ("1g.10gb+me", "nvidia.com/mig-1g.10gb.me"),
        ("1g.24gb+me.all", "nvidia.com/mig-1g.24gb.me.all"),
        ("1g.24gb-me", "nvidia.com/mig-1g.24gb-me"),
        ("1c.3g.20gb", "nvidia.com/mig-1c.3g.20gb"),
        ("3c.3g.20gb", "nvidia.com/mig-3g.20gb"),
    ],
)
def test_resource_name_replaces_what_kubernetes_does_not_take(text: str, resource: str) -> None:
    assert resource_name(text) == resource


def test_compute_name_of_something_without_a_proper_name_is_that() -> None:
    assert compute_name("2g.12gb+me", 1) == "1c.2g.12gb+me"
    assert compute_name("profile 99", 1) == "profile 99"

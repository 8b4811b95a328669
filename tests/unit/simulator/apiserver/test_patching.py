# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Merge, JSON and strategic merge patches."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.apiserver.errors import ApiError
from simulator.apiserver.patching import json_patch, merge_patch
from simulator.apiserver.schema import SCHEMA, Struct
from simulator.apiserver.strategic import strategic_merge

POD = SCHEMA.structs["V1Pod"]
NODE = SCHEMA.structs["V1Node"]


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        pytest.param({"a": 1, "b": {"c": 2}}, {"b": {"d": 3}}, {"a": 1, "b": {"c": 2, "d": 3}}, id="deep"),
        pytest.param({"a": 1}, {"a": None, "b": None}, {}, id="null removes"),
        pytest.param({"a": [1, 2]}, {"a": [3]}, {"a": [3]}, id="lists are replaced"),
        pytest.param({}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}, id="null in what is new"),
    ],
)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    before = repr(target)
    assert merge_patch(target, patch) == result
    assert repr(target) == before


def test_json_patch_does_what_rfc_6902_says() -> None:
    target = {"a": {"b/c": 1}, "list": [1, 2]}
    operations = [
        {"op": "test", "path": "/a/b~1c", "value": 1},
        {"op": "add", "path": "/list/-", "value": 3},
        {"op": "add", "path": "/list/0", "value": 0},
        {"op": "move", "from": "/a/b~1c", "path": "/moved"},
        {"op": "copy", "from": "/moved", "path": "/copied"},
        {"op": "remove", "path": "/list/1"},
    ]
    assert json_patch(target, operations) == {"a": {}, "list": [0, 2, 3], "moved": 1, "copied": 1}
    assert target == {"a": {"b/c": 1}, "list": [1, 2]}


def test_json_patch_replaces_a_missing_key_as_the_server_does() -> None:
    assert json_patch({"a": {}}, [{"op": "replace", "path": "/a/b", "value": 1}]) == {"a": {"b": 1}}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a", "value": 2},
        {"op": "remove", "path": "/nope"},
        {"op": "add", "path": "/nope/x", "value": 1},
        {"op": "nope", "path": "/a"},
        {"op": "add", "path": "/a"},
        {"op": "add", "path": "a", "value": 1},
    ],
)
def test_json_patch_that_cannot_be_applied_is_rejected(operation: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="the server rejected our request"):
        json_patch({"a": 1}, [operation])


@pytest.mark.parametrize(
    ("struct", "target", "patch", "result"),
    [
        pytest.param(
            POD,
            {"spec": {"containers": [{"name": "a", "image": "1", "args": ["x"]}, {"name": "b", "image": "1"}]}},
            {"spec": {"containers": [{"name": "a", "image": "2"}]}},
            {"spec": {"containers": [{"name": "a", "image": "2", "args": ["x"]}, {"name": "b", "image": "1"}]}},
            id="containers merge by name",
        ),
        pytest.param(
            POD,
            {"spec": {"containers": [{"name": "a"}, {"name": "b"}]}},
            {"spec": {"containers": [{"name": "a", "$patch": "delete"}]}},
            {"spec": {"containers": [{"name": "b"}]}},
            id="an item is deleted",
        ),
        pytest.param(
            POD,
            {"status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}},
            {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            {
                "status": {
                    "conditions": [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]
                }
            },
            id="new items come first",
        ),
        pytest.param(
            NODE,
            {"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}},
            {"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}},
            {"spec": {"taints": [{"key": "b", "effect": "NoSchedule"}]}},
            id="taints are replaced",
        ),
        pytest.param(
            NODE,
            {"metadata": {"labels": {"a": "1", "b": "2"}, "finalizers": ["x", "y"]}},
            {"metadata": {"labels": {"a": None, "c": "3"}, "$deleteFromPrimitiveList/finalizers": ["x"]}},
            {"metadata": {"labels": {"b": "2", "c": "3"}, "finalizers": ["y"]}},
            id="maps merge and members of sets go",
        ),
        pytest.param(
            NODE,
            {"metadata": {"labels": {"a": "1"}}},
            {"metadata": {"labels": {"$patch": "replace", "b": "2"}}},
            {"metadata": {"labels": {"b": "2"}}},
            id="a map is replaced",
        ),
    ],
)
def test_strategic_merge(struct: Struct, target: Any, patch: Any, result: Any) -> None:
    before = repr(target)
    assert strategic_merge(target, patch, struct) == result
    assert repr(target) == before


def test_strategic_merge_needs_the_merge_key() -> None:
    with pytest.raises(ApiError, match="does not contain declared merge key: name"):
        strategic_merge({}, {"spec": {"containers": [{"image": "x"}]}}, POD)

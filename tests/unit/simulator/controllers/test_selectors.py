from __future__ import annotations

from typing import Any

import pytest

from simulator.controllers.selectors import matches_labels, named_nodes, selects_node, tolerates

NODE = {"metadata": {"name": "n1", "labels": {"zone": "a", "gpus": "8"}}}


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    return {
        "affinity": {
            "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
        }
    }


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, True),
        ({"nodeSelector": {"zone": "a"}}, True),
        ({"nodeSelector": {"zone": "b"}}, False),
        (affinity(expression("zone", "In", "b", "a")), True),
        (affinity(expression("zone", "NotIn", "a")), False),
        (affinity(expression("missing", "NotIn", "a")), True),
        (affinity(expression("missing", "DoesNotExist")), True),
        (affinity(expression("zone", "Exists")), True),
        (affinity(expression("gpus", "Gt", "4")), True),
        (affinity(expression("gpus", "Lt", "4")), False),
        (affinity(expression("zone", "In", "b"), expression("gpus", "Exists")), True),
        (affinity({}), False),
        ({**affinity(expression("zone", "In", "a")), "nodeSelector": {"zone": "b"}}, False),
    ],
)
def test_node_selector_and_required_affinity_both_count(spec: dict[str, Any], expected: bool) -> None:
    assert selects_node(spec, NODE) is expected


def test_named_nodes_are_those_of_match_fields() -> None:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}
    assert named_nodes(affinity(term)) == {"n1"}
    assert selects_node(affinity(term), NODE)
    assert named_nodes(affinity(expression("zone", "Exists"))) is None


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"operator": "Exists"}, True),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "k", "value": "v"}, True),
        ({"key": "k", "value": "w"}, False),
        ({"key": "k", "value": "v", "effect": "NoExecute"}, False),
        ({"key": "other", "operator": "Exists"}, False),
    ],
)
def test_toleration_covers_taint(toleration: dict[str, Any], expected: bool) -> None:
    assert tolerates([toleration], {"key": "k", "value": "v", "effect": "NoSchedule"}) is expected


def test_no_label_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not matches_labels(None, {"a": "b"})
    assert matches_labels({}, None)

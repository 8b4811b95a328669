# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Label and field selectors."""

from __future__ import annotations

import pytest

from simulator.apiserver.errors import ApiError
from simulator.apiserver.selectors import label_selector_matches, parse_fields, parse_labels


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ("a=1", True),
        ("a==1,b", True),
        ("a!=1", False),
        ("c!=1", True),
        ("a in (1,2)", True),
        ("a notin (1, 2)", False),
        ("c notin (1)", True),
        ("!c", True),
        ("!a", False),
        ("b=", True),
        ("example.com/x=y", True),
        ("", True),
    ],
)
def test_label_selectors(selector: str, matches: bool) -> None:
    obj = {"metadata": {"labels": {"a": "1", "b": "", "example.com/x": "y"}}}
    assert parse_labels(selector)(obj) is matches


@pytest.mark.parametrize("selector", ["a===b", "a in", "=1", "a=1,,b", "a>1"])
def test_malformed_label_selectors_are_refused(selector: str) -> None:
    with pytest.raises(ApiError, match="unable to parse requirement"):
        parse_labels(selector)


def test_field_selectors() -> None:
    pod = {"metadata": {"name": "p", "namespace": "n"}, "spec": {"nodeName": "a"}, "status": {"phase": "Running"}}
    assert parse_fields("spec.nodeName=a,status.phase!=Failed", "pods")(pod)
    assert not parse_fields("metadata.name==q", "pods")(pod)
    assert parse_fields("spec.unschedulable=false", "nodes")({"metadata": {}, "spec": {}})
    event = {"metadata": {}, "source": {"component": "kubelet"}, "involvedObject": {"kind": "Pod"}}
    assert parse_fields("source=kubelet,involvedObject.kind=Pod", "events")(event)
    with pytest.raises(ApiError, match=r"field label not supported: spec\.foo"):
        parse_fields("spec.foo=1", "pods")
    with pytest.raises(ApiError, match="can't understand 'abc'"):
        parse_fields("abc", "pods")


def test_selector_objects() -> None:
    expressions = [
        {"key": "a", "operator": "In", "values": ["1"]},
        {"key": "b", "operator": "DoesNotExist"},
        {"key": "c", "operator": "NotIn", "values": ["x"]},
    ]
    assert label_selector_matches({"matchLabels": {"a": "1"}, "matchExpressions": expressions}, {"a": "1"})
    assert not label_selector_matches({"matchExpressions": expressions}, {"a": "1", "b": ""})
    assert label_selector_matches({}, {"any": "thing"})
    assert not label_selector_matches(None, {})

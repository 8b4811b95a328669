# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.selection import selects

LABELS = {"gpu": "yes", "zone": "a", "generation": "7"}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


def affine(*terms: Any) -> dict[str, Any]:
    return {"node_affinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}}


@pytest.mark.parametrize(
    ("plugin", "selected"),
    [
        ({}, True),
        ({"node_selector": {"gpu": "yes"}, "node_affinity": None}, True),
        ({"node_selector": {"gpu": "yes", "zone": "b"}}, False),
        ({"node_selector": {"absent": ""}}, False),
        (affine(expression("zone", "In", "a", "b")), True),
        (affine(expression("zone", "In", "b")), False),
        (affine(expression("absent", "In", "a")), False),
        (affine(expression("zone", "NotIn", "a")), False),
        (affine(expression("zone", "NotIn", "b")), True),
        (affine(expression("absent", "NotIn", "a")), True),
        (affine(expression("gpu", "Exists")), True),
        (affine(expression("absent", "Exists")), False),
        (affine(expression("gpu", "DoesNotExist")), False),
        (affine(expression("absent", "DoesNotExist")), True),
        (affine(expression("generation", "Gt", "6")), True),
        (affine(expression("generation", "Gt", "7")), False),
        (affine(expression("generation", "Lt", "8")), True),
        (affine(expression("zone", "Gt", "1")), False),
        (affine(expression("zone", "Like", "a")), False),
        (affine(expression("zone", "In", "b"), expression("gpu", "Exists")), True),
        (affine({**expression("gpu", "Exists"), "matchFields": expression("metadata.name", "In", "n1")["matchExpressions"]}), True),
        (affine({**expression("gpu", "Exists"), "matchFields": expression("metadata.name", "In", "n2")["matchExpressions"]}), False),
        (affine({}), False),
        ({"node_selector": {"zone": "b"}, **affine(expression("gpu", "Exists"))}, False),
        ({"node_affinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1}]}}, True),
    ],
)  # fmt: skip
def test_selects_as_the_scheduler_does(plugin: dict[str, Any], selected: bool) -> None:
    assert selects(plugin, "n1", LABELS) is selected

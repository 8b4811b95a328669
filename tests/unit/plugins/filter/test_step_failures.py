# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a wave stops at."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kubegpu.sharing.plugins.filter.step_failures import step_failures

NODES = ["gpu-1", "gpu-2"]


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        pytest.param({"nodes": {"gpu-1": {"failed": False}, "gpu-2": {"failed": False}}}, {}, id="all well"),
        pytest.param(
            {"nodes": {"gpu-1": {"failed": True, "reason": "cordoned by hand"}, "gpu-2": {"failed": False}}},
            {"gpu-1": "cordoned by hand"},
            id="one node",
        ),
        pytest.param(
            {"nodes": {"gpu-1": {"failed": False}}},
            {"gpu-2": "the step says nothing about this node"},
            id="silence is no proof",
        ),
        pytest.param(
            {"failed": False, "msg": "API unreachable"},
            {"gpu-1": "API unreachable", "gpu-2": "API unreachable"},
            id="whole step",
        ),
        pytest.param(
            {"nodes": {"gpu-1": {"failed": True, "reason": "no"}}, "concerns": ["gpu-1"]},
            {"gpu-1": "no"},
            id="a step on some of the nodes",
        ),
        pytest.param(
            {"msg": "API unreachable", "concerns": ["gpu-2"]}, {"gpu-2": "API unreachable"}, id="some, whole step"
        ),
        pytest.param({"skipped": True, "msg": "conditional"}, {}, id="skipped"),
        pytest.param({}, dict.fromkeys(NODES, "the step ended without a result"), id="nothing came back"),
        pytest.param(
            [
                {"nodes": {"gpu-1": {}, "gpu-2": {"failed": True, "reason": "first"}}},
                {"nodes": {"gpu-1": {}}},
            ],
            {"gpu-2": "first"},
            id="a node that was not handed on",
        ),
    ],
)
def test_step_failures_of_a_wave_names_node_and_reason(results: Any, expected: dict[str, str]) -> None:
    assert step_failures(results, NODES) == expected


@pytest.mark.parametrize("results", ["ok", 3, ["ok"]])
def test_step_failures_of_something_else_is_refused(results: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="expected a registered result"):
        step_failures(results, NODES)

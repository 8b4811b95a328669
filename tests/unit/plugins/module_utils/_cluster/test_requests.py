# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import pod_requests


def asks(count: int, name: str = "nvidia.com/gpu", *, sidecar: bool = False) -> dict[str, Any]:
    container: dict[str, Any] = {"resources": {"requests": {name: str(count)}, "limits": {name: str(count)}}}
    return {**container, "restartPolicy": "Always"} if sidecar else container


NOTHING: dict[str, Any] = {"name": "plain"}


@pytest.mark.parametrize(
    ("init", "containers", "count"),
    [
        pytest.param([], [NOTHING], 0, id="none"),
        pytest.param([], [asks(1), NOTHING, asks(2)], 3, id="containers add up"),
        pytest.param([asks(4)], [asks(1)], 4, id="an init container runs alone"),
        pytest.param([asks(1), asks(3)], [asks(2)], 3, id="init containers run one after the other"),
        pytest.param([asks(1)], [asks(2)], 2, id="containers outweigh init containers"),
        pytest.param([asks(1, sidecar=True)], [asks(2)], 3, id="a sidecar runs with the containers"),
        pytest.param(
            [asks(1, sidecar=True), asks(3)], [asks(1)], 4, id="an init container runs beside earlier sidecars"
        ),
        pytest.param([asks(3), asks(1, sidecar=True)], [asks(1)], 3, id="and not beside later ones"),
        pytest.param([asks(1, sidecar=True), asks(2, sidecar=True)], [NOTHING], 3, id="sidecars add up"),
    ],
)
def test_pod_requests_counts_as_the_scheduler(init: list[Any], containers: list[Any], count: int) -> None:
    found = pod_requests({"initContainers": init, "containers": containers}, "nvidia.com/")
    assert found == ({"nvidia.com/gpu": count} if count else {})


def test_pod_requests_keeps_resources_apart() -> None:
    spec = {
        "initContainers": [asks(2, "nvidia.com/mig-1g.5gb")],
        "containers": [asks(1), asks(1, "nvidia.com/mig-1g.5gb"), asks(5, "amd.com/gpu")],
    }
    assert pod_requests(spec, "nvidia.com/") == {"nvidia.com/gpu": 1, "nvidia.com/mig-1g.5gb": 2}


def test_pod_requests_takes_a_limit_alone_for_a_request() -> None:
    spec = {"containers": [{"resources": {"limits": {"nvidia.com/gpu": "2"}}}]}
    assert pod_requests(spec, "nvidia.com/") == {"nvidia.com/gpu": 2}

from __future__ import annotations

from typing import Any

import pytest

from simulator.controllers.quantities import amount, pod_requests


@pytest.mark.parametrize(
    ("resource", "quantity", "expected"),
    [
        ("cpu", "2", 2000),
        ("cpu", "500m", 500),
        ("cpu", 0.5, 500),
        ("memory", "1Gi", 2**30),
        ("memory", "1500M", 1_500_000_000),
        ("memory", "1e3", 1000),
        ("memory", "100m", 1),
        ("nvidia.com/gpu", 3, 3),
    ],
)
def test_amount_of_a_quantity_is_an_integer(resource: str, quantity: Any, expected: int) -> None:
    assert amount(resource, quantity) == expected


def container(**requests: str) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": requests}}


def test_ordinary_init_containers_run_before_and_sidecars_beside_the_others() -> None:
    sidecar = {**container(cpu="1"), "restartPolicy": "Always"}
    pod = {
        "spec": {
            "initContainers": [container(cpu="5"), sidecar, container(cpu="3")],
            "containers": [container(cpu="2"), container(cpu="1")],
        }
    }
    # The first init container alone needs 5, the last one 1 + 3, everything running 1 + 2 + 1.
    assert pod_requests(pod) == {"cpu": 5000}


def test_limits_count_where_no_request_is_given_and_overhead_is_added() -> None:
    limited = {"name": "c", "resources": {"limits": {"nvidia.com/gpu": "2"}}}
    assert pod_requests({"spec": {"containers": [limited], "overhead": {"cpu": "250m"}}}) == {
        "nvidia.com/gpu": 2,
        "cpu": 250,
    }

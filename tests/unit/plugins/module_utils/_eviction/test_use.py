# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which devices a pod uses by its processes, MIG devices among them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import read_use


def facts(**process: Any) -> dict[str, Any]:
    devices = [
        {"uuid": "MIG-a", "gpu_instance_id": 7, "compute_instance_id": 0},
        {"uuid": "MIG-b", "gpu_instance_id": 8, "compute_instance_id": 0},
        {"uuid": "MIG-c", "gpu_instance_id": 8, "compute_instance_id": 1},
    ]
    return {"gpus": [{"uuid": "GPU-0", "mig": {"devices": devices}, "processes": [{"pod_uid": "u", **process}]}]}


@pytest.mark.parametrize(
    ("process", "used"),
    [
        pytest.param({"gpu_instance_id": 8, "compute_instance_id": 1}, {"GPU-0", "MIG-c"}, id="of a compute instance"),
        pytest.param({"gpu_instance_id": 8}, {"GPU-0", "MIG-b", "MIG-c"}, id="of some compute instance"),
        pytest.param({}, {"GPU-0"}, id="of the whole card"),
        pytest.param({"gpu_instance_id": 9, "compute_instance_id": 0}, {"GPU-0"}, id="of an instance that is gone"),
    ],
)
def test_a_process_uses_its_card_and_its_mig_device(process: dict[str, Any], used: set[str]) -> None:
    use = read_use(facts(**process))
    assert use.used == {"u": frozenset(used)}
    assert use.uses("u", ["MIG-c"]) is ("MIG-c" in used)

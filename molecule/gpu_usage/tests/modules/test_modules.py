# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gpu_info and gpu_usage say of real containers."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def info(results):
    return json.loads((results / "gpu_info.json").read_text(encoding="utf-8"))


@pytest.fixture
def measurement(results):
    return json.loads((results / "gpu_usage.json").read_text(encoding="utf-8"))["measurement"]


def test_gpu_info_names_the_container_of_each_process(info, truth):
    found: dict[tuple[str, str, str], list[tuple[int, int]]] = {}
    for gpu in info["gpus"]:
        for process in gpu["processes"]:
            name = (process["namespace"], process["pod"], process["container"])
            found.setdefault(name, []).append((gpu["index"], process["used_memory_mib"]))
    ((_gpu, memory),) = found.pop((None, None, None))
    assert memory == 64
    assert {name: (used[0][0], sum(mib for _gpu, mib in used), len(used)) for name, used in found.items()} == truth


def test_gpu_usage_measures_each_container(measurement, truth):
    indexes = {gpu["uuid"]: gpu["index"] for gpu in measurement["gpus"]}
    users = {(user["namespace"], user["pod"], user["container"]): user for user in measurement["users"]}
    host = users.pop((None, None, None))
    assert (host["command"], host["memory_mib"]["peak"]) == ("sleep", 64)
    assert {
        name: (indexes[user["gpu"]], user["memory_mib"]["peak"], user["processes"]["peak"])
        for name, user in users.items()
    } == truth
    assert all(user["samples"] == measurement["samples"] and user["restarted"] == 0 for user in users.values())
    assert measurement["samples"] >= 5


def test_pod_whose_cgroup_is_spelled_in_any_way_has_its_uid(measurement):
    uids = {(user["pod"], user["pod_uid"]) for user in measurement["users"] if user["pod"]}
    assert uids == {
        ("llm-0", "6b1f2c3d-0a1b-4c2d-8e3f-111111111111"),
        ("lab-7c9d", "6b1f2c3d-0a1b-4c2d-8e3f-222222222222"),
        ("batch-x1", "0123456789abcdef0123456789abcdef"),
    }

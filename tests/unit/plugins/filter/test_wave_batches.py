# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who is in the batches of a rollout."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter.wave_batches import wave_batches

WAVES = [["gpu-1"], ["gpu-2", "gpu-3"]]
HOSTS = [{"node": f"gpu-{number}", "host": f"rack-{number}"} for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("options", "members", "sizes"),
    [
        pytest.param({"leader": "wave-"}, ["wave-1", "wave-2"], [1, 1], id="leaders alone"),
        pytest.param(
            {"leader": "wave-", "with_hosts": True},
            ["wave-1", "rack-1", "wave-2", "rack-2", "rack-3"],
            [2, 3],
            id="leaders and hosts",
        ),
        pytest.param({}, ["rack-1", "rack-2"], [1, 1], id="a host leads each wave"),
        pytest.param(
            {"leader": "wave-", "reading": ["rack-3", "rack-9"]},
            ["wave-1", "wave-2", "rack-3"],
            [1, 2],
            id="a host that is only read",
        ),
        pytest.param(
            {"reading": ["rack-3"]},
            ["rack-1", "rack-2", "rack-3"],
            [1, 2],
            id="a host that is only read, another one leads",
        ),
    ],
)
def test_wave_batches_keeps_the_order_of_the_waves(options: Any, members: list[str], sizes: list[int]) -> None:
    batches = wave_batches(WAVES, HOSTS, **options)
    assert [member["host"] for member in batches["members"]] == members
    assert batches["sizes"] == sizes


def test_wave_batches_tells_node_and_wave_of_each_member() -> None:
    members = wave_batches(WAVES, HOSTS, leader="wave-", with_hosts=True)["members"]
    assert members[0] == {"host": "wave-1", "node": "", "wave": 1}
    assert members[-1] == {"host": "rack-3", "node": "gpu-3", "wave": 2}


def test_wave_batches_of_an_empty_plan_are_none() -> None:
    assert wave_batches([], [], leader="wave-") == {"members": [], "sizes": []}

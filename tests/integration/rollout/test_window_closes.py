# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A window that closes while a wave is under way: the wave is finished, and no other is begun."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from simulator.cluster import SimulatedCluster

from .operator import Ended, Operator
from .test_host_steps import LEASE, REVISION, in_service, node, steps, words

#: So long it takes at most until the first wave has begun, and on a machine that has much to do.
BEGINS_SECONDS = (30, 90)


def closes_after(seconds: int) -> dict[str, str]:
    """A window that closes with the first minute after that."""
    now = datetime.now(timezone.utc)
    start, end = now - timedelta(hours=1), now + timedelta(seconds=60 + seconds)
    return {"start": f"{start:%H:%M}", "end": f"{end:%H:%M}"}


WAIT: dict[str, Any] = {
    "name": "Take until the window has closed",
    "ansible.builtin.debug": {"msg": "waiting"},
    "register": "waited",
    "until": "not (hostvars['kubegpu-wave-1'].rollout_window | kubegpu.sharing.window_state).open",
    "retries": 180,
    "delay": 1,
}


def play_beyond_the_window(operator: Operator) -> Ended:
    """A rollout whose first wave goes on until the window has closed. One that came too late to begin it has changed no node."""
    takes_long = steps(operator.directory, "takes_long", WAIT)
    for seconds in BEGINS_SECONDS:
        ended = operator.play("rollout", kubegpu_window=closes_after(seconds), kubegpu_host_steps=[takes_long])
        if f"TASK [kubegpu.sharing.rollout : {WAIT['name']}]" in ended.output:
            break
    return ended


# Each of the tries may wait for its window.
@pytest.mark.timeout(500)
def test_wave_is_finished_when_the_window_closes_and_the_next_one_waits(
    reference_cluster: SimulatedCluster, operator: Operator
) -> None:
    cluster = reference_cluster
    ended = play_beyond_the_window(operator)
    plan_id = operator.plan()["plan_id"]
    assert ended.returncode != 0
    told = words(ended)
    assert "1 of 2 waves is done. The window is closed: it is" in told
    assert f"Run again then, with -e kubegpu_plan_id={plan_id}: that goes on with what is left." in told
    assert (in_service(cluster, "gpu-l20"), in_service(cluster, "gpu-t4")) == (True, True)
    assert node(cluster, "gpu-l20")["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert REVISION not in node(cluster, "gpu-t4")["metadata"]["labels"]
    assert not cluster.client().get(LEASE)["spec"].get("holderIdentity")
    last = cluster.position()
    operator.must_play("rollout", kubegpu_plan_id=plan_id)
    assert node(cluster, "gpu-t4")["status"]["allocatable"]["nvidia.com/gpu"] == "3"
    assert in_service(cluster, "gpu-t4")
    patched = {entry["name"] for entry in cluster.writes(last) if entry["resource"] == "nodes"}
    assert patched == {"gpu-t4"}

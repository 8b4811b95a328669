# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of plans that lay out MIG devices, on generated nodes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._plan import fleet
from unit.plugins.module_utils._plan.mig_fleet import OWNED, allocation, carry_out, h20, node, request

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import resource_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan

# Places that are free of overlap, and devices that fit a card.
STANDING = (
    (),
    (("1g.12gb", 6),),
    (("3g.48gb", 0), ("3g.48gb", 4)),
    (("4g.48gb", 0), ("1g.24gb", 4)),
    (("7g.96gb", 0),),
    tuple(("1g.12gb", start) for start in (5, 1, 3)),
)
WISHES: tuple[dict[str, int], ...] = (
    {"1g.12gb": 7},
    {"1g.12gb": 2, "2g.24gb": 1, "3g.48gb": 1},
    {"1g.24gb": 4},
    {"4g.48gb": 1, "1g.12gb+me": 1},
    {"7g.96gb": 1},
)


@st.composite
def wanted_nodes(draw: Any) -> Any:
    """A node with up to three H20s, pods on some of their MIG devices, and a wish for all or for some of them."""
    standing = [draw(st.sampled_from(STANDING)) for _number in range(draw(st.integers(1, 3)))]
    gpus = [h20(*instances, index=index) for index, instances in enumerate(standing)]
    pods, held, resources = [], [], dict[str, int]()
    for index, gpu in enumerate(gpus):
        for device in gpu["mig"]["devices"]:
            resource = resource_name(device["profile"])
            resources[resource] = resources.get(resource, 0) + 1
            if draw(st.booleans()):
                pods.append(fleet.pod(f"p-{index}-{device['gpu_instance_id']}", {resource: 1}, owner=OWNED))
                held.append(allocation(pods[-1], device["uuid"], resource=resource))
    selected = [index for index, instances in enumerate(standing) if instances or draw(st.booleans())]
    mig: dict[str, Any] = {"strategy": "none"}
    if selected and draw(st.integers(0, 4)):
        mig = {"devices": [{"gpus": [index], "devices": draw(st.sampled_from(WISHES))} for index in selected]}
    sharing = draw(st.sampled_from([{}, {"sharing": "time_slicing", "replicas": 2}]))
    wanted = request(gpus, mig, node(resources or {"nvidia.com/gpu": len(gpus)}, pods), held, **sharing)
    return replace(wanted, on_overcommit="evict")


@settings(max_examples=60, deadline=None)
@given(wanted_nodes())
def test_what_a_plan_does_is_what_it_says_and_nothing_is_left_to_do(wanted: Any) -> None:
    plan = build_plan(wanted)
    entry = plan["nodes"]["h20"]
    assert build_plan(wanted) == plan
    done = carry_out(wanted, plan)
    before, after = (
        {one["uuid"] for gpu in each.host_facts["h20"]["gpus"] for one in gpu["mig"]["devices"]}
        for each in (wanted, done)
    )
    assert {one for one in entry["mig"]["lost_devices"] if one.startswith("MIG-")} == before - after
    assert sum(entry["mig_devices"].values()) == len(after)
    again = build_plan(done)
    assert again["empty"], again["nodes"]["h20"]["reasons"]
    # Exactly those leave whose device goes, or that find no slot under its name any more.
    gone = {pod["name"] for pod in entry["evict"]["pods"]}
    for one in wanted.host_facts["h20"]["allocations"]:
        assert (one["device_ids"][0] in entry["mig"]["lost_devices"]) <= (one["pod_uid"][4:] in gone)
    if not entry["mig"]["changes"]:
        assert entry["evict"]["devices"] == []

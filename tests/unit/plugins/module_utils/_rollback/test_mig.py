# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node whose MIG instances a run has changed goes back to the layout that the snapshot has."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import read_use
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import read_plan

from .test_planner import GPU, KEY, OURS, REVISION, THEIRS, entry, node, plan

SMALL, LARGE = "nvidia.com/mig-1g.12gb", "nvidia.com/mig-3g.48gb"
UUID = "GPU-00000000-0000-0000-0000-000000000001"
SIZES = {"1g.12gb": 1, "3g.48gb": 4}
SLICES = {"1g.12gb": 1, "3g.48gb": 3}


def layout(*instances: tuple[str, int]) -> dict[str, Any]:
    """(profile, start) of each instance; none: the mode is off."""
    listed = [
        {"profile": name, "start": start, "size": SIZES[name], "compute": [{"slices": SLICES[name], "start": 0}]}
        for name, start in instances
    ]
    gpu = {"uuid": UUID, "pci_bus_id": "0000:17:00.0", "product": "NVIDIA H20", "instances": listed}
    return {"schema_version": 1, "gpus": [{**gpu, "mode": "enabled" if instances else "disabled"}]}


WHOLE = layout()
SEVEN = layout(*(("1g.12gb", start) for start in range(7)))
MIXED = layout(("3g.48gb", 4), *(("1g.12gb", start) for start in range(4)))


def facts(stands: dict[str, Any], **held: str) -> dict[str, Any]:
    """What gpu_info finds: devices are MIG-<start>, pods hold them by their UID."""
    (gpu,) = stands["gpus"]
    instances = [{"id": number, **one} for number, one in enumerate(gpu["instances"], start=1)]
    for one in instances:
        one["compute"] = [{"id": 0, **part} for part in one["compute"]]
    devices = [
        {
            "uuid": f"MIG-{one['start']}",
            "profile": one["profile"],
            "gpu_instance_id": one["id"],
            "compute_instance_id": 0,
        }
        for one in instances
    ]
    mig = {"capable": True, "mode": gpu["mode"], "pending": gpu["mode"], "instances": instances, "devices": devices}
    found = {"index": 0, **gpu, "pci_device_id": "0x232910DE", "memory_total_mib": 97871, "mig": mig, "processes": []}
    found.pop("instances")
    allocations = [
        {
            "pod_uid": uid,
            "resource": LARGE if device == "MIG-4" and len(devices) == 5 else SMALL,
            "device_ids": [device],
        }
        for uid, device in held.items()
    ]
    return {"gpus": [found], "allocations": allocations}


def was(
    before: dict[str, Any], after: dict[str, Any], resources: dict[str, int], revision: str = "0b", **more: Any
) -> dict[str, Any]:
    target = {"key": "l20", "revision": revision, "labels": {}, "mig": after}
    return {"gpu-1": entry(**{"mig": before, "target": target, "resources": resources, **more})}


def advertises(found: dict[str, Any], resources: dict[str, int]) -> dict[str, Any]:
    pods = found["pods"]
    for pod in pods:
        pod["owner"] = {"kind": "ReplicaSet", "name": "app"}
    for pod, (name, _count) in zip(pods, [*resources.items()] * len(pods)):
        pod["requests"] = {name: 1}
    held = {name: sum(pod["requests"].get(name, 0) for pod in pods) for name in resources}
    amounts = {
        name: {"capacity": count, "allocatable": count, "requested": held[name], "free": count - held[name]}
        for name, count in resources.items()
    }
    return {**found, "resources": amounts}


def back(stands: dict[str, Any] | None, recorded: dict[str, Any], found: dict[str, Any], **held: str) -> dict[str, Any]:
    read = {"gpu-1": facts(stands, **held)} if stands else {}
    uses = {name: read_use(one) for name, one in read.items()}
    return plan({"gpu-1": found}, recorded, facts=read, uses=uses)


def test_instances_go_back_to_the_whole_card_and_their_pods_leave() -> None:
    found = advertises(node(OURS, 0, pods=1), {SMALL: 7})
    made = back(SEVEN, was(WHOLE, SEVEN, {GPU: 1}), found, **{"u-0": "MIG-3"})
    gpu_1 = made["nodes"]["gpu-1"]
    assert gpu_1["mig"]["request"] == {"state": "absent", "gpus": "all"}
    assert (gpu_1["mig"]["before"], gpu_1["mig"]["after"]) == (SEVEN, WHOLE)
    assert gpu_1["evict"]["scope"] == "affected"
    assert {UUID, "MIG-3"} <= set(gpu_1["evict"]["devices"])
    assert [pod["name"] for pod in gpu_1["evict"]["pods"]] == ["p-0"]
    assert (gpu_1["disruption"], gpu_1["stale_pods"], made["waves"]) == ("affected", [], [["gpu-1"]])
    target = read_plan(made, "plan").nodes["gpu-1"]
    assert target.changes_layout
    assert target.wanted() == {GPU: 1, SMALL: 0}


def test_only_what_differs_goes_and_a_pod_on_what_stays_is_left_alone() -> None:
    """Under the same config: labels do not tell the two states apart, the layout does."""
    ours = {KEY: "l20", REVISION: "0a"}
    recorded = was(SEVEN, MIXED, {SMALL: 7}, labels={**ours, "enable": None}, revision="0a")
    found = advertises(node(ours, 0, pods=2), {SMALL: 4, LARGE: 1})
    found["pods"][0]["requests"], found["pods"][1]["requests"] = {SMALL: 1}, {LARGE: 1}
    made = back(MIXED, recorded, found, **{"u-0": "MIG-0", "u-1": "MIG-4"})
    gpu_1 = made["nodes"]["gpu-1"]
    assert gpu_1["mig"]["request"] == {"state": "present", "layout": SEVEN, "enable": "when_needed"}
    assert gpu_1["evict"]["devices"] == ["MIG-4"]
    assert [pod["name"] for pod in gpu_1["evict"]["pods"]] == ["p-1"]
    assert gpu_1["stale_pods"] == []


def test_a_layout_that_is_back_is_no_reason_to_do_anything() -> None:
    found = advertises(node(THEIRS, 0), {GPU: 1})
    assert back(WHOLE, was(WHOLE, SEVEN, {GPU: 1}), found)["empty"] is True


def test_a_node_whose_instances_the_run_left_alone_goes_back_though_its_host_cannot_be_read() -> None:
    found = advertises(node(OURS, 0), {SMALL: 14})
    made = back(None, was(SEVEN, SEVEN, {GPU: 1}), found)
    assert (made["waves"], made["nodes"]["gpu-1"]["mig"]) == ([["gpu-1"]], None)


def test_a_node_left_half_way_goes_on_from_what_stands() -> None:
    half = layout(("1g.12gb", 0), ("1g.12gb", 1))
    left = {"run": "run-1", "restore": {"key": None, "revision": None, "labels": THEIRS, "resources": {GPU: 1}}}
    found = advertises(node({REVISION: "withdrawn"}, 0, maintenance=left), {SMALL: 0})
    made = back(half, was(WHOLE, SEVEN, {GPU: 1}), found)
    assert made["nodes"]["gpu-1"]["mig"]["before"] == half
    assert made["nodes"]["gpu-1"]["mig"]["changes"] is True


def test_instances_that_somebody_changed_since_are_left_alone() -> None:
    found = advertises(node(OURS, 0), {SMALL: 4, LARGE: 1})
    made = back(MIXED, was(WHOLE, SEVEN, {GPU: 1}), found)
    assert made["skipped"] == [{"node": "gpu-1", "reason": "its MIG instances were changed after run run-1"}]


@pytest.mark.parametrize(
    ("stands", "recorded", "words"),
    [
        pytest.param(None, WHOLE, "could not be read. Let its host be reached", id="the host cannot be reached"),
        pytest.param(
            SEVEN,
            {"schema_version": 1, "gpus": [{**SEVEN["gpus"][0], "uuid": "GPU-other"}]},
            "A card that was replaced needs its layout made anew",
            id="another card",
        ),
        pytest.param(
            SEVEN,
            {
                "schema_version": 1,
                "gpus": [
                    {**SEVEN["gpus"][0], "instances": [{**SEVEN["gpus"][0]["instances"][0], "profile": "1g.10gb"}]}
                ],
            },
            "1g.10gb is no profile of GPU 0 (NVIDIA H20)",
            id="a profile that the card does not have any more",
        ),
    ],
)
def test_a_layout_that_cannot_come_back_is_refused_with_the_reason(
    stands: dict[str, Any] | None, recorded: dict[str, Any], words: str
) -> None:
    found = advertises(node(OURS, 0), {SMALL: 7})
    with pytest.raises(InputError) as refused:
        back(stands, was(recorded, SEVEN, {GPU: 1}), found)
    assert words in " ".join(refused.value.problems)


def test_instances_that_nobody_has_recorded_are_not_lost_by_the_reset_of_a_coupled_gpu() -> None:
    """Only a GPU that came since can be one. What the reset takes is not made anew, so the node does not go back."""
    old = {"product": "NVIDIA A100-SXM4-40GB", "compute_capability": "8.0", "memory_total_mib": 40960}
    [gpu] = facts(SEVEN)["gpus"]
    [other] = facts(layout(("1g.12gb", 0)))["gpus"]
    read = {"gpu-1": {"gpus": [{**gpu, **old}, {**other, **old, "index": 1, "uuid": "GPU-new"}], "allocations": []}}
    found = advertises(node(OURS, 0), {SMALL: 7})
    with pytest.raises(InputError, match="GPU 1 .* has MIG instances that nothing says the layout of"):
        plan({"gpu-1": found}, was(WHOLE, SEVEN, {GPU: 1}), facts=read, uses={})


def test_a_pod_that_may_not_be_evicted_keeps_its_node_from_going_back() -> None:
    found = advertises(node(OURS, 0, pods=1), {SMALL: 7})
    found["pods"][0]["owner"] = None
    read = {"gpu-1": facts(SEVEN, **{"u-0": "MIG-3"})}
    recorded = was(WHOLE, SEVEN, {GPU: 1})
    with pytest.raises(InputError, match="kubegpu_evict_force"):
        plan({"gpu-1": found}, recorded, facts=read, uses={"gpu-1": read_use(read["gpu-1"])})


@pytest.mark.parametrize(("reboot", "scope"), [(False, "affected"), (True, "all")])
def test_a_node_that_may_have_to_be_rebooted_is_emptied_on_the_way_back_too(reboot: bool, scope: str) -> None:
    found = advertises(node(OURS, 0, pods=2), {SMALL: 7})
    found["pods"][1]["requests"] = {}
    found["resources"][SMALL].update(requested=1, free=6)
    read = facts(SEVEN, **{"u-0": "MIG-3"})
    # A card of which nobody knows whether its mode changes without a reset.
    read["gpus"][0].update(product="NVIDIA A999", pci_device_id="0x999910DE")
    uses = {"gpu-1": read_use(read)}
    recorded = was(WHOLE, SEVEN, {GPU: 1})
    made = plan({"gpu-1": found}, recorded, facts={"gpu-1": read}, uses=uses, mig_allow_reboot=reboot)
    gpu_1 = made["nodes"]["gpu-1"]
    assert gpu_1["evict"]["scope"] == gpu_1["disruption"] == scope
    assert [pod["name"] for pod in gpu_1["evict"]["pods"]] == (["p-0", "p-1"] if reboot else ["p-0"])

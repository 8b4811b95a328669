# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans for GPUs: what stays and goes, the mode, refusals, and wishes that a card cannot fulfil."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

import pytest
from unit.plugins.module_utils._mig import cards

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import (
    ComputeInstance,
    Gpu,
    Instance,
    Place,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import (
    NEVER,
    Rules,
    plan,
    plan_gpu,
    plan_gpus,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import Wish, Wishes, read_wishes

pytestmark = pytest.mark.node_side

OFF: Dict[str, Any] = {"mode": "disabled", "pending": "disabled"}


def wish(**counts: int) -> Wish:
    return Wish("mig_devices", True, tuple(counts.items()))


def want(gpu: Gpu, counts: Dict[str, int], rules: Optional[Rules] = None) -> GpuPlan:
    return plan_gpu(gpu, Wish("mig_devices", True, tuple(counts.items())), rules)


def problems_of(gpu: Gpu, counts: Dict[str, int], rules: Optional[Rules] = None) -> List[str]:
    with pytest.raises(InputError) as caught:
        want(gpu, counts, rules)
    return caught.value.problems


def standing(plans: GpuPlan) -> List[Tuple[str, int]]:
    return [(one.profile, one.place.start) for one in plans.after().instances]


def names(plans: GpuPlan) -> List[str]:
    return [step["step"] for step in plans.steps()]


def test_plan_seven_devices_on_an_empty_card_are_created_from_left_to_right() -> None:
    found = want(cards.gpu(cards.H20), {"1g.12gb": 7})
    assert standing(found) == [("1g.12gb", start) for start in range(7)]
    assert found.steps()[:2] == [
        {"step": "create_gpu_instance", "profile": "1g.12gb", "start": 0, "size": 1, "profile_id": 19},
        {
            "step": "create_compute_instance",
            "device": "1g.12gb",
            "profile": "1g.12gb",
            "start": 0,
            "size": 1,
            "compute_slices": 1,
            "compute_start": None,
        },
    ]


def test_plan_another_layout_keeps_what_can_stay() -> None:
    found = want(cards.gpu(cards.H20, [("1g.12gb", start) for start in range(7)]), {"1g.12gb": 4, "3g.48gb": 1})
    assert [instance.place.start for instance, _change in found.keep] == [0, 1, 2, 3]
    assert [instance.place.start for instance in found.destroy] == [4, 5, 6]
    assert standing(found)[-1] == ("3g.48gb", 4)
    assert names(found) == ["destroy_compute_instance", "destroy_gpu_instance"] * 3 + [
        "create_gpu_instance",
        "create_compute_instance",
    ]


def test_plan_adding_destroys_nothing() -> None:
    found = want(cards.gpu(cards.A100, [("3g.20gb", 4)]), {"3g.20gb": 1, "1g.5gb": 2})
    assert not found.destroy
    assert len(found.create) == 2


def test_plan_single_instance_leaves_the_most_room() -> None:
    # 4g and 3g still fit beside it; at 0 it would leave neither 4g nor two 2g.
    assert standing(want(cards.gpu(cards.A100), {"1g.5gb": 1})) == [("1g.5gb", 6)]


def test_plan_instance_in_use_is_kept_rather_than_two_that_are_idle() -> None:
    # 4g can only stand at 0, so that either the instances there go or those at the end.
    gpu = cards.gpu(
        cards.A100, [("1g.5gb", 0), ("1g.5gb", 4), ("1g.5gb", 5), ("1g.5gb", 6)], in_use={(4, 0): (cards.NOTEBOOK,)}
    )
    found = want(gpu, {"1g.5gb": 1})
    assert standing(found) == [("1g.5gb", 6)]
    assert not found.refused
    busy_left = replace(gpu, in_use={(1, 0): (cards.NOTEBOOK,)})
    # Of the wish's two, the one in use stays where 2g could be, and 2g goes elsewhere.
    assert standing(want(busy_left, {"1g.5gb": 1, "2g.10gb": 1}))[0] == ("1g.5gb", 0)


def test_plan_instance_in_use_that_is_in_the_way_is_refused_with_who_holds_it() -> None:
    gpu = cards.gpu(cards.A100, [("1g.5gb", 0), ("3g.20gb", 4)], in_use={(1, 0): (cards.TRAINER, cards.NOTEBOOK)})
    found = want(gpu, {"4g.20gb": 1, "3g.20gb": 1})
    assert found.refused
    assert [instance.profile for instance, _change in found.keep] == ["3g.20gb"]
    assert found.refusal() == (
        "GPU 0 (NVIDIA A100-SXM4-40GB): cannot destroy compute instance 0 of MIG instance 1 (1g.5gb at 0) because "
        "process 4312 (python) of pod ml/trainer-0 and pod ml/notebook-0 hold it. Evict the pods and end the processes, "
        "or choose devices that leave these instances alone."
    )
    assert found.to_dict()["losses"] == [
        {
            "device": "1g.5gb at 0",
            "gpu_instance_id": 1,
            "compute_instance_id": 0,
            "holders": [
                {"pid": 4312, "pod": "ml/trainer-0", "command": "python"},
                {"pid": None, "pod": "ml/notebook-0", "command": None},
            ],
        }
    ]


def test_plan_assume_idle_tells_who_loses_what_and_is_not_refused() -> None:
    gpu = cards.gpu(cards.A100, [("1g.5gb", 0)], in_use={(1, 0): (cards.NOTEBOOK,)})
    found = want(gpu, {"4g.20gb": 1}, Rules(assume_idle=True))
    assert not found.refused
    assert [loss.holders for loss in found.losses] == [(cards.NOTEBOOK,)]


def test_plan_holders_of_what_stays_are_still_there_afterwards() -> None:
    in_use = {(1, 0): (cards.NOTEBOOK,), (2, 0): (cards.TRAINER,)}
    gpu = cards.gpu(cards.A100, [("1g.5gb", 0), ("3g.20gb", 4)], in_use=in_use)
    found = want(gpu, {"4g.20gb": 1, "3g.20gb": 1}, Rules(assume_idle=True))
    assert found.after().in_use == {(2, 0): (cards.TRAINER,)}


def test_plan_gpu_instance_without_compute_instance_is_seen() -> None:
    bare = Instance(3, "1g.5gb", Place(0, 1))
    whole = Instance(4, "1g.5gb", Place(1, 1), (ComputeInstance(0, 1, 0),))
    profiles = cards.model(cards.A100).profiles
    filled = plan([bare], {"1g.5gb": 1}, profiles)
    assert names(filled) == ["create_compute_instance"]
    # A device that serves is worth more than an instance that does not.
    assert plan([bare, whole], {"1g.5gb": 1}, profiles).destroy == (bare,)
    # In the way: NVML refuses to create there, whatever tools see.
    assert plan([bare], {"4g.20gb": 1}, profiles).destroy == (bare,)


def test_plan_bare_gpu_instance_that_is_held_is_refused() -> None:
    bare = Instance(3, "1g.5gb", Place(0, 1))
    found = plan([bare], {"4g.20gb": 1}, cards.model(cards.A100).profiles, {(3, None): (cards.TRAINER,)})
    assert found.refused
    assert "cannot destroy MIG instance 3 (1g.5gb at 0) because process 4312" in found.refusal()


def test_plan_bare_gpu_instance_that_is_held_is_kept_before_one_that_is_not() -> None:
    idle, held = Instance(3, "1g.5gb", Place(0, 1)), Instance(4, "1g.5gb", Place(1, 1))
    found = plan([idle, held], {"1g.5gb": 1}, cards.model(cards.A100).profiles, {(4, None): (cards.TRAINER,)})
    assert found.destroy == (idle,)


def test_plan_instance_of_a_profile_that_the_card_does_not_list_goes() -> None:
    odd = Instance(9, "profile 99", Place(0, 2), (ComputeInstance(0, 1),))
    found = plan([odd], {"1g.5gb": 7}, cards.model(cards.A100).profiles, {(9, 0): (cards.TRAINER,)})
    assert found.destroy == (odd,)
    assert found.losses[0].device == "profile 99 at 0"


@pytest.mark.parametrize(
    ("gpu", "change", "steps"),
    [
        (cards.gpu(cards.H20, **OFF), ("disabled", "enabled", False), ["set_mode", "create_gpu_instance"]),
        (cards.gpu(cards.A100, **OFF), ("disabled", "enabled", True), ["set_mode", "create_gpu_instance"]),
        # Waits for its reset.
        (
            cards.gpu(cards.A100, mode="disabled", pending="enabled"),
            ("disabled", "enabled", True),
            ["set_mode", "create_gpu_instance"],
        ),
        # Was to go off with the next reset: that is called off, which needs none.
        (
            cards.gpu(cards.A100, mode="enabled", pending="disabled"),
            ("enabled", "enabled", False),
            ["set_mode", "create_gpu_instance"],
        ),
        (cards.gpu(cards.A100), None, ["create_gpu_instance"]),
    ],
    ids=["directly", "by reset", "pending", "called off", "on"],
)
def test_plan_mode_is_on_before_something_is_created(gpu: Gpu, change: Any, steps: List[str]) -> None:
    largest = gpu.profiles[-1]
    found = want(replace(gpu, memory_total_mib=97871 if "H20" in gpu.product else None), {largest.name: 1})
    done = found.mode_change
    assert (done and (done.current, done.wanted, done.needs_reset)) == change
    assert names(found) == [*steps, "create_compute_instance"]
    after = found.after()
    assert (after.mode, after.pending) == ("enabled", "enabled")
    assert want(after, {largest.name: 1}).is_empty


def test_plan_mode_off_destroys_everything_before() -> None:
    found = plan_gpu(cards.gpu(cards.A100, [("3g.20gb", 0), ("3g.20gb", 4)]), Wish("gpus", False))
    assert names(found) == ["destroy_compute_instance", "destroy_gpu_instance"] * 2 + ["set_mode"]
    assert found.after().instances == ()
    assert plan_gpu(found.after(), Wish("gpus", False)).is_empty


def test_plan_mode_change_under_a_process_on_the_gpu_is_refused() -> None:
    found = want(cards.gpu(cards.H20, **OFF, in_use={(None, None): (cards.TRAINER,)}), {"1g.12gb": 7})
    assert found.refused
    assert found.refusal().startswith(
        "GPU 0 (NVIDIA H20): cannot switch MIG mode to enabled because process 4312 (python) of pod ml/trainer-0 holds it. "
    )
    called_off = cards.gpu(cards.A100, mode="enabled", pending="disabled", in_use={(None, None): (cards.TRAINER,)})
    assert not want(called_off, {"1g.5gb": 7}).refused


def test_plan_card_without_mig_is_a_problem_only_where_mig_is_wished() -> None:
    plain = cards.gpu(cards.A100, product="Tesla T4", capable=False, profiles=(), **OFF)
    assert problems_of(plain, {"1g.5gb": 1}) == ["mig_devices: GPU 0 (Tesla T4) has no MIG; leave it out."]
    assert plan_gpu(plain, Wish("gpus", False)).is_empty


BAD = [
    (
        {"1g.12gb": 7},
        [
            "mig_devices: 1g.12gb is no profile of GPU 0 (NVIDIA A100-SXM4-40GB), which has 1g.5gb, 1g.5gb+me, 1g.10gb, "
            "2g.10gb, 3g.20gb, 4g.20gb, 7g.40gb. Did you mean 1g.10gb?"
        ],
    ),
    (
        {"3c.4g.20gb": 1},
        [
            "mig_devices: GPU 0 (NVIDIA A100-SXM4-40GB) has no 3c.4g.20gb; in a 4g.20gb it has 1c.4g.20gb, 2c.4g.20gb, "
            "4g.20gb."
        ],
    ),
    (
        {"3g.20gb": 2, "1g.5gb": 1},
        [
            "mig_devices: GPU 0 (NVIDIA A100-SXM4-40GB): 2 x 3g.20gb, 1 x 1g.5gb cannot stand side by side on 8 memory units: "
            "9 of 8 memory units are asked for (3g.20gb takes 4 from 0, 4, at most 2 times; 1g.5gb takes 1 from 0-6, at most "
            "7 times). Nearest legal layouts: 2 x 3g.20gb at 0, 4 | 1 x 4g.20gb at 0, 1 x 3g.20gb at 4 | "
            "1 x 3g.20gb at 0, 1 x 2g.10gb at 4, 1 x 1g.5gb at 6."
        ],
    ),
    (
        {"2g.10gb": 3, "1g.5gb": 2},
        [
            "mig_devices: GPU 0 (NVIDIA A100-SXM4-40GB): 3 x 2g.10gb, 2 x 1g.5gb cannot stand side by side on 8 memory units: "
            "no choice of these places is free of overlap (2g.10gb takes 2 from 0, 2, 4, at most 3 times; 1g.5gb takes 1 "
            "from 0-6, at most 7 times). Nearest legal layouts: 2 x 2g.10gb at 0, 2, 1 x 1g.10gb at 6, 2 x 1g.5gb at 4, 5 | "
            "3 x 2g.10gb at 0, 2, 4, 1 x 1g.5gb at 6 | 2 x 2g.10gb at 0, 2, 3 x 1g.5gb at 4-6."
        ],
    ),
    (
        {"1g.5gb": 10**17},
        [
            "mig_devices: GPU 0 (NVIDIA A100-SXM4-40GB): 100000000000000000 x 1g.5gb cannot stand side by side on 8 memory "
            "units: 1g.5gb fits at most 7 times, and 100000000000000000 of 8 memory units are asked for (1g.5gb takes 1 from "
            "0-6, at most 7 times). Nearest legal layouts: 7 x 1g.5gb at 0-6 | 1 x 1g.10gb at 6, 6 x 1g.5gb at 0-5 | "
            "6 x 1g.5gb at 0-5, 1 x 1g.5gb+me at 6."
        ],
    ),
]


@pytest.mark.parametrize(("counts", "problems"), BAD, ids=str)
def test_plan_wish_that_the_card_cannot_fulfil_says_why_and_what_it_can(
    counts: Dict[str, int], problems: List[str]
) -> None:
    assert problems_of(cards.gpu(cards.A100), counts) == problems


def test_plan_more_parts_than_the_card_can_hold_are_impossible() -> None:
    for count in (8, 10**17):
        (problem,) = problems_of(cards.gpu(cards.A100), {"1c.7g.40gb": count})
        assert "7g.40gb fits at most once" in problem


def test_plan_near_name_is_not_taken_for_the_real_one() -> None:
    # One card named its profile 7g.79gb: pods would ask for a resource that is not there.
    odd = tuple(
        replace(profile, name="7g.39gb") if profile.slices == 7 else profile
        for profile in cards.model(cards.A100).profiles
    )
    (problem,) = problems_of(cards.gpu(cards.A100, profiles=odd), {"7g.40gb": 1})
    assert problem.endswith("3g.20gb, 4g.20gb, 7g.39gb. Did you mean 7g.39gb?")


def test_plan_enable_never_and_other_problems_are_told_at_once() -> None:
    found = problems_of(cards.gpu(cards.A100, **OFF), {"1g.12gb": 1, "3g.20gb": 3}, Rules(enable=NEVER))
    assert len(found) == 3
    assert found[0] == (
        "mig_devices: MIG mode of GPU 0 (NVIDIA A100-SXM4-40GB) is disabled (pending: disabled), and enable: never forbids "
        "to switch it on; allow it, or leave the GPU out."
    )
    assert want(cards.gpu(cards.A100), {"7g.40gb": 1}, Rules(enable=NEVER)).create


def test_plan_card_that_tells_nothing_is_planned_by_the_table_and_says_so() -> None:
    gpu = cards.gpu(cards.H20, **OFF, profiles=(), memory_total_mib=97871)
    found = want(gpu, {"1g.12gb": 7}).to_dict()
    assert (found["profiles_from"], found["confidence"]) == ("table", "names_documented_rest_derived")


def test_plan_card_that_nobody_knows_is_a_problem() -> None:
    unknown = cards.gpu(cards.A100, product="NVIDIA Z1", pci_device_id=None, profiles=(), **OFF)
    assert problems_of(unknown, {"1g.5gb": 1}) == [
        "mig_devices: 1g.5gb: GPU 0 (NVIDIA Z1) does not tell its profiles, and the table does not know it; switch its MIG "
        "mode on and plan again."
    ]
    names_only = cards.model("RTX-PRO-4500-32GB")
    listed = cards.gpu(cards.A100, product=names_only.products[0], pci_device_id=None, profiles=names_only.profiles)
    assert problems_of(listed, {"1g.16gb": 1}) == [
        "mig_devices: where 1g.16gb can stand on GPU 0 (NVIDIA RTX PRO 4500 Blackwell) is told neither by the card nor by "
        "the table; switch its MIG mode on and plan again."
    ]


def test_plan_gpus_leaves_out_what_nobody_names() -> None:
    gpus = (cards.gpu(cards.A100), cards.gpu(cards.A100, index=1, uuid="GPU-1"))
    plans = plan_gpus("mig_devices", gpus, read_wishes("w", [{"gpus": [1], "devices": {"1g.5gb": 7}}], gpus))
    assert [one.gpu.index for one in plans] == [1]


def test_plan_gpus_tells_all_problems_of_all_gpus_at_once() -> None:
    gpus = (cards.gpu(cards.A100), cards.gpu(cards.A30, index=1, uuid="GPU-1"))
    wishes: Wishes = read_wishes("w", [{"gpus": [0, 1, 9], "devices": {"1g.5gb": 8}}], gpus)
    with pytest.raises(InputError) as caught:
        plan_gpus("mig_devices", gpus, wishes)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["w[0].gpus", "w[0]", "w[0]"]
    assert caught.value.msg.startswith(
        "mig_devices: 3 problems, nothing was changed.\n  1. w[0].gpus: 9 matches no GPU"
    )


def test_plan_is_data_and_its_decision_knows_neither_ids_nor_holders() -> None:
    gpu = cards.gpu(cards.A100, [("1g.5gb", 0)])
    found = want(gpu, {"1g.5gb": 1, "3g.20gb": 1})
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    other = replace(gpu, instances=(replace(gpu.instances[0], id=13),), in_use={(13, 0): (cards.NOTEBOOK,)})
    assert want(other, {"1g.5gb": 1, "3g.20gb": 1}).decision() == found.decision()
    assert found.decision() == {
        "uuid": "GPU-0",
        "mode": "enabled",
        "instances": [
            {"profile": "1g.5gb", "start": 0, "size": 1, "compute": [1]},
            {"profile": "3g.20gb", "start": 4, "size": 4, "compute": [3]},
        ],
    }

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs from gpu_info's facts."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from unit.plugins.module_utils._mig import cards

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.facts import read_gpu, read_in_use, read_profiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import (
    ComputeInstance,
    ComputeProfile,
    Holder,
    Instance,
    Place,
    Profile,
)

pytestmark = pytest.mark.node_side

UUID = "GPU-11111111-2222-3333-4444-555555555555"
FACTS: Dict[str, Any] = {
    "index": 1,
    "uuid": UUID,
    "pci_bus_id": "00000000:65:00.0",
    "pci_device_id": "0x232910DE",
    "product": "NVIDIA H20",
    "compute_capability": "9.0",
    "memory_total_mib": 97871,
    "processes": [
        {"pid": 4312, "pod_uid": "uid-1", "command": "python", "gpu_instance_id": 9},
        {"pid": 77, "pod_uid": None, "command": "dcgm", "gpu_instance_id": None},
    ],
    "mig": {
        "capable": True,
        "mode": "enabled",
        "pending": "enabled",
        "profiles": [
            {
                "name": "MIG 1g.12gb",
                "id": 19,
                "memory_mib": 11264,
                "max_instances": 7,
                "compute_slices": 1,
                "placements": [{"start": start, "size": 1} for start in (6, 0, 1, 2, 3, 4, 5)],
                "compute_profiles": [{"slices": 1, "starts": [0]}],
            },
            {"name": None, "id": 99, "max_instances": 1, "compute_slices": 1, "placements": None},
            {"name": "1g.24gb", "id": 15, "max_instances": 4, "compute_slices": 1, "placements": None},
        ],
        "instances": [
            {"id": 10, "profile": "profile 99", "start": 1, "size": 1},
            {
                "id": 9,
                "profile": "1g.12gb",
                "start": 0,
                "size": 1,
                "compute": [{"id": 0, "slices": 1, "start": 0}],
            },
        ],
        "devices": [
            {"uuid": "MIG-aaaa", "profile": "1g.12gb", "gpu_instance_id": 9, "compute_instance_id": 0},
            {"uuid": "MIG-bbbb", "profile": "1g.12gb", "gpu_instance_id": 11, "compute_instance_id": 0},
        ],
    },
}


def test_read_gpu_with_everything() -> None:
    gpu = read_gpu(FACTS)
    assert str(gpu) == "GPU 1 (NVIDIA H20)"
    assert (gpu.pci_device_id, gpu.mode, gpu.pending, gpu.capable) == (0x232910DE, "enabled", "enabled", True)
    assert gpu.instances == (
        Instance(9, "1g.12gb", Place(0, 1), (ComputeInstance(0, 1, 0),)),
        Instance(10, "profile 99", Place(1, 1)),
    )
    assert gpu.profiles == (
        Profile("1g.12gb", 1, tuple(Place(start, 1) for start in range(7)), 7, 19, 11264, (ComputeProfile(1, (0,)),)),
        Profile("1g.24gb", 1, (), 4, 15),
    )


def test_read_gpu_without_mig() -> None:
    gpu = read_gpu({"index": 0, "uuid": "GPU-0", "product": "Tesla T4", "mig": {"capable": False, "mode": None}})
    assert (gpu.capable, gpu.mode, gpu.pending, gpu.instances) == (False, "disabled", "disabled", ())
    # A GPU that does not answer.
    assert not read_gpu({"index": 0, "uuid": None, "product": None, "mig": None}).capable


def test_read_profiles_first_of_two_with_one_name_counts() -> None:
    entry = FACTS["mig"]["profiles"][0]
    assert [one.id for one in read_profiles([entry, {**entry, "id": 20}])] == [19]


def test_read_in_use_by_process_and_by_allocation() -> None:
    allocations = [
        {"pod_uid": "uid-2", "device_ids": ["MIG-bbbb::0", "MIG-bbbb::1"]},
        {"pod_uid": "uid-3", "device_ids": [f"MIG-{UUID}/9/0"]},
        {"pod_uid": "uid-4", "device_ids": [UUID]},
        {"pod_uid": "uid-5", "device_ids": ["GPU-of-another-card", "MIG-of-another-card"]},
        # Said already, with more, by its process.
        {"pod_uid": "uid-1", "device_ids": ["MIG-aaaa"]},
    ]
    assert read_in_use(FACTS, allocations, {"uid-1": "ml/trainer-0", "uid-2": "ml/notebook-0"}) == {
        (9, None): (cards.TRAINER,),
        (None, None): (Holder(77, None, "dcgm"), Holder(pod="uid-4")),
        (11, 0): (cards.NOTEBOOK,),
        (9, 0): (Holder(pod="uid-3"),),
    }


def test_holder_reads_as_a_sentence_part() -> None:
    assert [str(one) for one in (cards.TRAINER, cards.NOTEBOOK, Holder(77, None, "dcgm"), Holder(77), Holder())] == [
        "process 4312 (python) of pod ml/trainer-0",
        "pod ml/notebook-0",
        "process 77 (dcgm)",
        "process 77",
        "an unknown holder",
    ]


def told(number: int, name: Any, start: int, **more: Any) -> Dict[str, Any]:
    place = [{"start": start, "size": 1}]
    return {"id": number, "name": name, "max_instances": 9, "compute_slices": 9, "placements": place, **more}


def a30(*profiles: Dict[str, Any], **mig: Any) -> Dict[str, Any]:
    enabled = {"capable": True, "mode": "enabled", "pending": "enabled", "profiles": profiles, **mig}
    return {"index": 0, "uuid": UUID, "product": "NVIDIA A30", "memory_total_mib": 24576, "mig": enabled}


def sound(number: int, name: str, *starts: int, **more: Any) -> Dict[str, Any]:
    slices = int(name[0])
    places = [{"start": start, "size": slices} for start in starts]
    return told(
        number, name, 0, **{"max_instances": len(starts), "compute_slices": slices, "placements": places, **more}
    )


def shown(*profiles: Dict[str, Any]) -> Dict[Any, Any]:
    read = read_gpu(a30(*profiles)).profiles
    return {one.id: (one.name, one.slices, one.max_instances, [place.start for place in one.places]) for one in read}


KNOWN = {
    one.id: (one.name, one.slices, one.max_instances, [place.start for place in one.places])
    for one in cards.model(cards.A30).profiles
}


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(told(14, "1g.5gb", 6), id="slices"),
        pytest.param(sound(14, "1g.6gb", 0, 1, max_instances=9), id="more-than-places"),
        pytest.param(sound(14, "1g.6gb"), id="no-places"),
        pytest.param(sound(14, "1g.6gb", 0, placements=None), id="places-not-told"),
        pytest.param(told(14, None, 0), id="no-name"),
        pytest.param(sound(14, "1g.5gb", 0, 1, 2, 3, memory_mib=5950), id="memory"),
    ],
)
def test_read_gpu_a30_takes_what_does_not_fit_together_from_the_table(wrong: Dict[str, Any]) -> None:
    assert shown(wrong) == {14: KNOWN[14]}


def test_read_gpu_a30_takes_names_that_are_told_twice_from_the_table() -> None:
    double = [sound(number, "1g.6gb", 0, 1, 2, 3) for number in (77, 21, 14)]
    assert shown(*double) == {14: KNOWN[14], 21: KNOWN[21]}


def test_read_gpu_a30_tells_itself_what_fits_together_whatever_the_table_says() -> None:
    told_well = (sound(14, "1g.6gb", 0, 1, 2, memory_mib=5950), sound(77, "1g.12gb", 0, 2), sound(5, "2g.12gb", 0, 2))
    assert shown(*told_well, told(78, "3g.20gb", 0)) == {
        14: ("1g.6gb", 1, 3, [0, 1, 2]),
        77: ("1g.12gb", 1, 2, [0, 2]),
        5: KNOWN[5],
    }


def test_read_gpu_names_instances_by_the_id_of_their_profile() -> None:
    standing = [{"id": 3, "profile": "1g.5gb", "profile_id": 14, "start": 2, "size": 1}]
    (instance,) = read_gpu(a30(told(14, "1g.5gb", 6), instances=standing)).instances
    assert instance.profile == "1g.6gb"


def test_read_gpu_names_profiles_of_old_drivers_by_the_table() -> None:
    facts = {**FACTS, "mig": {**FACTS["mig"], "profiles": [told(19, None, 0, max_instances=7, compute_slices=1)]}}
    assert [(one.name, one.max_instances) for one in read_gpu(facts).profiles] == [("1g.12gb", 7)]

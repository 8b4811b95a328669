# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Layouts as documents, and the plans that put them back."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any, Dict, Tuple

import pytest
from unit.plugins.module_utils._mig.cards import A30, A100, H20, NOTEBOOK, RTX, gpu

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import ComputeInstance, Gpu, Instance, Place
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import NEVER, Rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import layout_hash, layout_of, read_layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.restoring import (
    is_between,
    plan_layout,
    plan_recorded,
)

pytestmark = pytest.mark.node_side

MIXED = (("3g.48gb", 4), ("1g.12gb", 0), ("1g.12gb", 2))


def recorded(one: Gpu) -> Any:
    (entry,) = read_layout("layout", layout_of([one]))
    return entry


def steps(one: Gpu, entry: Any, **rules: Any) -> Tuple[str, ...]:
    plan = plan_recorded(one, entry, Rules(**rules))
    return tuple(
        " ".join(str(step[word]) for word in ("step", "profile", "start", "compute_slices", "mode") if word in step)
        for step in plan.steps()
    )


def test_layout_of_a_gpu_is_plain_and_has_no_ids() -> None:
    document = layout_of([gpu(H20, MIXED)])
    assert json.loads(json.dumps(document)) == document
    (entry,) = document["gpus"]
    assert entry["mode"] == "enabled"
    assert entry["instances"][0] == {
        "profile": "1g.12gb",
        "start": 0,
        "size": 1,
        "compute": [{"slices": 1, "start": 0}],
    }
    assert [one["start"] for one in entry["instances"]] == [0, 2, 4]


def test_layout_hash_follows_the_layout_and_not_the_order_of_its_words() -> None:
    document = layout_of([gpu(H20, MIXED)])
    backwards = json.loads(json.dumps(document, sort_keys=True))
    assert layout_hash(backwards) == layout_hash(document)
    assert layout_hash(layout_of([gpu(H20)])) != layout_hash(document)


@pytest.mark.parametrize("key", [A30, A100, H20, RTX])
def test_recorded_layout_that_stands_needs_nothing(key: str) -> None:
    smallest = min(gpu(key).profiles, key=lambda one: (one.places[0].size, one.slices, "+" in one.name, one.name))
    one = gpu(key, [(smallest.name, place.start) for place in smallest.places[: smallest.max_instances]])
    entry = recorded(one)
    assert entry.stands(one)
    assert plan_recorded(one, entry).is_empty


def test_recorded_layout_comes_back_at_its_places_on_an_empty_gpu() -> None:
    entry = recorded(gpu(H20, MIXED))
    assert steps(gpu(H20), entry) == (
        "create_gpu_instance 3g.48gb 4",
        "create_compute_instance 3g.48gb 4 3",
        "create_gpu_instance 1g.12gb 0",
        "create_compute_instance 1g.12gb 0 1",
        "create_gpu_instance 1g.12gb 2",
        "create_compute_instance 1g.12gb 2 1",
    )


def test_recorded_layout_keeps_what_stands_at_its_place_and_takes_the_rest_away() -> None:
    entry = recorded(gpu(H20, MIXED))
    standing = gpu(H20, (("1g.12gb", 0), ("1g.12gb", 1), ("2g.24gb", 4)))
    plan = plan_recorded(standing, entry)
    assert [str(one.place.start) for one, _change in plan.keep] == ["0"]
    assert sorted((one.profile, one.place.start) for one in plan.destroy) == [("1g.12gb", 1), ("2g.24gb", 4)]
    assert sorted((one.profile.name, one.place.start) for one in plan.create) == [("1g.12gb", 2), ("3g.48gb", 4)]
    assert entry.stands(plan.after())


def test_recorded_layout_never_takes_an_instance_in_use() -> None:
    standing = replace(gpu(H20, (("1g.12gb", 1),)), in_use={(1, 0): (NOTEBOOK,)})
    plan = plan_recorded(standing, recorded(gpu(H20, MIXED)))
    assert plan.refused
    assert "pod ml/notebook-0 holds it" in plan.refusal()


def test_recorded_compute_instances_come_back_at_their_places() -> None:
    parts = (ComputeInstance(0, 1, 2), ComputeInstance(1, 2, 0))
    whole = Instance(1, "3g.48gb", Place(4, 4), parts)
    entry = recorded(replace(gpu(H20), instances=(whole,)))
    bare = replace(gpu(H20), instances=(replace(whole, compute=(ComputeInstance(5, 1, 0), parts[0])),))
    plan = plan_recorded(bare, entry)
    assert [step["step"] for step in plan.steps()] == ["destroy_compute_instance", "create_compute_instance"]
    assert (plan.steps()[1]["compute_slices"], plan.steps()[1]["compute_start"]) == (2, 0)
    assert not entry.stands(bare)


def test_recorded_mode_comes_back_too() -> None:
    off = gpu(H20, mode="disabled", pending="disabled")
    assert steps(off, recorded(gpu(H20, (("7g.96gb", 0),))))[0] == "set_mode enabled"
    assert steps(gpu(H20, (("7g.96gb", 0),)), recorded(off))[-1] == "set_mode disabled"
    with pytest.raises(InputError, match="enable: never forbids"):
        steps(off, recorded(gpu(H20)), enable=NEVER)


def test_recorded_layout_of_a_card_that_is_not_there_names_the_one_at_its_place() -> None:
    document = layout_of([replace(gpu(H20), uuid="GPU-old", pci_bus_id="00000000:65:00.0")])
    there = replace(gpu(H20), uuid="GPU-new", pci_bus_id="00000000:65:00.0")
    with pytest.raises(InputError) as caught:
        plan_layout("layout", [there], read_layout("layout", document))
    assert "this host has no GPU GPU-old" in caught.value.msg
    assert "GPU-new" in caught.value.msg


def change(path: Tuple[Any, ...], value: Any) -> Dict[str, Any]:
    document = copy.deepcopy(layout_of([gpu(H20, MIXED)]))
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        pytest.param([], "layout is a list; give a mapping with schema_version, gpus.", id="no-mapping"),
        pytest.param(change(("schema_version",), 2), "schema_version is 2; only 1 is known", id="version"),
        pytest.param(change(("gpu",), []), "unknown word 'gpu'. Did you mean gpus?", id="word"),
        pytest.param(change(("gpus",), {}), "layout.gpus is a mapping; give a list.", id="no-list"),
        pytest.param(change(("gpus", 0, "mode"), "on"), "gpus[0].mode is 'on'; give enabled or disabled.", id="mode"),
        pytest.param(
            change(("gpus", 0, "mode"), "disabled"), "has instances with the mode disabled", id="contradiction"
        ),
        pytest.param(change(("gpus", 0, "uuid"), None), "gpus[0].uuid is nothing", id="uuid"),
        pytest.param(
            change(("gpus", 0, "instances", 0, "profile"), "small"), "'small' is no MIG profile", id="profile"
        ),
        pytest.param(change(("gpus", 0, "instances", 0, "start"), -1), "start is -1; give at least 0.", id="start"),
        pytest.param(change(("gpus", 0, "instances", 0, "size"), "x"), "size: 'x' is not a whole number.", id="size"),
        pytest.param(
            change(("gpus",), [{"uuid": "GPU-1", "mode": "disabled"}] * 2),
            "gpus[1] describes GPU-1, and so does layout.gpus[0]; drop one of them.",
            id="twice",
        ),
    ],
)
def test_document_of_another_form_is_refused(document: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        read_layout("layout", document)
    assert words in caught.value.msg


@pytest.mark.parametrize(
    ("instances", "words"),
    [
        pytest.param([("1g.10gb", 0, 1)], "1g.10gb is no profile of GPU 0", id="profile"),
        pytest.param([("3g.48gb", 2, 4)], "3g.48gb at 2 (size 4) cannot stand there", id="place"),
        pytest.param([("3g.48gb", 0, 4), ("1g.12gb", 1, 1)], "1g.12gb at 1 and 3g.48gb at 0 overlap.", id="overlap"),
    ],
)
def test_layout_that_the_card_does_not_have_is_refused(instances: Any, words: str) -> None:
    document = layout_of([gpu(H20)])
    document["gpus"][0]["instances"] = [
        {"profile": profile, "start": start, "size": size, "compute": []} for profile, start, size in instances
    ]
    with pytest.raises(InputError) as caught:
        plan_layout("layout", [gpu(H20)], read_layout("layout", document))
    assert words in caught.value.msg


def test_gpu_that_somebody_changed_is_not_between() -> None:
    before, wanted = recorded(gpu(H20, (("7g.96gb", 0),))), recorded(gpu(H20, (("3g.48gb", 0),)))
    assert not is_between(gpu(H20, (("1g.12gb", 6),)), before, wanted)

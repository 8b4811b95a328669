# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan that puts a recorded layout back. Nothing is to be searched: every place is given. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.compute import ComputeChange, holders_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.geometry import (
    Card,
    broken_limits,
    compute_slices,
    mask_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.layout import Layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu, Instance, Profile
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import (
    NEVER,
    Rules,
    change_mode,
    finish_plan,
    plan_incapable,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import (
    RecordedGpu,
    RecordedInstance,
    match_compute,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan, NewInstance
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.tables import find_profiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import Wish


def plan_layout(
    what: str, gpus: Sequence[Gpu], recorded: Sequence[RecordedGpu], rules: Optional[Rules] = None
) -> Tuple[GpuPlan, ...]:
    """Plans for the GPUs that a document describes, in its order; the others have none and are not touched.

    :param what: what the document is called, for the message.
    :raises InputError: with everything that is wrong.
    """
    plans, problems = plan_possible(gpus, recorded, rules)
    if problems:
        raise InputError(what, problems)
    return plans


def plan_possible(
    gpus: Sequence[Gpu], recorded: Sequence[RecordedGpu], rules: Optional[Rules] = None
) -> Tuple[Tuple[GpuPlan, ...], List[str]]:
    """The same for as many of these GPUs as it can be done for, and what is wrong with the others."""
    problems: List[str] = []
    plans = []
    for entry in recorded:
        gpu = next((one for one in gpus if one.uuid == entry.uuid), None)
        if gpu is None:
            problems.append(show_missing(entry, gpus))
            continue
        try:
            plans.append(plan_recorded(gpu, entry, rules))
        except InputError as error:
            problems += error.problems
    return tuple(plans), problems


def show_missing(entry: RecordedGpu, gpus: Sequence[Gpu]) -> str:
    """That a GPU which was recorded is not there, and what is seen in its place."""
    there = next((gpu for gpu in gpus if entry.pci_bus_id and gpu.pci_bus_id == entry.pci_bus_id), None)
    seen = (
        f"at its PCI address {entry.pci_bus_id} there is {there}, {there.uuid}" if there else "it may be lost or gone"
    )
    return (
        f"{entry.where}: this host has no GPU {entry.uuid} ({entry.product or 'unknown product'}); {seen}. A card that was "
        "replaced needs its layout made anew: name it in mig_devices."
    )


def plan_recorded(gpu: Gpu, recorded: RecordedGpu, rules: Optional[Rules] = None) -> GpuPlan:
    """The plan for one GPU; what stands already at its recorded place stays.

    :raises InputError: the card does not have what was recorded.
    """
    rules = rules or Rules()
    wish = Wish(recorded.where, recorded.mode == "enabled")
    if not gpu.capable:
        return plan_incapable(gpu, wish)
    change = change_mode(gpu, wish)
    source = find_profiles(gpu)
    known = {profile.name: profile for profile in source.profiles}
    problems = _check(gpu, recorded, known)
    if wish.enabled and change and rules.enable == NEVER:
        problems.insert(
            0, f"{recorded.where}: MIG mode of {gpu} is {gpu.mode}, and enable: never forbids to switch it on."
        )
    if problems:
        raise InputError(recorded.where, problems)
    pairs = _pair(gpu, recorded)
    keep = tuple((instance, _change_compute(gpu, instance, entry)) for instance, entry in pairs)
    standing = {instance.id for instance, _entry in pairs}
    placed = {entry.place for _instance, entry in pairs}
    layout = Layout(keep, tuple(one for one in gpu.instances if one.id not in standing), ())
    create = tuple(
        NewInstance(known[one.profile], one.place, one.compute)
        for one in sorted(recorded.instances, key=lambda one: (-one.place.size, one.place))
        if one.place not in placed
    )
    return replace(finish_plan(gpu, change, layout, rules, source), create=create)


def _pair(gpu: Gpu, recorded: RecordedGpu) -> List[Tuple[Instance, RecordedInstance]]:
    wanted = {(one.profile, one.place): one for one in recorded.instances}
    ordered = sorted(gpu.instances, key=lambda one: one.place)
    return [(one, wanted[one.profile, one.place]) for one in ordered if (one.profile, one.place) in wanted]


def _change_compute(gpu: Gpu, instance: Instance, entry: RecordedInstance) -> ComputeChange:
    surplus, missing = match_compute(entry, instance)
    keep = tuple(one for one in instance.compute if one not in surplus)
    in_use = sum(bool(holders_of(gpu.in_use, instance.id, one.id)) for one in keep)
    return ComputeChange(keep, surplus, missing, in_use)


def _check(gpu: Gpu, recorded: RecordedGpu, known: Mapping[str, Profile]) -> List[str]:
    """What of a recorded layout the card does not have."""
    problems = []
    taken: Dict[int, RecordedInstance] = {}
    for one in recorded.instances:
        profile = known.get(one.profile)
        if profile is None:
            there = f"which has {', '.join(known)}" if known else "whose profiles neither it nor the table tells"
            problems.append(f"{recorded.where}: {one.profile} is no profile of {gpu}, {there}.")
            continue
        if one.place not in profile.places:
            places = ", ".join(f"{place.start} (size {place.size})" for place in profile.places) or "no known place"
            problems.append(
                f"{recorded.where}: {one} (size {one.place.size}) cannot stand there on {gpu}; it can at {places}."
            )
        wrong = sorted({size for size, _start in one.compute} - set(compute_slices(profile)))
        problems += [f"{recorded.where}: {one} has no compute instances of {size} slices." for size in wrong]
        if sum(size for size, _start in one.compute) > profile.slices:
            problems.append(
                f"{recorded.where}: the compute instances of {one} need more than its {profile.slices} slices."
            )
        mask = mask_of(one.place)
        problems += [f"{recorded.where}: {one} and {other} overlap." for there, other in taken.items() if there & mask]
        taken[mask] = one
    if not problems:
        card = Card.of(tuple(known.values()))
        counts = {name: sum(one.profile == name for one in recorded.instances) for name in known}
        problems = [f"{recorded.where}: {gpu}: {limit}." for limit in broken_limits(card, card.counts(counts))]
    return problems


def is_between(gpu: Gpu, before: RecordedGpu, wanted: RecordedGpu) -> bool:
    """Whether a GPU stands where a change from one layout to another may have left it: nobody else changed it since."""
    there = {(one.profile, one.place) for one in (*before.instances, *wanted.instances)}
    return gpu.mode in (before.mode, wanted.mode) and all((one.profile, one.place) in there for one in gpu.instances)

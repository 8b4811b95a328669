# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what GPUs are and what they shall be to a plan for each. Pure: same input, same plan. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.compute import (
    holders_of,
    knows_compute,
    place_compute,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.geometry import Card, compute_slices
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.layout import ImpossibleError, Layout, find_layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu, Holder, Instance, InUse, Profile
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import compute_name, parse_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan, Loss, ModeChange, NewInstance
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.tables import (
    Source,
    find_profiles,
    mode_change_needs_reset,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import Wish, Wishes
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean

WHEN_NEEDED, NEVER = "when_needed", "never"


@dataclass(frozen=True)
class Rules:
    """What the operator allows.

    :param enable: "never" forbids switching the MIG mode on.
    :param assume_idle: take every instance for idle: for a forecast of what happens once its users are gone. The plan still says
        who they are.
    """

    enable: str = WHEN_NEEDED
    assume_idle: bool = False


def plan_gpus(what: str, gpus: Sequence[Gpu], wishes: Wishes, rules: Optional[Rules] = None) -> Tuple[GpuPlan, ...]:
    """Plans for the GPUs that something is wished of, in their order; the others have none and are not touched.

    :param what: what the wishes were read from, for the message.
    :raises InputError: with everything that is wrong, of the words and of what the cards cannot do.
    """
    problems = list(wishes.problems)
    plans = []
    for gpu in gpus:
        if gpu.index in wishes.by_gpu:
            try:
                plans.append(plan_gpu(gpu, wishes.by_gpu[gpu.index], rules))
            except InputError as error:
                problems += error.problems
    if problems:
        raise InputError(what, problems)
    return tuple(plans)


def plan(
    current: Sequence[Instance], wanted: Mapping[str, int], profiles: Sequence[Profile], in_use: Optional[InUse] = None
) -> GpuPlan:
    """The plan for one GPU with MIG on, from its instances, profiles and holders alone.

    :param wanted: MIG devices by profile.
    :raises InputError: the wish is impossible, or names what the card does not have.
    """
    gpu = Gpu(0, "", "MIG", profiles=tuple(profiles), instances=tuple(current), in_use=in_use or {})
    return plan_gpu(gpu, Wish("wanted", True, tuple((str(parse_name(name)), n) for name, n in sorted(wanted.items()))))


def plan_gpu(gpu: Gpu, wish: Wish, rules: Optional[Rules] = None) -> GpuPlan:
    """The plan for one GPU.

    :raises InputError: it cannot be what is wished.
    """
    rules = rules or Rules()
    if not gpu.capable:
        return plan_incapable(gpu, wish)
    change = change_mode(gpu, wish)
    source = find_profiles(gpu)
    if not wish.enabled:
        return finish_plan(gpu, change, Layout((), gpu.instances, ()), rules, source)
    wished, problems = _resolve(gpu, wish, source.profiles)
    if change and rules.enable == NEVER:
        problems.insert(
            0,
            f"{wish.where}: MIG mode of {gpu} is {gpu.mode} (pending: {gpu.pending}), and enable: never forbids to switch it "
            "on; allow it, or leave the GPU out.",
        )
    layout = None
    try:
        layout = find_layout(Card.of(source.profiles), gpu.instances, wished, gpu.in_use)
    except ImpossibleError as error:
        problems.append(f"{wish.where}: {gpu}: {error}")
    if problems or layout is None:
        raise InputError(wish.where, problems)
    return finish_plan(gpu, change, layout, rules, source)


def plan_incapable(gpu: Gpu, wish: Wish) -> GpuPlan:
    """The plan for a GPU without MIG: nothing, if no more is wished of it.

    :raises InputError: MIG is wished of it.
    """
    if wish.enabled:
        raise InputError(wish.where, [f"{wish.where}: {gpu} has no MIG; leave it out."])
    return GpuPlan(gpu)


def change_mode(gpu: Gpu, wish: Wish) -> Optional[ModeChange]:
    """The change of mode that a wish needs, None if there is none. One that waits for a reset, or that must be called off, is one too."""
    wanted = "enabled" if wish.enabled else "disabled"
    if gpu.mode == gpu.pending == wanted:
        return None
    return ModeChange(gpu.mode, wanted, mode_change_needs_reset(gpu) if gpu.mode != wanted else False)


def _resolve(
    gpu: Gpu, wish: Wish, profiles: Tuple[Profile, ...]
) -> Tuple[Mapping[Tuple[Profile, int], int], List[str]]:
    """The wish in terms of the card's profiles, and what the card does not have."""
    known = {profile.name: profile for profile in profiles}
    wished: Dict[Tuple[Profile, int], int] = {}
    problems = []
    for text, count in wish.counts:
        name = parse_name(text)
        profile = known.get(name.gpu_instance)
        if profile is None:
            problems.append(_unknown(f"{wish.where}: {text}", gpu, name.gpu_instance, tuple(known)))
        elif not profile.places:
            problems.append(
                f"{wish.where}: where {profile.name} can stand on {gpu} is told neither by the card nor by the table; "
                "switch its MIG mode on and plan again."
            )
        elif not knows_compute(profile, name.compute):
            sizes = ", ".join(compute_name(profile.name, slices) for slices in compute_slices(profile))
            problems.append(f"{wish.where}: {gpu} has no {text}; in a {profile.name} it has {sizes}.")
        else:
            wished[profile, name.compute] = count
    return wished, problems


def _unknown(where: str, gpu: Gpu, name: str, known: Tuple[str, ...]) -> str:
    if not known:
        return f"{where}: {gpu} does not tell its profiles, and the table does not know it; switch its MIG mode on and plan again."
    return f"{where} is no profile of {gpu}, which has {', '.join(known)}.{did_you_mean(name, known)}"


def finish_plan(gpu: Gpu, change: Optional[ModeChange], layout: Layout, rules: Rules, source: Source) -> GpuPlan:
    """The plan that ends in a layout, with those whom it hits."""
    losses = _losses(gpu, change, layout)
    return GpuPlan(
        gpu=gpu,
        mode_change=change,
        keep=layout.keep,
        destroy=layout.destroy,
        create=tuple(
            NewInstance(profile, place, place_compute(profile, division)) for profile, place, division in layout.create
        ),
        losses=losses,
        refused=bool(losses) and not rules.assume_idle,
        origin=source.origin,
        confidence=source.confidence,
    )


def _losses(gpu: Gpu, change: Optional[ModeChange], layout: Layout) -> Tuple[Loss, ...]:
    """Devices in use that go. A change of mode takes the GPU from everybody; calling one off, before its reset, from nobody."""
    found: List[Tuple[str, Optional[int], Optional[int], Tuple[Holder, ...]]] = []
    if change and change.current != change.wanted:
        found.append((f"GPU {gpu.index}", None, None, gpu.in_use.get((None, None), ())))
    for instance in layout.destroy:
        if not instance.compute:
            found.append((_show(instance), instance.id, None, holders_of(gpu.in_use, instance.id, None)))
        found += [_lost_compute(gpu, instance, one) for one in instance.compute]
    for instance, compute in layout.keep:
        found += [_lost_compute(gpu, instance, one) for one in compute.destroy]
    return tuple(Loss(*one) for one in found if one[-1])


def _lost_compute(gpu: Gpu, instance: Instance, compute: Any) -> Tuple[str, int, int, Tuple[Holder, ...]]:
    name = compute_name(instance.profile, compute.slices)
    return f"{name} at {instance.place.start}", instance.id, compute.id, holders_of(gpu.in_use, instance.id, compute.id)


def _show(instance: Instance) -> str:
    return f"{instance.profile} at {instance.place.start}"

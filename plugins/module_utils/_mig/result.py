# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan for a GPU, as data: what stays, what goes, what comes, in which order, and whom it would hit. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterable, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.compute import ComputeChange
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import (
    ComputeInstance,
    Gpu,
    Holder,
    Instance,
    Place,
    Profile,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import compute_name


@dataclass(frozen=True)
class ModeChange:
    """:param needs_reset: the new mode only stands after a reset of the GPU; None if that is not known."""

    current: str
    wanted: str
    needs_reset: Optional[bool]


@dataclass(frozen=True)
class NewInstance:
    """A GPU instance to create at its place, with its compute instances as (slices, start or None)."""

    profile: Profile
    place: Place
    compute: Tuple[Tuple[int, Optional[int]], ...]


@dataclass(frozen=True)
class Loss:
    """A device in use that the plan takes away. Without ids it is the GPU itself, whose mode changes."""

    device: str
    instance: Optional[int]
    compute: Optional[int]
    holders: Tuple[Holder, ...]

    def to_dict(self) -> dict[str, Any]:
        """As it stands in results."""
        return {
            "device": self.device,
            "gpu_instance_id": self.instance,
            "compute_instance_id": self.compute,
            "holders": [holder.to_dict() for holder in self.holders],
        }


@dataclass(frozen=True)
class GpuPlan:
    """What happens to one GPU. Steps are ordered so that what stands between any two of them is legal.

    :param origin: "card" or "table": where the profiles came from; with the table's ``confidence``.
    :param losses: who loses a device by it. Empty in a plan that may be carried out, unless the GPU was to be taken for idle.
    :param refused: it must not be carried out, because of the losses.
    """

    gpu: Gpu
    mode_change: Optional[ModeChange] = None
    keep: Tuple[Tuple[Instance, ComputeChange], ...] = ()
    destroy: Tuple[Instance, ...] = ()
    create: Tuple[NewInstance, ...] = ()
    losses: Tuple[Loss, ...] = ()
    refused: bool = False
    origin: str = "card"
    confidence: str = "reported"

    @property
    def is_empty(self) -> bool:
        """Nothing is to be done."""
        return not self.steps()

    def steps(self) -> List[dict[str, Any]]:
        """What to do, in order: the mode is on before something is created, and goes off after everything is destroyed."""
        steps = [_destroy_compute(instance, one) for instance, change in self.keep for one in change.destroy]
        for instance in self.destroy:
            steps += [_destroy_compute(instance, one) for one in instance.compute]
            steps.append({"step": "destroy_gpu_instance", **_identify(instance)})
        if self.mode_change:
            steps.append({"step": "set_mode", "mode": self.mode_change.wanted})
        for instance, change in self.keep:
            steps += [_create_compute(instance.profile, instance.place, one) for one in change.create]
        for new in self.create:
            steps.append(
                {"step": "create_gpu_instance", **_describe(new.profile.name, new.place), "profile_id": new.profile.id}
            )
            steps += [_create_compute(new.profile.name, new.place, one) for one in new.compute]
        return steps

    def after(self) -> Gpu:
        """The GPU as it will be found afterwards, with ids that were free before."""
        number = max((one.id for one in self.gpu.instances), default=0)
        instances = [_change(instance, change) for instance, change in self.keep]
        instances += [
            _change(Instance(number + index, new.profile.name, new.place), ComputeChange(create=new.compute))
            for index, new in enumerate(self.create, start=1)
        ]
        mode = self.mode_change.wanted if self.mode_change else self.gpu.mode
        lost = {(one.instance, one.compute) for one in self.losses}
        in_use = {key: holders for key, holders in self.gpu.in_use.items() if key not in lost}
        ordered = tuple(sorted(instances, key=lambda one: one.place))
        return replace(self.gpu, mode=mode, pending=mode, instances=ordered, in_use=in_use)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in results and plans."""
        change = self.mode_change
        after = self.after()
        return {
            "index": self.gpu.index,
            "uuid": self.gpu.uuid,
            "product": self.gpu.product,
            "mode_change": change and {"from": change.current, "to": change.wanted, "needs_reset": change.needs_reset},
            "before": {"mode": self.gpu.mode, "instances": describe_instances(self.gpu.instances)},
            "after": {"mode": after.mode, "instances": describe_instances(after.instances)},
            "keep": describe_instances(instance for instance, _change in self.keep),
            "destroy": describe_instances(self.destroy),
            "create": [
                {**_describe(new.profile.name, new.place), "compute": _sizes(size for size, _start in new.compute)}
                for new in self.create
            ],
            "steps": self.steps(),
            "profiles_from": self.origin,
            "confidence": self.confidence,
            "refused": self.refused,
            "losses": [loss.to_dict() for loss in self.losses],
        }

    def decision(self) -> dict[str, Any]:
        """What a plan's id is made of: the GPU and where it ends, not who uses it now or which ids its instances have."""
        after = self.after()
        return {"uuid": self.gpu.uuid, "mode": after.mode, "instances": describe_instances(after.instances)}

    def refusal(self) -> str:
        """Why a refused plan is refused, for a person."""
        held = " ".join(
            f"{self.gpu}: cannot {_act(loss, self.mode_change)} because {' and '.join(map(str, loss.holders))} "
            f"hold{'s' if len(loss.holders) == 1 else ''} it."
            for loss in self.losses
        )
        return f"{held} Evict the pods and end the processes, or choose devices that leave these instances alone."


def _act(loss: Loss, change: Optional[ModeChange]) -> str:
    if loss.instance is None:
        return f"switch MIG mode to {change.wanted if change else 'another one'}"
    where = f"MIG instance {loss.instance}"
    return (
        f"destroy {where} ({loss.device})"
        if loss.compute is None
        else (f"destroy compute instance {loss.compute} of {where} ({loss.device})")
    )


def describe_instances(instances: Iterable[Instance]) -> List[dict[str, Any]]:
    """Instances without their ids, which are others after every change: profile, place, and sizes of the compute instances."""
    return [
        {**_describe(one.profile, one.place), "compute": _sizes(compute.slices for compute in one.compute)}
        for one in sorted(instances, key=lambda one: one.place)
    ]


def _sizes(slices: Iterable[int]) -> List[int]:
    return sorted(slices, reverse=True)


def _describe(profile: str, place: Place) -> dict[str, Any]:
    return {"profile": profile, "start": place.start, "size": place.size}


def _identify(instance: Instance) -> dict[str, Any]:
    return {"gpu_instance_id": instance.id, **_describe(instance.profile, instance.place)}


def _destroy_compute(instance: Instance, compute: ComputeInstance) -> dict[str, Any]:
    return {"step": "destroy_compute_instance", "compute_instance_id": compute.id, **_identify(instance)}


def _create_compute(profile: str, place: Place, compute: Tuple[int, Optional[int]]) -> dict[str, Any]:
    """The GPU instance is named by its place: a new one's id is not known yet."""
    return {
        "step": "create_compute_instance",
        "device": compute_name(profile, compute[0]),
        **_describe(profile, place),
        "compute_slices": compute[0],
        "compute_start": compute[1],
    }


def _change(instance: Instance, change: ComputeChange) -> Instance:
    """An instance after a change of its compute instances."""
    number = max((one.id for one in instance.compute), default=-1)
    created = tuple(
        ComputeInstance(number + index, slices, start) for index, (slices, start) in enumerate(change.create, start=1)
    )
    return replace(instance, compute=(*change.keep, *created))

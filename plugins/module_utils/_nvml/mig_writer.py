# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one writer of MIG layouts: carries out the plan of a GPU, and puts a former layout back. PRIVATE to the collection."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu, Place
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import RecordedGpu, record_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.restoring import plan_recorded
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import IN_USE
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_host import MigHost, Step, StepError, show_step
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import Target

# A change of mode is planned anew once, and the mode of a GPU that waited for a reset is called off at most once more.
_MODE_CHANGES = 3
# A way back that makes no progress is not tried again.
_ROUNDS = 3


class GpuWriter:
    """Writes one GPU. The plan's steps name GPU instances by their places; the ids of new ones are kept here."""

    def __init__(self, host: MigHost, gpu: Gpu) -> None:
        self._host = host
        self._gpu = gpu
        self._ids: Dict[Place, int] = {}

    def carry_out(self, target: Target) -> Tuple[RecordedGpu, bool]:
        """Carry out a plan. After a change of mode, what is left is planned anew: only then the card tells all it has.

        :returns: what is to stand in the end, and whether the GPU has to be reset before the rest can be done.
        :raises StepError: a step failed; those before it stand.
        """
        plan = target.plan
        for _change in range(_MODE_CHANGES):
            wanted = record_gpu(plan.after())
            change = self._carry_out(plan)
            if change is None:
                return wanted, False
            gpu = self._host.read_again(self._gpu)
            if gpu.mode != change["mode"]:
                return wanted, True
            plan = self._replan(target, gpu)
        raise StepError(
            f"{plan.gpu}: its MIG mode does not stay as it is set: {plan.gpu.mode}, pending {plan.gpu.pending}."
        )

    def _carry_out(self, plan: GpuPlan) -> Optional[Step]:
        """The steps up to a change of mode, which is returned."""
        self._learn(plan.gpu)
        for step in plan.steps():
            code = self._perform(plan.gpu, step)
            if step["step"] == "set_mode":
                if code == IN_USE:
                    # It would come with the next reset, whenever and by whomever: the way back calls it off.
                    raise self._host.refuse_mode(plan.gpu, step)
                return step
        return None

    def _replan(self, target: Target, gpu: Gpu) -> GpuPlan:
        try:
            plan = target.replan(gpu)
        except InputError as error:
            raise StepError(f"{gpu}: with its MIG mode changed, the card offers something else. {error.msg}") from error
        if plan.refused:
            raise StepError(plan.refusal())
        return plan

    def _learn(self, gpu: Gpu) -> None:
        self._ids = {one.place: one.id for one in gpu.instances}

    def _perform(self, gpu: Gpu, step: Step) -> int:
        """One step, its GPU instance found by its place. What NVML answered."""
        if step["step"] == "set_mode":
            return self._host.perform(gpu, step)
        place = Place(step["start"], step["size"])
        if step["step"] == "create_gpu_instance":
            self._ids[place] = self._host.perform(gpu, step)
        elif step["step"] == "create_compute_instance":
            if place not in self._ids:
                raise StepError(f"{gpu}: cannot {show_step(step)}: there is no GPU instance at {place.start}.")
            self._host.perform(gpu, {**step, "gpu_instance_id": self._ids[place]})
        else:
            self._host.perform(gpu, step)
        return 0

    def put_back(self, before: RecordedGpu) -> List[str]:
        """Put a layout back, as far as it can be done: a step that fails takes nothing from the others.

        :returns: what was in the way; the layout may stand all the same.
        """
        obstacles: Dict[str, None] = {}
        last = None
        for _round in range(_ROUNDS):
            try:
                plan = plan_recorded(self._host.read_again(self._gpu), before)
            except (StepError, InputError) as error:
                obstacles[error.msg] = None
                continue
            if plan.refused:
                obstacles[plan.refusal()] = None
            if plan.is_empty or plan.refused or plan.steps() == last:
                break
            last = plan.steps()
            obstacles.update(dict.fromkeys(self._try(plan)))
        return list(obstacles)

    def _try(self, plan: GpuPlan) -> List[str]:
        """As many of the steps as can be done, and why the others could not."""
        self._learn(plan.gpu)
        obstacles = []
        for step in plan.steps():
            try:
                code = self._perform(plan.gpu, step)
            except StepError as error:
                obstacles.append(error.msg)
                continue
            if code:
                obstacles.append(f"{plan.gpu}: {show_step(step)} waits for a reset (NVML activation status {code}).")
        return obstacles

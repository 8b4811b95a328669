# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change of MIG layouts on one host: all of it, or the layout from before. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.boot import Boot
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import (
    RecordedGpu,
    layout_of,
    read_layout,
    record_gpu,
    show,
    to_layout,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.restoring import is_between
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_files import MigFiles, boot_id
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_host import MigHost, StepError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import Target
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_writer import GpuWriter

Layout = Dict[str, Any]
Follow = Callable[[Mapping[str, RecordedGpu]], Boot]


@dataclass(frozen=True)
class Written:
    """What a change came to.

    :param waiting: GPUs that have to be reset before the rest can be done.
    """

    after: Layout
    waiting: Tuple[Gpu, ...] = ()


class MigChange:
    """The change that the targets ask for.

    :param boot: what the host shall restore at boot, by the targets as they stand or will.
    """

    def __init__(self, host: MigHost, files: MigFiles, targets: Sequence[Target], boot: Follow) -> None:
        self._host = host
        self._files = files
        self._targets = targets
        self._boot = boot
        self._said_ready = files.ready()
        self._before = {target.gpu.uuid: target.before for target in targets}
        self._resumed = self._take_over(files.change())

    def _take_over(self, unfinished: Optional[Mapping[str, Any]]) -> Tuple[str, ...]:
        """Go back, should it come to that, to what stood before a change that a killed process left unfinished: what stands is
        neither the one nor the other. Not if a reset was asked for in between, nor if somebody has changed the GPU since.

        :returns: the GPUs of which that is so.
        """
        if not unfinished or "waiting" in unfinished or unfinished.get("boot_id") != boot_id():
            return ()
        try:
            former, wanted = (
                {one.uuid: one for one in read_layout(word, unfinished.get(word))} for word in ("before", "wanted")
            )
        except InputError:
            return ()
        resumed = tuple(
            target.gpu.uuid
            for target in self._targets
            if target.gpu.uuid in former
            and target.gpu.uuid in wanted
            and is_between(target.gpu, former[target.gpu.uuid], wanted[target.gpu.uuid])
        )
        self._before.update({uuid: former[uuid] for uuid in resumed})
        return resumed

    def carry_out(self, run: str) -> Written:
        """Write, read back, and note what stands.

        :raises KubeGpuError: a step failed. The layout from before stands again (``restored``), or the message says what stands.
        """
        due = [target for target in self._targets if not target.plan.is_empty]
        if not due:
            return self._finish([], ())
        noted = self._touched(due)
        wanted = layout_of(target.plan.after() for target in noted)
        self._files.begin(run, to_layout(self._before[target.gpu.uuid] for target in noted), wanted)
        begun: List[Target] = []
        try:
            ends: List[Tuple[RecordedGpu, bool]] = []
            for target in map(self._look_again, due):
                begun.append(target)
                ends.append(GpuWriter(self._host, target.gpu).carry_out(target))
            found = [self._read_back(target, end) for target, end in zip(due, ends)]
        except StepError as error:
            raise self._go_back(error, self._touched(begun)) from error
        return self._finish(found, tuple(gpu for gpu, (_end, waits) in zip(found, ends) if waits))

    def _look_again(self, target: Target) -> Target:
        """A target as it is right before its first step: while others were changed, pods may have been given something of it.

        :raises StepError: it must not be done any more, or what is to be done has become something else.
        """
        gpu = self._host.read_again(target.gpu, sees_use=True)
        _allocations, unknown = self._host.allocations()
        try:
            plan = target.replan(gpu)
        except InputError as error:
            raise StepError(f"{gpu} is not as it was when the change was planned. {error.msg}") from error
        if plan.refused:
            raise StepError(plan.refusal())
        if plan.steps() != target.plan.steps():
            raise StepError(f"{gpu}: what stands on it, or who uses it, is not as it was when the change was planned.")
        if unknown and target.takes_away:
            raise StepError(f"{gpu}: instances would go, and which of them pods were given is not known: {unknown}")
        return replace(target, plan=plan)

    def _read_back(self, target: Target, end: Tuple[RecordedGpu, bool]) -> Gpu:
        """The GPU as it stands, which has to be as it was wanted, unless it waits for a reset."""
        gpu = self._read_again(target)
        wanted, waits = end
        if not waits and not wanted.stands(gpu):
            raise StepError(
                f"{gpu}: read back, it is not what was made of it. There is {show(record_gpu(gpu))}; wanted was {show(wanted)}."
            )
        return gpu

    def _read_again(self, target: Target) -> Gpu:
        """Read, and once more if the GPU does not answer: that is no reason to undo what stands."""
        try:
            return self._host.read_again(target.gpu)
        except StepError:
            return self._host.read_again(target.gpu)

    def _finish(self, found: Sequence[Gpu], waiting: Tuple[Gpu, ...]) -> Written:
        now = {gpu.uuid: gpu for gpu in found}
        after = layout_of(now.get(target.gpu.uuid, target.gpu) for target in self._targets)
        boot = self._boot({uuid: record_gpu(gpu) for uuid, gpu in now.items() if gpu not in waiting})
        try:
            # also where a reset is due: should it be a reboot, the layout is made at its end
            self._files.keep_layout(boot.layout)
            if waiting:
                self._files.wait_for_reset([gpu.uuid for gpu in waiting])
            else:
                self._files.mark_ready(boot.standing)
                self._files.finish()
        except KubeGpuError as error:
            raise KubeGpuError(
                f"The layout stands as wanted, but could not be noted. {error.msg} Then run again.", after=after
            ) from error
        return Written(after, waiting)

    def _touched(self, begun: Sequence[Target]) -> List[Target]:
        """What has to go back: also what the killed process had begun, and this one has not come to."""
        touched = {*self._resumed, *(target.gpu.uuid for target in begun)}
        return [target for target in self._targets if target.gpu.uuid in touched]

    def _go_back(self, error: StepError, begun: Sequence[Target]) -> KubeGpuError:
        """Put back what stood before, on all GPUs that were begun, and say what came of it."""
        obstacles: List[str] = []
        for target in reversed(begun):
            obstacles += GpuWriter(self._host, target.gpu).put_back(self._before[target.gpu.uuid])
        found = [self._find(target) for target in begun]
        left = [text for text in found if text]
        if left:
            hindered = "".join(f"\n  {obstacle}" for obstacle in dict.fromkeys(obstacles))
            return KubeGpuError(
                f"{error.msg} The layout from before could not be put back:\n  "
                + "\n  ".join(left)
                + (f"\nIn the way was:{hindered}" if hindered else "")
                + "\nOther GPUs were not touched. Put right what was in the way, then run again.",
                **{**error.facts, "restored": False, "stands": left},
            )
        noted = self._note_way_back(begun)
        return KubeGpuError(
            f"{error.msg} The layout from before stands again.{noted}", **{**error.facts, "restored": True}
        )

    def _note_way_back(self, begun: Sequence[Target]) -> str:
        """Close the change, and put the marker back that it took away, unless that was not true. What could not be noted, for the
        message.
        """
        try:
            self._files.finish()
            boot = self._boot(
                {one.gpu.uuid: self._before[one.gpu.uuid] if one in begun else one.before for one in self._targets}
            )
            if boot.not_ready:
                return ""
            if self._said_ready is not None:
                self._files.put_ready(self._said_ready)
            elif self._resumed and boot.layout == self._files.layout():
                # the change that was left unfinished took it away
                self._files.mark_ready(boot.standing)
        except KubeGpuError as error:
            return f" That could not be noted: {error.msg}"
        return ""

    def _find(self, target: Target) -> Optional[str]:
        """What stands where the layout from before does not; None where it does."""
        before = self._before[target.gpu.uuid]
        try:
            gpu = self._read_again(target)
        except StepError as error:
            return f"{target.gpu}: what stands now is not known: {error.msg} Before, it was {show(before)}."
        if before.stands(gpu):
            return None
        now = record_gpu(gpu)
        missing = [str(one) for one in before.instances if one not in now.instances]
        lacking = f" Missing of it: {', '.join(missing)}." if missing else ""
        pending = "" if gpu.pending == gpu.mode else f" (pending: {gpu.pending})"
        return f"{gpu}: there is {show(now)}{pending}; before, it was {show(before)}.{lacking}"

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of a host's MIG, and the plans that follow from it. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import DEFAULT_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.mig_parted import read_mig_parted
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import WHEN_NEEDED, Rules, plan_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import RecordedGpu, read_layout, record_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.restoring import (
    plan_layout,
    plan_possible,
    plan_recorded,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.selection import select_gpus
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import (
    Wish,
    Wishes,
    read_counts,
    read_wishes,
    wish_absent,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import kind_of

STATE_DIR = "/var/lib/kubegpu-sharing/mig"
READY_PATH = "/run/kubegpu-sharing/mig-ready"
PRESENT, ABSENT = "present", "absent"


@dataclass(frozen=True)
class MigRequest:
    """Options of mig_config, with its defaults.

    :param mig_parted_config: the content of such a file, parsed.
    :param allocations: pod_uid and device_ids each; None for what the kubelet's checkpoint says.
    :param finished_pods: UIDs of pods that the API knows as finished: the kubelet keeps what they were given for a while.
    :param pods: namespace/name by UID, for messages.
    :param partial: of the layout, restore what can be; the GPUs for which it cannot be stay recorded, and keep the marker away.
    :param check_mode: stop before the first write.
    """

    state: str = PRESENT
    mig_devices: Any = None
    mig_parted_config: Any = None
    selected: Optional[str] = None
    layout: Any = None
    gpus: Any = "all"
    enable: str = WHEN_NEEDED
    allocations: Optional[Sequence[Mapping[str, Any]]] = None
    finished_pods: Sequence[str] = ()
    pods: Mapping[str, str] = field(default_factory=dict)
    assume_idle: bool = False
    run: str = "manual"
    lock_path: str = DEFAULT_PATH
    lock_wait_seconds: float = 0
    state_dir: str = STATE_DIR
    ready_path: str = READY_PATH
    partial: bool = False
    check_mode: bool = False

    @property
    def rules(self) -> Rules:
        """For the planner."""
        return Rules(self.enable, self.assume_idle)

    def check(self) -> None:
        """What can be said without a look at the host.

        :raises InputError: the options do not go together.
        """
        ways = ("mig_devices", "mig_parted_config", "layout")
        given = [name for name in ways if getattr(self, name) is not None]
        problems = []
        if self.state == PRESENT and len(given) != 1:
            problems.append(f"{' and '.join(given) or 'nothing'} is given; give one of {', '.join(ways)}.")
        if self.state == ABSENT and given:
            problems.append(f"{' and '.join(given)} is given with state absent, which takes MIG off; drop it.")
        if (self.mig_parted_config is None) != (self.selected is None):
            problems.append("mig_parted_config and selected belong together; give both.")
        if self.assume_idle and not self.check_mode:
            problems.append(
                "assume_idle takes instances in use for idle, which is for forecasts: use it in check mode only."
            )
        if self.gpus != "all" and self.state == PRESENT and not self._is_plain:
            problems.append(
                "gpus chooses for plain counts and for state absent; the GPUs are named in what is given instead."
            )
        if problems:
            raise InputError("mig_config", problems)

    def read_allocations(self, files: NodeFiles) -> Tuple[List[Mapping[str, Any]], Optional[str]]:
        """What pods were given that live and have not finished, and why it is not known, if so."""
        found, unknown = (self.allocations, None) if self.allocations is not None else files.live_allocations()
        finished = set(self.finished_pods)
        return [one for one in found if one["pod_uid"] not in finished], unknown

    @property
    def _is_plain(self) -> bool:
        """mig_devices is for all GPUs alike."""
        devices = self.mig_devices
        listed = isinstance(devices, (list, tuple)) and any(isinstance(one, Mapping) for one in devices)
        return devices is not None and not listed


@dataclass(frozen=True)
class Target:
    """A GPU of which something is wanted.

    :param replan: the same wish for the GPU as it is found later, when its mode has changed.
    """

    plan: GpuPlan
    replan: Callable[[Gpu], GpuPlan]

    @property
    def gpu(self) -> Gpu:
        """As it was found."""
        return self.plan.gpu

    @property
    def before(self) -> RecordedGpu:
        """What stands."""
        return record_gpu(self.gpu)

    @property
    def wanted(self) -> RecordedGpu:
        """What will stand."""
        return record_gpu(self.plan.after())

    @property
    def takes_away(self) -> bool:
        """Something that stands goes by it, or the mode changes."""
        change = self.plan.mode_change
        parts = any(compute.destroy for _instance, compute in self.plan.keep)
        return bool(self.plan.destroy) or parts or bool(change and change.current != change.wanted)


def plan_request(request: MigRequest, gpus: Sequence[Gpu], unfit: Mapping[int, str]) -> Tuple[Target, ...]:
    """Plans for the GPUs that are named, in their order; refused ones among them.

    :param unfit: why nothing can be planned for a GPU, by index.
    :raises InputError: with everything that is wrong.
    """
    request.check()
    if request.layout is not None:
        return _plan_layout(request, gpus, unfit)
    wishes = _read_wishes(request, gpus)
    problems: List[str] = list(wishes.problems)
    targets = []
    for gpu in gpus:
        wish = wishes.by_gpu.get(gpu.index)
        if wish is None:
            continue
        if gpu.index in unfit:
            problems.append(f"{wish.where}: {unfit[gpu.index]}")
            continue
        try:
            plan = plan_gpu(gpu, wish, request.rules)
            targets.append(Target(plan, partial(_plan_again, wish=wish, rules=request.rules)))
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError("mig_config", problems)
    return tuple(targets)


def _plan_again(gpu: Gpu, wish: Wish, rules: Rules) -> GpuPlan:
    return plan_gpu(gpu, wish, rules)


def _restore_again(gpu: Gpu, entry: RecordedGpu, rules: Rules) -> GpuPlan:
    return plan_recorded(gpu, entry, rules)


def _read_wishes(request: MigRequest, gpus: Sequence[Gpu]) -> Wishes:
    if request.state == ABSENT:
        return wish_absent("gpus", request.gpus, gpus)
    if request.mig_parted_config is not None:
        if isinstance(request.mig_parted_config, str):
            wishes = Wishes()
            wishes.problems.append(
                f"mig_parted_config is {kind_of(request.mig_parted_config)}; the action plugin kubegpu.sharing.mig_config "
                "reads such a file on the control node. Call the module by that name."
            )
            return wishes
        return read_mig_parted("mig_parted_config", request.mig_parted_config, request.selected, gpus)
    if request.gpus == "all":
        return read_wishes("mig_devices", request.mig_devices, gpus)
    wishes = Wishes()
    selected, problems = select_gpus("gpus", request.gpus, gpus)
    counts, more = read_counts("mig_devices", request.mig_devices)
    wishes.problems += [*problems, *more]
    if not counts and not more:
        wishes.problems.append("mig_devices names no MIG device; use state absent to take MIG off.")
    wishes.claim(selected, Wish("mig_devices", True, counts))
    return wishes


def _plan_layout(request: MigRequest, gpus: Sequence[Gpu], unfit: Mapping[int, str]) -> Tuple[Target, ...]:
    recorded = read_layout("layout", request.layout)
    named = {entry.uuid: entry for entry in recorded}
    problems = [
        f"{named[gpu.uuid].where}: {unfit[gpu.index]}" for gpu in gpus if gpu.uuid in named and gpu.index in unfit
    ]
    if request.partial:
        fit = [gpu for gpu in gpus if gpu.index not in unfit]
        possible, _problems = plan_possible(fit, recorded, request.rules)
    elif problems:
        raise InputError("layout", problems)
    else:
        possible = plan_layout("layout", gpus, recorded, request.rules)
    plans: Dict[str, GpuPlan] = {plan.gpu.uuid: plan for plan in possible}
    return tuple(
        Target(plans[gpu.uuid], partial(_restore_again, entry=named[gpu.uuid], rules=request.rules))
        for gpu in gpus
        if gpu.uuid in plans
    )

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG of one host as it is wanted: read, plan, refuse or write. Knows nothing of Ansible. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.boot import Boot, BootRecord
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import RecordedGpu, layout_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_change import Follow, MigChange, Written
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_files import MigFiles, boot_id
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_host import MigHost, show_step
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import MigRequest, Target, plan_request
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import Nvml


def configure(request: MigRequest, nvml: Nvml, files: NodeFiles) -> Dict[str, Any]:
    """Bring the GPUs that are named to what is wanted of them; the others are not touched.

    :param nvml: initialised, see open_nvml.
    :returns: what the module mig_config returns: changed, actions, diff, before, after, kept, destroyed, created, gpus, losses,
        reset_required, reboot_required, interrupted, restored, not_ready, warnings.
    :raises KubeGpuError: it cannot be, or must not be, or failed; the message says whether something was changed.
    """
    request.check()
    if request.check_mode:
        return configure_held(request, nvml, files)
    with HostLock(request.run, "change MIG layouts", request.lock_path, request.lock_wait_seconds):
        return configure_held(request, nvml, files)


def configure_held(request: MigRequest, nvml: Nvml, files: NodeFiles) -> Dict[str, Any]:
    """The same for a caller that holds the host's lock, because what it asks for must not change under it."""
    host = MigHost(nvml, files, lambda: request.read_allocations(files), request.pods)
    gpus, unfit = host.read()
    targets = plan_request(request, gpus, unfit)
    _refuse(targets, host.allocations()[1])
    kept = MigFiles(request.state_dir, request.ready_path)
    unfinished = kept.change()
    follow = _follow(BootRecord(kept.layout(), gpus, unfit, request.partial), targets)
    boot = follow({})
    result = _describe(targets, _actions(targets, kept, boot), unfinished)
    result.update(_warn(boot, kept))
    if not request.check_mode:
        written = MigChange(host, kept, targets, follow).carry_out(request.run)
        result.update(_describe_end(written, host, unfinished))
    return result


def _refuse(targets: Sequence[Target], unknown: Optional[str]) -> None:
    """Instances in use stay, and so do those of which it is not known.

    :raises KubeGpuError: some would go.
    """
    refused = [target.plan for target in targets if target.plan.refused]
    if refused:
        losses = _losses(targets)
        raise KubeGpuError(
            "\n".join(
                ["Nothing was changed, because something in use would go.", *(plan.refusal() for plan in refused)]
            ),
            gpus=[target.plan.to_dict() for target in targets],
            losses=losses,
        )
    if unknown and any(target.takes_away for target in targets):
        raise InputError(
            "mig_config",
            [f"Instances would go, and which of them pods were given is not known: {unknown} Or hand in allocations."],
        )


def _losses(targets: Sequence[Target]) -> List[Dict[str, Any]]:
    return [{"gpu": target.gpu.uuid, **loss.to_dict()} for target in targets for loss in target.plan.losses]


def _follow(record: BootRecord, targets: Sequence[Target]) -> Follow:
    """What is to be restored at boot: the targets as they stand, or else as they are planned, beside what was recorded before."""

    def follow(standing: Mapping[str, RecordedGpu]) -> Boot:
        return record.follow({target.gpu.uuid: standing.get(target.gpu.uuid) or target.wanted for target in targets})

    return follow


def _actions(targets: Sequence[Target], kept: MigFiles, boot: Boot) -> List[str]:
    """What is done, a line each: the steps, and what is noted."""
    actions = [f"GPU {target.gpu.index}: {show_step(step)}" for target in targets for step in target.plan.steps()]
    unfinished = kept.change()
    if unfinished is not None and not actions:
        actions.append(f"close the change that run {unfinished.get('run', 'unknown')} left unfinished")
    actions += [f"forget {gpu}, which this host has no more" for gpu in boot.forgotten]
    if boot.layout != kept.layout():
        actions.append(f"{'write' if boot.layout else 'remove'} {kept.layout_path}")
    # the marker goes before the first step, and comes back after the last
    if not kept.is_ready(boot.standing):
        why = f": {', '.join(boot.not_ready)} not as recorded" if boot.not_ready else ""
        actions.append(f"{'write' if boot.standing else 'remove'} {kept.ready_path}{why}")
    return actions


def _describe(targets: Sequence[Target], actions: List[str], unfinished: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """The result as it is planned."""
    before = layout_of(target.gpu for target in targets)
    after = layout_of(target.plan.after() for target in targets)
    plans = {target.gpu.uuid: target.plan.to_dict() for target in targets}

    def listed(word: str) -> List[Dict[str, Any]]:
        return [{"gpu": uuid, **one} for uuid, plan in plans.items() for one in plan[word]]

    return {
        "changed": bool(actions),
        "actions": actions,
        "diff": {"before": before, "after": after},
        "before": before,
        "after": after,
        "kept": listed("keep"),
        "destroyed": listed("destroy"),
        "created": listed("create"),
        "gpus": list(plans.values()),
        "losses": _losses(targets),
        "reset_required": [],
        "reboot_required": False,
        "interrupted": _show_interrupted(unfinished),
        "restored": False,
    }


def _warn(boot: Boot, kept: MigFiles) -> Dict[str, List[str]]:
    """What keeps the marker away though all that was asked for stands."""
    hint = f"{kept.ready_path} is not there until that is put right, and no device plugin of this collection starts without it."
    reasons = list(boot.not_ready.values())
    return {"not_ready": reasons, "warnings": [f"{reason} {hint}" for reason in reasons]}


def _show_interrupted(unfinished: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    """A change whose process ended before it did; one that waits for a reset has not been interrupted."""
    if unfinished is None or "waiting" in unfinished:
        return None
    return {word: unfinished.get(word) for word in ("run", "pid", "since", "before", "wanted")}


def _describe_end(written: Written, host: MigHost, unfinished: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    """What is known only afterwards. A GPU whose mode still waits since this boot, though a reset was asked for, needs more."""
    asked = (unfinished or {}).get("waiting") or [] if (unfinished or {}).get("boot_id") == boot_id() else []
    reboot = any(gpu.uuid in asked or host.is_passed_through(gpu.index) for gpu in written.waiting)
    return {
        "after": written.after,
        "reset_required": [gpu.uuid for gpu in written.waiting],
        "reboot_required": reboot,
    }

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting a node's recorded MIG layout back when it boots. PRIVATE to the collection.

GPU instances do not survive a reboot, and from Hopper on the mode does not either. The marker says that the layout stands:
without it no device plugin of the collection starts, so that a card is never advertised whole by mistake. The node itself serves
all else: this never keeps it from booting. Services that hold GPUs are stopped if they are in its way, and started again in
whatever way it ends; start-services does that for one that was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._boot.services import HostServices
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import DEFAULT_PATH, HostLock
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import NvmlError, NvmlUnavailableError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_config import configure_held
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import (
    READY_PATH,
    STATE_DIR,
    MigRequest,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import Nvml

RUN = "boot"
FAILURE_NAME = "mig-restore-failed"
STOPPED_NAME = "mig-restore-stopped"
_POLL_SECONDS = 1.0
# A driver that is being loaded answers one of these for a while; that of a container has a kernel module first, and a library then.
_PASSING = ("library_not_found", "driver_not_loaded", "no_gpu", "unknown")


class NoDriverYetError(KubeGpuError):
    """There is no driver, and none is being loaded: one that comes in a container starts this program again when it is there."""


@dataclass(frozen=True)
class Restore:
    """What is to be put back on which node.

    :param host_services: systemd units that hold GPUs; those that run are stopped while the layout is put back.
    :param wait_seconds: how long to wait for a driver that is being loaded, and for another change of this host.
    """

    state_dir: str = STATE_DIR
    ready_path: str = READY_PATH
    nvml_library: Optional[str] = None
    proc_root: str = "/proc"
    kubelet_root: str = "/var/lib/kubelet"
    lock_path: str = DEFAULT_PATH
    host_services: Tuple[str, ...] = ()
    wait_seconds: float = 60

    @property
    def layout_path(self) -> str:
        """Where mig_config has recorded the layout."""
        return os.path.join(self.state_dir, "layout.json")

    @property
    def failure_path(self) -> str:
        """Says why the layout does not stand, until it does or the node reboots."""
        return os.path.join(os.path.dirname(self.ready_path), FAILURE_NAME)

    @property
    def services(self) -> HostServices:
        """Those that may have to make way."""
        note = os.path.join(os.path.dirname(self.ready_path), STOPPED_NAME)
        return HostServices(self.host_services, note)

    @property
    def files(self) -> NodeFiles:
        """The node's."""
        return NodeFiles(self.proc_root, self.kubelet_root)


def restore_at_boot(restore: Restore) -> int:
    """The command "restore": 0 if the layout stands, or there is none to be restored here; 1 if it could not be. Says which."""
    return _say(restore, lambda: f"{run(restore)}\n")


def start_services(restore: Restore) -> int:
    """The command "start-services": start what a restore that was killed has left stopped."""
    return _say(restore, lambda: _start_services(restore))


def _say(restore: Restore, work: Callable[[], str]) -> int:
    try:
        sys.stdout.write(work())
    except NoDriverYetError as error:
        _note_failure(restore, error.msg)
        sys.stdout.write(f"{error.msg}\n")
    except (KubeGpuError, OSError) as error:
        message = error.msg if isinstance(error, KubeGpuError) else f"The MIG layout was not restored: {error}."
        _note_failure(restore, message)
        sys.stderr.write(f"{message}\n")
        return 1
    return 0


def run(restore: Restore, sleep: Callable[[float], None] = time.sleep) -> str:
    """Put the layout back.

    :returns: what was done, or why there was nothing to do.
    :raises NoDriverYetError: there is no driver that could do it.
    :raises KubeGpuError: it could not be put back; then there is no marker.
    """
    try:
        return _run(restore, sleep)
    finally:
        restore.services.start_again()


def _run(restore: Restore, sleep: Callable[[float], None]) -> str:
    deadline = time.monotonic() + restore.wait_seconds
    # What was said before the reboot, or before the driver was loaded anew, need not be true any more.
    outdated = [restore.ready_path, restore.failure_path]
    while True:
        try:
            # For each attempt, not for the time between them: a rollout may bring what is waited for.
            with HostLock(RUN, "restore the MIG layout", restore.lock_path, restore.wait_seconds):
                while outdated:
                    _forget(outdated.pop())
                layout = _read_layout(restore)
                if layout is None:
                    return f"No MIG layout is recorded in {restore.layout_path}: there is nothing to restore."
                return _describe(_configure(restore, layout))
        except NvmlUnavailableError as error:
            loaded = _is_being_loaded(restore)
            if error.code not in _PASSING or not loaded or time.monotonic() >= deadline:
                raise _unavailable(error, loaded) from error
        except NvmlError as error:
            raise KubeGpuError(f"The MIG layout was not restored: {error}. Look for NVRM in the kernel log.") from error
        sleep(_POLL_SECONDS)


def _unavailable(error: NvmlUnavailableError, loaded: bool) -> KubeGpuError:
    if error.code == "library_not_found" and not loaded:
        return NoDriverYetError(
            f"{error.reason} A driver that comes in a container is not there yet when a node boots, so the MIG layout was not "
            "restored and the device plugin of this node's config waits. The restore starts again when the driver is loaded. "
            "If no marker is there then, restore it from the cluster's side: run the playbook kubegpu.sharing.rollout, or the "
            "role mig_config."
        )
    return KubeGpuError(f"The MIG layout was not restored. {error.reason}")


def _forget(path: str) -> None:
    """Remove a file, or the empty directory that a container runtime has made in the place of one it was to mount.

    :raises KubeGpuError: it cannot be.
    """
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            os.rmdir(path)
        else:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise KubeGpuError(
            f"The MIG layout was not restored: removing {path} failed: {error.strerror}. Remove it, and start the unit again."
        ) from error


def _start_services(restore: Restore) -> str:
    started = restore.services.start_again()
    return f"Started again: {', '.join(started)}.\n" if started else ""


def _is_being_loaded(restore: Restore) -> bool:
    """Whether the kernel has the driver, or is about to: udev tells of a module before it works."""
    try:
        with open(os.path.join(restore.proc_root, "modules"), encoding="ascii", errors="replace") as file:
            return any(line.startswith("nvidia ") for line in file)
    except OSError:
        return restore.files.kernel_driver_version() is not None


def _configure(restore: Restore, layout: Dict[str, Any]) -> Dict[str, Any]:
    request = MigRequest(
        layout=layout,
        allocations=_allocations(restore.files),
        run=RUN,
        partial=True,
        state_dir=restore.state_dir,
        ready_path=restore.ready_path,
    )
    with open_nvml(restore.nvml_library, None, restore.files) as nvml:
        return _put_back(request, nvml, restore)


def _put_back(request: MigRequest, nvml: Nvml, restore: Restore) -> Dict[str, Any]:
    steps = _steps(configure_held(replace(request, check_mode=True), nvml, restore.files))
    if steps:
        restore.services.stop()
    try:
        return configure_held(request, nvml, restore.files)
    except KubeGpuError:
        # udev starts nvidia-persistenced on some systems, at the time that it starts this.
        if not (steps and restore.services.stop()):
            raise
        return configure_held(request, nvml, restore.files)


def _allocations(files: NodeFiles) -> Optional[List[Dict[str, Any]]]:
    """What pods that run were given; None if that is not known.

    When a node boots none runs, though the kubelet's record of them is still there: it lists what they had before.
    """
    running = _pods_that_run(files)
    if not running:
        return []
    allocations, unknown = files.live_allocations()
    return None if unknown else [one for one in allocations if one["pod_uid"] in running]


def _pods_that_run(files: NodeFiles) -> List[str]:
    """UIDs of the pods that have a process; each that runs has one, if only the one that holds its sandbox."""
    pods = (files.pod_of(int(name)).pod_uid for name in os.listdir(files.proc_root) if name.isdigit())
    return [uid for uid in pods if uid]


def _describe(result: Dict[str, Any]) -> str:
    if result["reset_required"] or result["reboot_required"]:
        raise KubeGpuError(
            f"The MIG layout was not restored: the mode of {', '.join(result['reset_required'])} changes only by "
            f"{'a reboot' if result['reboot_required'] else 'a reset of the GPU'}. Run the role mig_config, or the rollout."
        )
    steps = [f"\n  {step}" for step in _steps(result)]
    if result["not_ready"]:
        others = f"\nThe others were restored:{''.join(steps)}" if steps else ""
        raise KubeGpuError(
            f"The MIG layout was not restored on every GPU, so the device plugin waits: {' '.join(result['not_ready'])}{others}"
        )
    if not steps:
        return "The recorded MIG layout stands; nothing had to be restored."
    return f"The recorded MIG layout was restored:{''.join(steps)}"


def _steps(result: Dict[str, Any]) -> List[str]:
    return [action for action in result["actions"] if action.startswith("GPU ")]


def _read_layout(restore: Restore) -> Optional[Dict[str, Any]]:
    try:
        with open(restore.layout_path, encoding="utf-8") as file:
            return json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise KubeGpuError(
            f"The MIG layout was not restored: reading {restore.layout_path} failed: {error}. Run the role mig_config, which writes it."
        ) from error


def _note_failure(restore: Restore, message: str) -> None:
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(restore.failure_path), mode=0o755, exist_ok=True)
        with open(restore.failure_path, "w", encoding="utf-8") as file:
            file.write(f"{message}\n")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that puts a node's recorded MIG layout back when it boots. PRIVATE to the collection.

    restore [--state-dir DIR] [--ready-path FILE] [--nvml-library FILE] ...

GPU instances do not survive a reboot, and from Hopper on the mode does not either. The marker says that the layout stands:
without it no device plugin of the collection starts, so that a card is never advertised whole by mistake. The node itself serves
all else: this program never keeps it from booting.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import DEFAULT_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import NvmlError, NvmlUnavailableError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_config import configure
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import (
    READY_PATH,
    STATE_DIR,
    MigRequest,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml

RUN = "boot"
FAILURE_NAME = "mig-restore-failed"
_POLL_SECONDS = 1.0
# A driver that is being loaded answers one of these for a while.
_PASSING = ("driver_not_loaded", "no_gpu", "unknown")


@dataclass(frozen=True)
class Restore:
    """What is to be put back on which node.

    :param wait_seconds: how long to wait for a driver that is being loaded, and for another change of this host.
    """

    state_dir: str = STATE_DIR
    ready_path: str = READY_PATH
    nvml_library: Optional[str] = None
    proc_root: str = "/proc"
    kubelet_root: str = "/var/lib/kubelet"
    lock_path: str = DEFAULT_PATH
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
    def files(self) -> NodeFiles:
        """The node's."""
        return NodeFiles(self.proc_root, self.kubelet_root)


def main(arguments: Sequence[str], version: str) -> int:
    """0 if the layout stands, or there is none to be restored here; 1 if it could not be restored. Says which."""
    parser = _parser(version)
    options = vars(parser.parse_args(list(arguments)))
    del options["command"]
    restore = Restore(**options)
    try:
        sys.stdout.write(f"{run(restore)}\n")
    except KubeGpuError as error:
        _note_failure(restore, error.msg)
        sys.stderr.write(f"{error.msg}\n")
        return 1
    return 0


def run(restore: Restore, sleep: Callable[[float], None] = time.sleep) -> str:
    """Put the layout back.

    :returns: what was done, or why there was nothing to do.
    :raises KubeGpuError: it could not be put back; then there is no marker.
    """
    for path in (restore.ready_path, restore.failure_path):
        # What was said before the reboot, or before the driver was loaded anew, need not be true any more.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    layout = _read_layout(restore)
    if layout is None:
        return f"No MIG layout is recorded in {restore.layout_path}: there is nothing to restore."
    deadline = time.monotonic() + restore.wait_seconds
    while True:
        try:
            return _describe(_configure(restore, layout))
        except NvmlUnavailableError as error:
            if error.code == "library_not_found":
                return (
                    f"{error.reason} A driver that comes in a container is not there yet when a node boots, so the MIG layout "
                    "was not restored and the device plugin of this node's config waits. Restore it from the cluster's "
                    "side, once the driver is there: run the playbook kubegpu.sharing.rollout, or the role mig_config."
                )
            if error.code not in _PASSING or not _is_being_loaded(restore) or time.monotonic() >= deadline:
                raise KubeGpuError(f"The MIG layout was not restored. {error.reason}") from error
        except NvmlError as error:
            raise KubeGpuError(f"The MIG layout was not restored: {error}. Look for NVRM in the kernel log.") from error
        sleep(_POLL_SECONDS)


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
        run=RUN,
        lock_path=restore.lock_path,
        lock_wait_seconds=restore.wait_seconds,
        state_dir=restore.state_dir,
        ready_path=restore.ready_path,
    )
    with open_nvml(restore.nvml_library, None, restore.files) as nvml:
        return configure(request, nvml, restore.files)


def _describe(result: Dict[str, Any]) -> str:
    if result["reset_required"] or result["reboot_required"]:
        raise KubeGpuError(
            f"The MIG layout was not restored: the mode of {', '.join(result['reset_required'])} changes only by "
            f"{'a reboot' if result['reboot_required'] else 'a reset of the GPU'}. Run the role mig_config, or the rollout."
        )
    steps = [action for action in result["actions"] if action.startswith("GPU ")]
    if not steps:
        return "The recorded MIG layout stands; nothing had to be restored."
    return "\n".join(["The recorded MIG layout was restored:", *(f"  {step}" for step in steps)])


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


def _parser(version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubegpu-sharing", description="Keeps a node's MIG layout over reboots.")
    parser.add_argument("--version", action="version", version=f"kubegpu.sharing {version}")
    commands = parser.add_subparsers(dest="command", required=True)
    restore = commands.add_parser("restore", help="put the recorded MIG layout back")
    default = Restore()
    for name in ("state_dir", "ready_path", "nvml_library", "proc_root", "kubelet_root", "lock_path"):
        restore.add_argument(f"--{name.replace('_', '-')}", dest=name, default=getattr(default, name))
    restore.add_argument("--wait-seconds", type=float, default=default.wait_seconds)
    return parser

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What procfs and the kubelet's directory of a node tell. Read only. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.checkpoint import (
    NAME,
    CheckpointError,
    parse_checkpoint,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.holders import find_holders
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.processes import PodOfProcess, parse_cgroup

NVIDIA_VENDOR = "10de"
# Every kubelet listens here for device plugins, in a directory that others may have made as well.
_SOCKET = "kubelet.sock"
_PROC = "/proc"
# Some distributions have it in a program of their own (K3s names its processes k3s-server and k3s-agent, MicroK8s kubelite).
_KUBELET = re.compile(r"kubelet|kubelite|(k3s|rke2|k0s)(-.*)?")


@dataclass(frozen=True)
class NodeFiles:
    """Files of one node; the roots may be mounts of another's.

    :param device_plugins: where a kubelet of this machine keeps what belongs to device plugins, whatever its root directory is.
    """

    proc_root: str = _PROC
    kubelet_root: str = "/var/lib/kubelet"
    log_root: str = "/var/log"
    device_plugins: str = "/var/lib/kubelet/device-plugins"

    def pod_of(self, pid: int) -> PodOfProcess:
        """The pod of a process; nothing if it has ended or may not be looked at."""
        return parse_cgroup(self.read_proc(str(pid), "cgroup") or "")

    def command_of(self, pid: int) -> Optional[str]:
        """Name of a process, None if it has ended. Never its arguments: they may hold secrets."""
        name = (self.read_proc(str(pid), "comm") or "").strip()
        if name:
            return name
        program = (self.read_proc(str(pid), "cmdline") or "").split("\0", 1)[0]
        return os.path.basename(program) or None

    def kernel_driver_version(self) -> Optional[str]:
        """Version of the NVIDIA kernel module that is loaded, None if there is none."""
        return parse_driver_version(self.read_proc("driver", "nvidia", "version") or "")

    def pci_devices(self) -> Optional[int]:
        """How many NVIDIA functions the PCI bus has, None if procfs does not tell."""
        text = self.read_proc("bus", "pci", "devices")
        return None if text is None else count_pci_devices(text)

    def allocations(self) -> tuple[Optional[list[dict[str, Any]]], Optional[str]]:
        """Allocations by the kubelet's checkpoint, or None and the reason."""
        path = os.path.join(self._device_plugins(), NAME)
        try:
            with open(path, encoding="utf-8") as file:
                return parse_checkpoint(file.read()), None
        except FileNotFoundError:
            return (
                None,
                f"{path} does not exist: no kubelet keeps its state there, or no device was ever allocated. Set kubelet_root if it is elsewhere.",
            )
        except PermissionError:
            return None, f"{path} may not be read by uid {os.geteuid()}. Run with become."
        except (OSError, UnicodeDecodeError) as error:
            return None, f"Reading {path} failed: {error}."
        except CheckpointError as error:
            return None, f"{path} is not understood: {error}. The kubelet may be newer than this collection."

    def holders(self) -> tuple[Optional[list[dict[str, Any]]], Optional[str]]:
        """Processes that have NVIDIA's device files open, or None and the reason."""
        return find_holders(self.proc_root)

    def live_allocations(self) -> tuple[list[dict[str, Any]], Optional[str]]:
        """Allocations to pods that the kubelet still keeps a directory for, and why they are not known, if so.

        A host on which no device was ever allocated has no checkpoint, and that is an answer too, unless its kubelet keeps its
        state elsewhere.
        """
        allocations, reason = self.allocations()
        if allocations is None:
            return [], reason if os.path.exists(os.path.join(self._device_plugins(), NAME)) else self._stray_kubelet()
        pods = os.path.join(self.kubelet_root, "pods")
        if not os.path.isdir(pods):
            # the kubelet's directory is seen in part only, and what is not seen ends nobody's use
            return allocations, None
        return [one for one in allocations if os.path.isdir(os.path.join(pods, one["pod_uid"]))], None

    def _device_plugins(self) -> str:
        """Below the kubelet's root, or where upstream's kubelet has it even if it was given another root, as k0s gives it one.

        That place is this machine's own, and so it counts only where its procfs is read as well.
        """
        below = os.path.join(self.kubelet_root, "device-plugins")
        fixed = os.path.normpath(self.proc_root) == _PROC and not os.path.isdir(below)
        return self.device_plugins if fixed and os.path.isdir(self.device_plugins) else below

    def _stray_kubelet(self) -> Optional[str]:
        """Why a checkpoint that is not there says nothing: a kubelet runs, and it is not the one of this directory."""
        socket = os.path.join(self._device_plugins(), _SOCKET)
        if os.path.exists(socket):
            return None
        try:
            pids = sorted(int(name) for name in os.listdir(self.proc_root) if name.isdigit())
        except OSError:
            return None
        for pid in pids:
            command = self.command_of(pid)
            if command and _KUBELET.fullmatch(command):
                return (
                    f"{socket} does not exist, and process {pid} ({command}) runs, which is a kubelet or has one: it keeps its "
                    "state elsewhere. Set kubelet_root (of MicroK8s it is /var/snap/microk8s/common/var/lib/kubelet)."
                )
        return None

    def read_proc(self, *parts: str) -> Optional[str]:
        """The text of a file of procfs, None if it is not there (any more) or may not be read."""
        try:
            with open(os.path.join(self.proc_root, *parts), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return None


def parse_driver_version(text: str) -> Optional[str]:
    """Version from the text of ``/proc/driver/nvidia/version``, of the closed or the open kernel module."""
    match = re.search(r"^NVRM version:.*?\s(\d+\.\d+(?:\.\d+)?)\s", text, re.MULTILINE)
    return match.group(1) if match else None


def count_pci_devices(text: str) -> int:
    """NVIDIA functions in the text of ``/proc/bus/pci/devices``, whose second field is vendor and device id."""
    fields = (line.split() for line in text.splitlines())
    return sum(1 for field in fields if len(field) > 1 and field[1].lower().startswith(NVIDIA_VENDOR))

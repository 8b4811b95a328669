# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that have NVIDIA's device files open. Read only. PRIVATE to the collection.

NVML lists processes with a context on a GPU. What merely watches (the device plugin, exporters, nvidia-persistenced, DCGM) has no
context, is in no list, and yet keeps the MIG mode from being changed: only procfs shows it.
"""

from __future__ import annotations

import os
import re
from typing import Any, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.processes import parse_cgroup, parse_unit

_DEVICE = re.compile(r"(/dev/nvidia(?:ctl|[0-9]+|-caps/[^ ]+))(?: \(deleted\))?")


def find_holders(proc_root: str) -> Tuple[Optional[List[dict[str, Any]]], Optional[str]]:
    """Holders by process id, this process left out; or None and the reason.

    :returns: mappings of pid, command, pod_uid, container_id, unit (of systemd, None in a pod) and devices.
    """
    try:
        pids = sorted(int(name) for name in os.listdir(proc_root) if name.isdigit())
    except OSError as error:
        return None, f"{proc_root} cannot be listed: {error.strerror}. Set proc_root to the node's procfs."
    found = []
    for pid in pids:
        try:
            devices = _devices(os.path.join(proc_root, str(pid), "fd"))
        except PermissionError:
            return None, f"The open files of process {pid} may not be read by uid {os.geteuid()}. Run with become."
        if devices and pid != os.getpid():
            found.append({"pid": pid, **_describe(os.path.join(proc_root, str(pid))), "devices": devices})
    return found, None


def _devices(directory: str) -> List[str]:
    """NVIDIA's device files among a process's open files."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return []
    found = set()
    for name in names:
        try:
            match = _DEVICE.fullmatch(os.readlink(os.path.join(directory, name)))
        except OSError:
            # closed meanwhile
            continue
        if match:
            found.add(match.group(1))
    return sorted(found)


def _describe(directory: str) -> dict[str, Any]:
    cgroup = _read(directory, "cgroup")
    pod = parse_cgroup(cgroup)
    return {
        "command": _read(directory, "comm").strip() or None,
        "pod_uid": pod.pod_uid,
        "container_id": pod.container_id,
        "unit": None if pod.pod_uid else parse_unit(cgroup),
    }


def _read(directory: str, name: str) -> str:
    try:
        with open(os.path.join(directory, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def show_holders(holders: Optional[List[dict[str, Any]]], reason: Optional[str], pods: Any) -> str:
    """Who they are, for a message.

    :param pods: namespace/name by UID, where known.
    """
    if holders is None:
        return f"Who holds NVIDIA's device files is not known: {reason}"
    if not holders:
        return "No process with NVIDIA's device files open is seen."
    return f"NVIDIA's device files are held open by {', '.join(_show(one, pods) for one in holders)}."


def _show(holder: dict[str, Any], pods: Any) -> str:
    uid = holder["pod_uid"]
    owner = f" of pod {pods.get(uid, uid)}" if uid else f" of {holder['unit']}" if holder["unit"] else ""
    return f"process {holder['pid']} ({holder['command'] or 'unknown'}){owner}"

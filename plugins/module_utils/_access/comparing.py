# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers have lost their GPUs. Pure. PRIVATE to the collection.

A container's devices are allowed when it is created. Where systemd keeps its cgroup and was not told of devices that somebody else
allowed behind its back, the next ``daemon-reload`` writes the rules anew, without them: files that are open go on working, and whatever
opens one fails ("Failed to initialize NVML: Unknown Error"). Nothing gives them back to a container that runs.
"""

from __future__ import annotations

import posixpath
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._access.devices import is_needed

_DENIED = "EPERM"
_GONE = "ENOENT"


def compare(containers: Sequence[Mapping[str, Any]], before: Optional[Sequence[Mapping[str, Any]]]) -> Dict[str, Any]:
    """The module's answer: containers, each with ``lost`` and ``lost_devices``, and the lists lost, gone, unknown and volume_mount_pods.

    :param containers: as AccessReader reads them.
    :param before: the same of an earlier look, None if there was none.
    """
    former = {one["container_id"]: one for one in before or ()}
    judged = [_judge(one, former.get(one["container_id"])) for one in containers]
    here = {one["container_id"] for one in judged}
    return {
        "containers": judged,
        "volume_mount_pods": find_volume_mount_pods(judged),
        "lost": [_brief(one, devices=one["lost_devices"]) for one in judged if one["lost"]],
        "unknown": [_brief(one, reason=one["reason"]) for one in judged if is_unknown(one)],
        "gone": [_brief(one) for one in before or () if one["container_id"] not in here],
    }


def find_volume_mount_pods(containers: Sequence[Mapping[str, Any]]) -> List[str]:
    """UIDs of pods all of whose containers with GPUs have them by mounts."""
    known = [one for one in containers if one.get("pod_uid")]
    others = {str(one["pod_uid"]) for one in known if not one["volume_mounts"]}
    return sorted({str(one["pod_uid"]) for one in known} - others)


def is_unknown(container: Mapping[str, Any]) -> bool:
    """Whether the kernel could not be asked."""
    return any(device["accessible"] is None for device in container["devices"])


def _judge(container: Mapping[str, Any], former: Optional[Mapping[str, Any]]) -> Dict[str, Any]:
    lost = _lost_since(container, former) if former else None
    if lost is None:
        lost = _lost_by_itself(container)
    return {**container, "lost": bool(lost), "lost_devices": lost}


def _lost_since(container: Mapping[str, Any], former: Mapping[str, Any]) -> Optional[List[str]]:
    """What it could open then, and cannot now; None if the former look does not tell."""
    if is_unknown(former):
        return None
    now = {device["path"]: device for device in container["devices"]}
    had = [str(device["path"]) for device in former["devices"] if device["accessible"]]
    return [path for path in had if path not in now or now[path]["errno"] in (_DENIED, _GONE)]


def _lost_by_itself(container: Mapping[str, Any]) -> List[str]:
    """What it may not open, though it must have been allowed to: the kubelet gave it a GPU, or it has one open.

    Others may just see the files, because the host's /dev is mounted into them, and never were allowed to open them.
    """
    if not (container["allocated"] or container["open"]):
        return []
    return [
        str(device["path"])
        for device in container["devices"]
        if device["errno"] == _DENIED and is_needed(posixpath.relpath(device["path"], "/dev"))
    ]


def _brief(container: Mapping[str, Any], **more: Any) -> Dict[str, Any]:
    names = ("namespace", "pod", "container", "pod_uid", "container_id")
    return {**{name: container.get(name) for name in names}, **more}


def name_of(container: Mapping[str, Any]) -> str:
    """In words: nlp/worker-0 (container main)."""
    if container.get("pod"):
        named = f" (container {container['container']})" if container.get("container") else ""
        return f"{container['namespace']}/{container['pod']}{named}"
    pod = f"pod {container['pod_uid']}, " if container.get("pod_uid") else ""
    return f"{pod}container {str(container['container_id'])[:12]}"


def describe(found: Mapping[str, Any], missing_links: Optional[Sequence[str]]) -> str:
    """What there is to say and to do, "" if nothing was lost."""
    if not found["lost"]:
        return ""
    listed = "; ".join(f"{name_of(one)}: {', '.join(one['devices'])}" for one in found["lost"])
    noun = "container" if len(found["lost"]) == 1 else "containers"
    text = (
        f"{len(found['lost'])} running GPU {noun} may not open their devices any more: {listed}. What they have open goes on working, and "
        'whatever opens a GPU from now on fails ("Failed to initialize NVML: Unknown Error"). A running container does not get them back: '
        "delete these pods, so that their controllers make new ones. The known cause is a 'systemctl daemon-reload', also that of a package's "
        "installation, where systemd keeps the cgroups of containers. "
    )
    if missing_links:
        return text + (
            f"A container runtime cannot tell systemd of {', '.join(missing_links)}, because /dev/char has no link to them: 'nvidia-ctk system "
            "create-dev-char-symlinks --create-all' makes them, until the next boot; let it run at every boot, before pods come. "
            "Let the device plugin pass the devices themselves as well (passDeviceSpecs: true), or nobody tells systemd of them."
        )
    return text + (
        "So that it does not come again, let the device plugin pass the devices themselves to the runtime (passDeviceSpecs: true) or use CDI, "
        "or have kubelet and runtime use the cgroup driver cgroupfs."
    )

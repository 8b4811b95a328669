# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that see GPUs without having been given one: device plugins, exporters and the like. Pure. PRIVATE to the collection.

They see them by the environment variable as well, often one that their image sets. Once it is refused, the toolkit heeds it only where the
container is privileged to it, which is whoever has the capability SYS_ADMIN; a device plugin that is not finds no GPU at its next start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import find_plugin_in
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.quantities import counts_with_prefix
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import controller_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.daemonsets import read_daemonset
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.kinds import kind_of

_VARIABLE = "NVIDIA_VISIBLE_DEVICES"
# With these the toolkit gives a container no device, whatever else it does.
_NO_DEVICES = ("", "void", "none")
_MOUNTS = ("/var/run/nvidia-container-devices", "/run/nvidia-container-devices")
_CAPABILITIES = ("SYS_ADMIN", "CAP_SYS_ADMIN", "ALL")


@dataclass(frozen=True)
class Watcher:
    """A container that would see no GPU any more.

    :param title: what it belongs to: "DaemonSet namespace/name", or its pod.
    """

    title: str
    container: str


def find_watchers(pod: Mapping[str, Any], prefix: str) -> Iterator[Watcher]:
    """Those of a pod on a node with GPUs.

    :param prefix: of the resources that are GPUs.
    """
    spec = pod.get("spec") or {}
    plugin = find_plugin_in(spec)
    for container in all_containers(spec):
        if has_gpus(container, prefix) or is_privileged(container) or _has_mounts(container):
            continue
        value = _variable(container)
        if value in _NO_DEVICES:
            continue
        if value is not None or container is plugin or _is_known(container):
            yield Watcher(_title(pod), container.get("name") or "")


def all_containers(spec: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Those that run beside each other: init containers only if they restart always."""
    sidecars = [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return [*(spec.get("containers") or ()), *sidecars]


def has_gpus(container: Mapping[str, Any], prefix: str) -> bool:
    """Whether it asks for a GPU of its own."""
    resources = container.get("resources") or {}
    counts = {
        **counts_with_prefix(resources.get("requests"), prefix),
        **counts_with_prefix(resources.get("limits"), prefix),
    }
    return any(counts.values())


def is_privileged(container: Mapping[str, Any]) -> bool:
    """Whether the toolkit heeds its variable in any case."""
    security = container.get("securityContext") or {}
    added = (security.get("capabilities") or {}).get("add") or ()
    return bool(security.get("privileged")) or any(one in _CAPABILITIES for one in added)


def _variable(container: Mapping[str, Any]) -> str | None:
    """Its value as the pod sets it, "?" if it comes from elsewhere; None if only the image may set it."""
    for entry in container.get("env") or ():
        if entry.get("name") == _VARIABLE:
            return "?" if "valueFrom" in entry else str(entry.get("value") or "")
    return None


def _has_mounts(container: Mapping[str, Any]) -> bool:
    points = [str(mount.get("mountPath") or "") for mount in container.get("volumeMounts") or ()]
    return any(point.startswith(_MOUNTS) for point in points)


def _is_known(container: Mapping[str, Any]) -> bool:
    like = {"metadata": {}, "spec": {"template": {"spec": {"containers": [container]}}}}
    return bool(kind_of({**read_daemonset(like), "plugin": False}))


def _title(pod: Mapping[str, Any]) -> str:
    metadata, owner = pod["metadata"], controller_of(pod)
    namespace = metadata.get("namespace") or ""
    if owner and owner["kind"] != "Node":
        return f"{owner['kind']} {namespace}/{owner['name']}"
    return f"Pod {namespace}/{metadata.get('name') or ''}"

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DaemonSets as far as it matters whether they hold a node's NVIDIA driver, and how they can be paused. PRIVATE to the collection."""

from __future__ import annotations

import posixpath
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import find_plugin_container


def read_daemonset(obj: Mapping[str, Any]) -> dict[str, Any]:
    """A DaemonSet as the cluster file has it, without the nodes that it has pods on.

    :returns: images: without registry and version, with the last but one part of their path ("nvidia/dcgm-exporter"); runs:
        programs and names of its containers; plugin: a device plugin for NVIDIA GPUs runs in it.
    """
    metadata = obj["metadata"]
    spec = ((obj.get("spec") or {}).get("template") or {}).get("spec") or {}
    containers = spec.get("containers") or ()
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    return {
        "namespace": metadata.get("namespace") or "",
        "name": metadata.get("name") or "",
        "uid": metadata.get("uid") or "",
        "labels": metadata.get("labels") or {},
        "images": [short_image(container.get("image") or "") for container in containers],
        "runs": sorted({word for container in containers for word in _programs(container)}),
        "plugin": find_plugin_container(obj) is not None,
        "node_selector": spec.get("nodeSelector") or {},
        "node_affinity": {"requiredDuringSchedulingIgnoredDuringExecution": affinity} if affinity else None,
        "tolerations": spec.get("tolerations") or [],
    }


def title_of(daemonset: Mapping[str, Any]) -> str:
    """namespace/name."""
    return f"{daemonset.get('namespace')}/{daemonset.get('name')}"


def short_image(image: str) -> str:
    """The last two parts of an image's path: "nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3@sha256:..." is "k8s/dcgm-exporter"."""
    path = image.partition("@")[0]
    directory, _slash, last = path.rpartition("/")
    return "/".join(part for part in (posixpath.basename(directory), last.partition(":")[0]) if part)


def _programs(container: Mapping[str, Any]) -> set[str]:
    """The container's name, and the program that it runs, if it says which."""
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    programs = {posixpath.basename(str(word)) for word in words[:1] if not str(word).startswith("-")}
    return {word for word in (container.get("name") or "", *programs) if word}

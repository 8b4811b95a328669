# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hardening has to know of a cluster, put together from objects as they are read. Pure. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster import nodes as node_records
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster import pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import (
    find_config_source,
    find_plugin_container,
    find_plugin_in,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import TERMINAL_PHASES, pod_requests
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.strategies import (
    Strategy,
    config_source_of_pod,
    read_pod_strategy,
    read_template_strategy,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.watchers import (
    Watcher,
    all_containers,
    find_watchers,
    has_gpus,
    is_privileged,
)

_STATIC = "kubernetes.io/config.mirror"


@dataclass(frozen=True)
class PluginPod:
    """A device plugin that is on a node."""

    title: str
    strategy: Strategy


@dataclass(frozen=True)
class GpuPod:
    """A pod that has GPUs, and is not privileged.

    :param uids: by which API server and kubelet know it, which differ for a static pod.
    :param bound: RFC 3339, when it came to its node; "" if nothing tells.
    """

    title: str
    uids: frozenset[str]
    bound: str


@dataclass
class GpuNode:
    """A node with GPUs."""

    name: str
    labels: Mapping[str, str]
    allocatable: int
    plugins: list[PluginPod] = field(default_factory=list)
    pods: list[GpuPod] = field(default_factory=list)
    watchers: list[Watcher] = field(default_factory=list)


@dataclass(frozen=True)
class Template:
    """What a DaemonSet's next pods will do."""

    title: str
    strategy: Strategy


class HardeningView:
    """Collects nodes, DaemonSets and pods, in this order; ConfigMaps after them.

    :param prefix: of the resources that are GPUs.
    """

    def __init__(self, prefix: str = "nvidia.com/") -> None:
        self._prefix = prefix
        self._nodes: dict[str, GpuNode] = {}
        self._daemonsets: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        self._plugin_pods: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        self._config_maps: dict[str, Mapping[str, Any]] = {}

    def add_nodes(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Node objects."""
        for item in items:
            record = node_records.read_node(item, self._prefix)
            if record["gpu"]:
                allocatable = sum(entry["allocatable"] for entry in record["resources"].values())
                name = item["metadata"]["name"]
                self._nodes[name] = GpuNode(name, record["labels"], allocatable)

    def add_daemonsets(self, items: Iterable[Mapping[str, Any]]) -> None:
        """DaemonSets, of which device plugins are kept."""
        for item in items:
            container = find_plugin_container(item)
            if container is not None:
                self._daemonsets.append((item, container))

    def add_pods(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Pods, of which device plugins and those with GPUs are kept."""
        for item in items:
            if (item.get("status") or {}).get("phase") in TERMINAL_PHASES:
                continue
            node = self._nodes.get(pods.pod_node(item))
            if node is None:
                continue
            container = find_plugin_in(item.get("spec") or {})
            if container is not None:
                self._plugin_pods.append((item, container))
            node.watchers += find_watchers(item, self._prefix)
            requests = pod_requests(item.get("spec") or {}, self._prefix)
            if requests and self._needs_variable(item):
                node.pods.append(_read_gpu_pod(item, requests))

    def _needs_variable(self, pod: Mapping[str, Any]) -> bool:
        containers = all_containers(pod.get("spec") or {})
        return any(has_gpus(one, self._prefix) and not is_privileged(one) for one in containers)

    def config_maps(self) -> list[str]:
        """ConfigMaps ("namespace/name") that plugins have their config from."""
        sources = [config_source_of_pod(pod, container) for pod, container in self._plugin_pods]
        sources += [find_config_source(daemonset, container) for daemonset, container in self._daemonsets]
        return sorted({source.config_map for source in sources if source.config_map})

    def add_config_map(self, title: str, config_map: Mapping[str, Any]) -> None:
        """One of these."""
        self._config_maps[title] = config_map

    def nodes(self) -> list[GpuNode]:
        """Nodes with GPUs by name, with what is on them."""
        for node in self._nodes.values():
            node.plugins = []
        for pod, container in self._plugin_pods:
            node = self._nodes[pods.pod_node(pod)]
            config_map = self._config_maps.get(config_source_of_pod(pod, container).config_map)
            strategy = read_pod_strategy(pod, container, node.labels, config_map)
            node.plugins.append(PluginPod(_title(pod), strategy))
        return [self._nodes[name] for name in sorted(self._nodes)]

    def templates(self) -> list[Template]:
        """DaemonSets of device plugins that have a pod, or are meant to."""
        found = []
        for daemonset, container in self._daemonsets:
            config_map = self._config_maps.get(find_config_source(daemonset, container).config_map)
            strategy = read_template_strategy(daemonset, container, config_map)
            if strategy is not None and (daemonset.get("status") or {}).get("desiredNumberScheduled"):
                found.append(Template(_title(daemonset), strategy))
        return sorted(found, key=lambda one: one.title)


def _read_gpu_pod(pod: Mapping[str, Any], requests: Mapping[str, int]) -> GpuPod:
    metadata = pod["metadata"]
    uids = {metadata.get("uid"), (metadata.get("annotations") or {}).get(_STATIC)}
    bound = pods.read_pod(pod, requests)["bound"]
    return GpuPod(_title(pod), frozenset(str(uid) for uid in uids if uid), bound or "")


def _title(obj: Mapping[str, Any]) -> str:
    metadata = obj["metadata"]
    return f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"

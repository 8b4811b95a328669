# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the cluster file together from objects as they are read. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster import nodes as node_records
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster import objects, pods, risks
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.budgets import ProtectedPods
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.gpu_pods import (
    Makers,
    owning_workload,
    read_gpu_pod,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import (
    ConfigSource,
    find_config_source,
    find_plugin_container,
    read_plugin,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import TERMINAL_PHASES, pod_requests
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import LabelUsers, controller_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.daemonsets import read_daemonset, title_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.kinds import kind_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.record import read_record

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class InventoryOptions:
    """What is to be looked at.

    :param prefix: of the resources that count.
    :param namespace: of the collection's own plugins.
    :param nodes: names of nodes whose pods are listed even if they have no GPU.
    """

    prefix: str = "nvidia.com/"
    namespace: str = "kubegpu-system"
    nodes: frozenset[str] = frozenset()


@dataclass
class _FoundPlugin:
    daemonset: Mapping[str, Any]
    container: Mapping[str, Any]
    source: ConfigSource
    pods: list[dict[str, Any]] = field(default_factory=list)


class Inventory:
    """Collects a cluster's state, object by object, and keeps of each only what the cluster file has.

    Order matters in one place: nodes and DaemonSets come before pods.
    """

    def __init__(self, options: InventoryOptions, now: datetime) -> None:
        self._options = options
        self._now = now
        self._nodes: dict[str, dict[str, Any]] = {}
        self._gpu_nodes: set[str] = set()
        self._plugins: dict[str, _FoundPlugin] = {}
        self._daemonsets: dict[str, dict[str, Any]] = {}
        self._seen_pods: set[str] = set()
        self._label_users = LabelUsers()
        self._protected = ProtectedPods()
        self._makers = Makers()
        self._config_texts: dict[str, Mapping[str, str]] = {}
        self._lists: dict[str, list[Any]] = {
            "pending": [],
            "failed": [],
            "quotas": [],
            "config_maps": [],
            "daemon_sets": [],
            "dra_nodes": [],
            "snapshots": [],
        }

    @property
    def node_names(self) -> set[str]:
        """Names of all nodes read so far."""
        return set(self._nodes)

    def add_nodes(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Node objects."""
        for node in items:
            name = node["metadata"]["name"]
            record = node_records.read_node(node, self._options.prefix)
            self._nodes[name] = record
            if name in self._options.nodes or record["gpu"]:
                self._gpu_nodes.add(name)

    def add_workloads(self, kind: str, items: Iterable[Mapping[str, Any]]) -> None:
        """Objects of one kind that make pods."""
        for obj in items:
            self._label_users.add_workload(kind, obj)
            self._makers.add(kind, obj)
            if kind == "DaemonSet":
                self._daemonsets[obj["metadata"]["uid"]] = {**read_daemonset(obj), "nodes": set()}
            if kind == "DaemonSet" and obj["metadata"].get("namespace") == self._options.namespace:
                self._lists["daemon_sets"].append(objects.read_daemon_set(obj))
            container = find_plugin_container(obj) if kind == "DaemonSet" else None
            if container is not None:
                source = find_config_source(obj, container)
                self._plugins[obj["metadata"]["uid"]] = _FoundPlugin(obj, container, source)

    def add_pods(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Pod objects. One that comes twice, as across the pages of an expired list, counts once."""
        for pod in items:
            uid = pod["metadata"].get("uid") or ""
            if uid not in self._seen_pods:
                self._seen_pods.add(uid)
                self._add_pod(pod)

    def add_quotas(self, items: Iterable[Mapping[str, Any]]) -> None:
        """ResourceQuota objects."""
        for quota in items:
            self._lists["quotas"].extend(objects.read_quotas(quota, self._options.prefix))

    def add_budgets(self, items: Iterable[Mapping[str, Any]]) -> None:
        """PodDisruptionBudget objects. Not called if they may not be listed."""
        self._protected.add_budgets(items)

    def add_config_maps(self, items: Iterable[Mapping[str, Any]]) -> None:
        """ConfigMaps of the plugins' namespace."""
        for config_map in items:
            self._lists["config_maps"].append(objects.read_config_map(config_map))
            self.add_config_text(config_map)

    def add_config_text(self, config_map: Mapping[str, Any]) -> None:
        """A ConfigMap that a plugin reads its config from."""
        metadata = config_map["metadata"]
        self._config_texts[f"{metadata.get('namespace')}/{metadata.get('name')}"] = config_map.get("data") or {}

    def add_snapshots(self, items: Iterable[Mapping[str, Any]]) -> None:
        """The ConfigMaps of all snapshots; their metadata is enough."""
        self._lists["snapshots"].extend(objects.list_snapshots(items))

    def add_resource_slices(self, items: Iterable[Mapping[str, Any]]) -> None:
        """ResourceSlice objects."""
        self._lists["dra_nodes"].extend(objects.dra_nodes(items))

    def missing_config_maps(self) -> list[str]:
        """ConfigMaps ("namespace/name") that plugins read and that were not added yet."""
        named = {found.source.config_map for found in self._plugins.values() if found.source.config_map}
        return sorted(named - set(self._config_texts))

    def to_dict(self) -> dict[str, Any]:
        """The cluster file's content, without the counts of requests."""
        self._complete_workloads()
        plugins = self._finish_plugins()
        daemonsets = self._finish_daemonsets()
        keys = {key for plugin in (*plugins, *daemonsets) for key in _selected_keys(plugin)}
        lists = {
            name: sorted(entries, key=str) if name == "dra_nodes" else entries for name, entries in self._lists.items()
        }
        return {
            "schema_version": SCHEMA_VERSION,
            "nodes": {name: self._nodes[name] for name in sorted(self._nodes)},
            "plugins": plugins,
            "daemonsets": daemonsets,
            "label_users": self._label_users.to_dict(keys, self._options.prefix),
            "totals": self._totals(),
            "budgets": self._protected.finish(),
            **lists,
        }

    def _add_pod(self, pod: Mapping[str, Any]) -> None:
        spec = pod.get("spec") or {}
        self._label_users.add_pod(pod)
        owner = controller_of(pod)
        if owner and owner["uid"] in self._plugins:
            self._plugins[owner["uid"]].pods.append(pods.read_plugin_pod(pod))
        if owner and owner["uid"] in self._daemonsets and spec.get("nodeName") in self._gpu_nodes:
            self._daemonsets[owner["uid"]]["nodes"].add(spec["nodeName"])
        requests = pod_requests(spec, self._options.prefix)
        record = self._nodes.get(spec.get("nodeName") or "")
        phase = (pod.get("status") or {}).get("phase")
        if requests:
            self._add_gpu_pod(pod, requests)
        if record is None:
            return
        if requests and phase not in TERMINAL_PHASES:
            node_records.count_requested(record, requests)
        if requests or spec["nodeName"] in self._gpu_nodes:
            entry = pods.read_pod(pod, requests)
            if requests:
                entry.update(read_gpu_pod(pod, self._options.prefix))
            record["pods"].append(entry)
            if requests and phase not in TERMINAL_PHASES:
                self._protected.add_pod(entry, pod["metadata"].get("labels") or {})

    def _add_gpu_pod(self, pod: Mapping[str, Any], requests: Mapping[str, int]) -> None:
        for name, entry in (
            ("pending", pods.read_pending(pod, requests, self._now)),
            ("failed", pods.read_failed(pod)),
        ):
            if entry is not None:
                self._lists[name].append({**entry, "workload": owning_workload(pod)})

    def _complete_workloads(self) -> None:
        """Jobs are read after their pods."""
        waiting = [*self._lists["pending"], *self._lists["failed"]]
        for pod in [*waiting, *(pod for record in self._nodes.values() for pod in record["pods"])]:
            self._makers.complete(pod)

    def _finish_plugins(self) -> list[dict[str, Any]]:
        plugins = []
        for found in self._plugins.values():
            texts = self._config_texts.get(found.source.config_map) or {}
            plugin = read_plugin(found.daemonset, found.container, texts.get(found.source.key))
            plugin["pods"] = sorted(found.pods, key=lambda pod: (pod["node"], pod["name"]))
            plugin["nodes"] = sorted({pod["node"] for pod in found.pods if pod["node"]})
            plugins.append(plugin)
        plugins.sort(key=lambda plugin: (plugin["namespace"], plugin["name"]))
        overlaps = risks.find_overlaps(plugins)
        for plugin in plugins:
            plugin["risks"] = risks.find_risks(plugin)
            if plugin["uid"] in overlaps:
                plugin["risks"].append(overlaps[plugin["uid"]])
        return plugins

    def _finish_daemonsets(self) -> list[dict[str, Any]]:
        """Those that have a pod on a GPU node or are paused on one, and those that would keep NVIDIA's driver open wherever they ran."""
        notes = [record["maintenance"] for record in self._nodes.values() if record["maintenance"]]
        records = [read_record(note["restore"]) for note in notes]
        paused = {title for record in records if record for title in record.daemonsets}
        listed = [
            {**entry, "nodes": sorted(entry["nodes"])}
            for entry in self._daemonsets.values()
            if entry["nodes"] or kind_of(entry) or title_of(entry) in paused
        ]
        return sorted(listed, key=lambda entry: (entry["namespace"], entry["name"]))

    def _totals(self) -> dict[str, dict[str, int]]:
        totals: dict[str, dict[str, int]] = {}
        for record in self._nodes.values():
            for name, entry in record["resources"].items():
                total = totals.setdefault(name, dict.fromkeys(entry, 0))
                for field_name, count in entry.items():
                    total[field_name] += count
        return {name: totals[name] for name in sorted(totals)}


def _selected_keys(plugin: Mapping[str, Any]) -> set[str]:
    """Node label keys that a plugin selects its nodes by."""
    keys = set(plugin["node_selector"])
    required = (plugin["node_affinity"] or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    for term in required.get("nodeSelectorTerms") or ():
        keys.update(expression.get("key") or "" for expression in term.get("matchExpressions") or ())
    return keys - {""}

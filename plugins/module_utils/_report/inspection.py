# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was found: GPU nodes, device plugins and their risks, slots, pods that wait. PRIVATE to the collection."""

from __future__ import annotations

from collections import Counter
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.label_facts import read_labels
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import (
    Cluster,
    count_slots,
    gpu_nodes,
    object_name,
    resource_rows,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Document,
    Row,
    Section,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.mig_view import describe_layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    NOTHING,
    UNKNOWN,
    describe_amounts,
    describe_count,
    describe_duration,
    describe_value,
    in_order,
    join_some,
)

Facts = Mapping[str, Mapping[str, Any]]

_OWNERS = {"helm": "Helm release", "addon": "add-on", "kubegpu": "kubegpu.sharing", "none": "nobody that it names"}


def inspect_cluster(cluster: Cluster, facts: Facts, limit: int) -> Document:
    """The inspection.

    :param cluster: the cluster file.
    :param facts: gpu_info's facts by node.
    :param limit: rows of a table at most.
    """
    nodes = gpu_nodes(cluster)
    pending = cluster.get("pending") or []
    free = sum(entry.get("free", 0) for _node, _resource, entry in resource_rows(cluster))
    subtitle = (
        f"{describe_count(len(cluster.get('nodes') or {}), 'node')}, {len(nodes)} with GPUs; "
        f"{describe_count(count_slots(cluster), 'GPU slot')}, {free} free; {describe_count(len(pending), 'GPU pod')} pending"
    )
    sections = [
        _nodes_section(cluster, facts, nodes, limit),
        _plugins_section(cluster, limit),
        *_risks_sections(cluster, limit),
        _slots_section(cluster, limit),
        _pending_section(cluster, limit),
        *_failed_section(cluster, limit),
        *_notes_section(cluster, nodes, limit),
    ]
    return Document("Inspection", subtitle, sections)


def _nodes_section(cluster: Cluster, facts: Facts, nodes: list[str], limit: int) -> Section:
    columns = [
        Column("Node"),
        Column("GPUs", wrap=True),
        Column("Architecture"),
        Column("Memory MiB", right=True),
        Column("CC", right=True),
        Column("Driver"),
        Column("MIG", wrap=True),
        Column("Source"),
    ]
    rows: list[Row] = []
    problems: list[str] = []
    for name in nodes:
        rows += _node_rows(name, cluster["nodes"][name], facts.get(name))
        problems += _node_problems(name, facts.get(name))
    text = "CC is the compute capability, MIG whether the card has it; labels are GPU Feature Discovery's, less sure than nvml."
    return Section("GPU nodes", text if rows else "", capped_table(columns, rows, limit), capped_items(problems, limit))


def _node_rows(name: str, node: Mapping[str, Any], facts: Mapping[str, Any] | None) -> Iterator[Row]:
    """A row for each model on the node."""
    if facts and facts.get("gpus"):
        models = Counter(_describe_gpu(gpu) for gpu in facts["gpus"])
        for (product, *rest, mig), count in models.items():
            yield (name, f"{count} × {product}", *rest, describe_value(facts.get("driver_version")), mig, "nvml")
        return
    labels = node.get("labels") or {}
    try:
        gpu, count = read_labels(labels)
    except ValueError:
        yield (name, UNKNOWN, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, "not known")
        return
    product, *rest, mig = _describe_gpu(gpu)
    yield (name, f"{count} × {product}", *rest, _driver_by_label(labels), mig, "labels")


def _describe_gpu(gpu: Mapping[str, Any]) -> tuple[str, ...]:
    mig = gpu.get("mig")
    if gpu.get("state", "ok") != "ok":
        return (f"{gpu.get('product') or UNKNOWN} ({gpu['state']})", NOTHING, NOTHING, NOTHING, NOTHING)
    return (
        str(gpu.get("product") or UNKNOWN),
        describe_value(gpu.get("architecture")),
        describe_value(gpu.get("memory_total_mib")),
        describe_value(gpu.get("compute_capability")),
        _describe_mig(mig),
    )


def _describe_mig(mig: Mapping[str, Any] | None) -> str:
    if mig is None:
        return NOTHING
    if not mig.get("capable"):
        return "no"
    if mig.get("mode") != "enabled":
        return f"yes, {mig['mode']}" if mig.get("mode") else "yes"
    if mig.get("instances") is None:
        return _describe_devices(mig.get("devices") or [])
    return describe_layout(mig)


def _describe_devices(devices: Sequence[Mapping[str, Any]]) -> str:
    """Without the right to see instances, only devices are known, and not their places."""
    counts = Counter(str(device.get("profile") or UNKNOWN) for device in devices)
    return ", ".join(f"{count} × {profile}" for profile, count in sorted(counts.items())) or "yes, enabled"


def _driver_by_label(labels: Mapping[str, str]) -> str:
    full = labels.get("nvidia.com/cuda.driver-version.full")
    if full:
        return full
    parts = [labels.get(f"nvidia.com/cuda.driver.{part}") for part in ("major", "minor", "rev")]
    return ".".join(part for part in parts if part) or NOTHING


def _node_problems(name: str, facts: Mapping[str, Any] | None) -> Iterator[str]:
    if not facts:
        return
    if not facts.get("nvml_available"):
        yield f"{name}: {facts.get('reason') or 'NVML is not available.'}"
    for gpu in facts.get("gpus") or []:
        if gpu.get("state", "ok") != "ok":
            yield f"{name}: {gpu.get('reason') or 'GPU {} does not answer.'.format(gpu.get('index'))}"


def _plugins_section(cluster: Cluster, limit: int) -> Section:
    plugins = cluster.get("plugins") or []
    columns = [
        Column("DaemonSet"),
        Column("Version"),
        Column("Owner", wrap=True),
        Column("Nodes", wrap=True),
    ]
    rows = [
        (
            object_name(plugin),
            describe_value(plugin.get("version")),
            describe_owner(plugin.get("owner") or {}),
            f"{len(plugin.get('nodes') or [])}: {join_some(in_order(plugin.get('nodes') or []))}"
            if plugin.get("nodes")
            else "none",
        )
        for plugin in plugins
    ]
    text = "" if rows else "No device plugin was found: nothing advertises GPUs."
    # Arguments and names of ConfigMaps are too long for a column.
    items = [_describe_settings(plugin) for plugin in plugins]
    return Section(
        "Device plugins", text, capped_table(columns, rows, limit) if rows else None, capped_items(items, limit)
    )


def _describe_settings(plugin: Mapping[str, Any]) -> str:
    arguments = " ".join(plugin.get("args") or [])
    return f"{object_name(plugin)}: {_describe_config(plugin)}; {f'arguments {arguments}' if arguments else 'no arguments'}"


def _risks_sections(cluster: Cluster, limit: int) -> Iterator[Section]:
    risky = [plugin for plugin in cluster.get("plugins") or [] if plugin.get("risks")]
    for plugin in risky[:limit]:
        items = [str(risk["message"]) for risk in plugin["risks"]]
        yield Section(f"What is risky about {object_name(plugin)}", items=capped_items(items, limit))


def describe_owner(owner: Mapping[str, Any]) -> str:
    """Who owns a DaemonSet."""
    kind = owner.get("kind") or "none"
    words = _OWNERS.get(kind, "")
    return " ".join(part for part in (words, str(owner.get("name") or "") if kind != "kubegpu" else "") if part) or kind


def _describe_config(plugin: Mapping[str, Any]) -> str:
    source = plugin.get("config_source") or "none"
    if source == "configmap":
        key = "by node label" if plugin.get("config_per_node") else plugin.get("config_key")
        return " ".join(str(part) for part in ("config from ConfigMap", plugin.get("config_map"), key) if part)
    return "config from a file on the node" if source == "file" else "no config file"


def _slots_section(cluster: Cluster, limit: int) -> Section:
    names = ("capacity", "allocatable", "requested", "free")
    columns = [Column("Node"), Column("Resource"), *(Column(name.capitalize(), right=True) for name in names)]
    entries = list(resource_rows(cluster))
    rows = [(node, resource, *(str(entry.get(name, 0)) for name in names)) for node, resource, entry in entries]
    total = ("Total", "", *(str(sum(entry.get(name, 0) for _n, _r, entry in entries)) for name in names))
    text = "" if rows else "No node advertises a GPU resource."
    return Section("Slots", text, capped_table(columns, rows, limit, total) if rows else None)


def _pending_section(cluster: Cluster, limit: int) -> Section:
    columns = [Column("Pod"), Column("Asks for"), Column("Pending for"), Column("Why", wrap=True)]
    pending = sorted(cluster.get("pending") or [], key=lambda pod: -(pod.get("seconds") or 0))
    rows = [
        (
            object_name(pod),
            describe_amounts(pod.get("requests") or {}),
            describe_duration(pod.get("seconds")),
            str(pod.get("message") or pod.get("reason") or UNKNOWN),
        )
        for pod in pending
    ]
    return Section("Pending GPU pods", "" if rows else "None.", capped_table(columns, rows, limit) if rows else None)


def _failed_section(cluster: Cluster, limit: int) -> Iterator[Section]:
    failed = cluster.get("failed") or []
    if failed:
        columns = [Column("Pod"), Column("Node"), Column("Reason"), Column("Message", wrap=True)]
        rows = [
            (
                object_name(pod),
                describe_value(pod.get("node")),
                describe_value(pod.get("reason")),
                describe_value(pod.get("message")),
            )
            for pod in failed
        ]
        text = "They stay so: nothing schedules them again. A controller has made others in their place; these can be deleted."
        yield Section("Pods that a node refused", text, capped_table(columns, rows, limit))


def _notes_section(cluster: Cluster, nodes: list[str], limit: int) -> Iterator[Section]:
    notes = [note for name in nodes for note in _node_notes(name, cluster["nodes"][name])]
    notes += [
        f"{name}: its GPUs are given out by DRA as well (ResourceSlices of gpu.nvidia.com)."
        for name in cluster.get("dra_nodes") or []
    ]
    notes += [
        f"Quota {object_name(quota)} allows {quota.get('hard')} of {quota.get('resource')}, {quota.get('used')} are used."
        for quota in cluster.get("quotas") or []
    ]
    if notes:
        yield Section("Worth knowing", items=capped_items(notes, limit))


def _node_notes(name: str, node: Mapping[str, Any]) -> Iterator[str]:
    if not node.get("ready", True):
        yield f"{name} is not Ready."
    if node.get("maintenance"):
        yield f"{name} is in maintenance of run {node['maintenance'].get('run')}: {describe_value(node['maintenance'].get('reason'))}."
    elif node.get("unschedulable"):
        yield f"{name} is cordoned, by somebody else."
    if node.get("hold"):
        yield f"{name} is on hold: {node['hold']}."

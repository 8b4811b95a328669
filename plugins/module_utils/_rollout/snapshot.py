# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the cluster was before a rollout, as ConfigMaps. PRIVATE to the collection.

An object in etcd may have about 1 MiB and a large fleet needs more, so that the state of nodes is spread over shards.
The main ConfigMap is written last: where it is, the snapshot is complete.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import SHARING, DaemonSetRelease, NodeTarget

SCHEMA_VERSION = 1
#: Size of a shard's data in bytes, well below the limit of an object.
SHARD_BYTES = 700_000
MAIN_KEY = "snapshot.json"
SHARD_KEY = "nodes.json"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that exists.

    :param name: of its main ConfigMap; "" for remains of one that was never completed.
    :param objects: names of all its ConfigMaps, the main one last.
    :param kind: of the plan that it was made for: ``sharing`` or ``rollback``.
    """

    run: str
    name: str
    plan_id: str
    created: str
    objects: tuple[str, ...]
    kind: str = SHARING


@dataclass(frozen=True)
class SnapshotHead:
    """What identifies a snapshot.

    :param namespace: of its ConfigMaps.
    :param kind: of the plan that it is made for.
    :param plugin_namespace: where that plan has the plugin's objects.
    """

    namespace: str
    run: str
    plan_id: str
    created: str
    kind: str = SHARING
    plugin_namespace: str = ""


def node_entry(node: NodeState, target: NodeTarget) -> dict[str, Any]:
    """What a rollback has to know of a node: only fields that the rollout changes, and what it advertised.

    ``target`` is what the plan makes of it. By that a run that goes on with an approved plan is known, see resume.py, and a
    rollback knows nodes that somebody has changed since. ``mig`` is a layout document. ``plugin`` is the DaemonSet of somebody else that the node leaves.
    """
    note = node.maintenance
    restore = note.restore if note else {}
    changed = [names.CONFIG_LABEL, names.REVISION_LABEL, *sorted(target.labels)]
    if target.release is not None and target.release.method == "label":
        changed += sorted(target.release.label)
    labels = {label: node.labels.get(label) for label in changed}
    if restore:
        # A run that died left the node between two states: its note says how the node was before.
        labels.update({names.CONFIG_LABEL: restore.get("key"), names.REVISION_LABEL: restore.get("revision")})
        labels.update(restore.get("labels") or {})
    # Of a node without a plugin, the plan cannot tell what it once advertised.
    noted = restore.get("resources") or {}
    advertised = {**node.allocatable, **noted}
    return {
        "labels": labels,
        "key": labels[names.CONFIG_LABEL],
        "revision": labels[names.REVISION_LABEL],
        "unschedulable": note.was_unschedulable if note else node.unschedulable,
        "resources": {name: advertised.get(name, 0) for name in sorted({*target.resources, *noted})},
        "mig": restore.get("mig") or (target.mig.before if target.mig else None),
        "plugin": target.release.daemonset if target.release else None,
        "target": {
            "key": target.key,
            "revision": target.revision,
            "labels": dict(target.labels),
            **({"mig": target.mig.after} if target.mig else {}),
            **({"runtime": target.runtime.to_dict()} if target.runtime else {}),
        },
    }


def foreign_entry(release: DaemonSetRelease, live: Mapping[str, Any]) -> dict[str, Any]:
    """A foreign DaemonSet: the parts that the rollout's patch touches, as they are before it, and that patch."""
    metadata = live.get("metadata") or {}
    spec = live.get("spec") or {}
    pod_spec = (spec.get("template") or {}).get("spec") or {}
    return {
        "daemonset": release.daemonset,
        "uid": metadata.get("uid"),
        "generation": metadata.get("generation"),
        "owner": release.owner,
        "method": release.method,
        "label": dict(release.label) or None,
        "patch": release.patch,
        "spec": {
            "updateStrategy": spec.get("updateStrategy"),
            "template": {"spec": {"affinity": pod_spec.get("affinity"), "nodeSelector": pod_spec.get("nodeSelector")}},
        },
    }


def object_entry(live: Mapping[str, Any]) -> dict[str, Any]:
    """An object of ours that nodes are served by before the rollout, fit to be created again."""
    metadata = live.get("metadata") or {}
    kept = {name: metadata[name] for name in ("name", "namespace", "labels", "annotations") if metadata.get(name)}
    body = {name: value for name, value in live.items() if name not in ("metadata", "status")}
    return {**body, "metadata": kept}


def build_snapshot(
    head: SnapshotHead,
    nodes: Mapping[str, Mapping[str, Any]],
    foreign: Sequence[Mapping[str, Any]],
    objects: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The ConfigMaps, shards first and the main one last."""
    shards = _shard(nodes)
    shard_names = [f"{main_name(head.run)}-{number}" for number in range(len(shards))]
    document = {
        "schema_version": SCHEMA_VERSION,
        "run": head.run,
        "plan_id": head.plan_id,
        "created": head.created,
        "kind": head.kind,
        "namespace": head.plugin_namespace,
        "nodes": len(nodes),
        "shards": shard_names,
        "foreign": list(foreign),
        "objects": list(objects),
    }
    maps = [_config_map(head, name, SHARD_KEY, text) for name, text in zip(shard_names, shards)]
    return [*maps, _config_map(head, main_name(head.run), MAIN_KEY, _dump(document))]


def main_name(run: str) -> str:
    """Name of a run's main ConfigMap."""
    return f"kubegpu-snapshot-{run}"


def read_snapshots(config_maps: Iterable[Mapping[str, Any]]) -> list[Snapshot]:
    """What there is, oldest first. Told by labels and annotations alone, whatever the ConfigMaps hold."""
    by_run: dict[str, list[Mapping[str, Any]]] = {}
    for config_map in config_maps:
        metadata = config_map.get("metadata") or {}
        labels = metadata.get("labels") or {}
        if labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY and labels.get(names.RUN_LABEL):
            by_run.setdefault(labels[names.RUN_LABEL], []).append(metadata)
    found = [_read_run(run, metadatas) for run, metadatas in by_run.items()]
    return sorted(found, key=lambda snapshot: (snapshot.created, snapshot.run))


def find_snapshot(snapshots: Sequence[Snapshot], plan_id: str) -> Snapshot | None:
    """The last complete snapshot of a plan: it shows the state before that plan's first write."""
    same = [snapshot for snapshot in snapshots if snapshot.name and snapshot.plan_id == plan_id]
    return same[-1] if same else None


def read_content(
    config_maps: Iterable[Mapping[str, Any]], snapshot: Snapshot
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What a complete snapshot says: its main document, and the entries of its nodes by name.

    :raises KeyError, TypeError, ValueError, AttributeError: a part of it is missing or is not what we write.
    """
    data = {config_map["metadata"]["name"]: config_map.get("data") or {} for config_map in config_maps}
    document = json.loads(data[snapshot.name][MAIN_KEY])
    if document["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {document['schema_version']!r}, this version reads {SCHEMA_VERSION}")
    nodes = [item for shard in document["shards"] for item in json.loads(data[shard][SHARD_KEY]).items()]
    return document, dict(nodes)


def plan_retention(snapshots: Sequence[Snapshot], keep: int, current: str, wanted: str | None = None) -> list[Snapshot]:
    """Snapshots to delete: all but the last ``keep`` complete ones. The one named ``current`` is never among them.

    :param wanted: name of a snapshot that must stay besides: the one that a rollback goes back to, for it may be interrupted.
    """
    complete = [snapshot for snapshot in snapshots if snapshot.name and snapshot.name != current]
    remains = [snapshot for snapshot in snapshots if not snapshot.name and main_name(snapshot.run) != current]
    surplus = complete[: max(0, len(complete) - (keep - 1))]
    return [*remains, *(snapshot for snapshot in surplus if snapshot.name != wanted)]


def _read_run(run: str, metadatas: Sequence[Mapping[str, Any]]) -> Snapshot:
    main = next((metadata for metadata in metadatas if metadata["name"] == main_name(run)), None)
    annotations = ((main or metadatas[0]).get("annotations")) or {}
    shards = sorted(metadata["name"] for metadata in metadatas if metadata is not main)
    return Snapshot(
        run=run,
        name=main["name"] if main else "",
        plan_id=annotations.get(names.PLAN_ID_ANNOTATION, ""),
        created=annotations.get(names.CREATED_ANNOTATION, "")
        or str((main or metadatas[0]).get("creationTimestamp", "")),
        objects=(*shards, *([main["name"]] if main else [])),
        kind=annotations.get(names.KIND_ANNOTATION, SHARING),
    )


def _shard(nodes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    shards: list[str] = []
    entries: list[str] = []
    size = 2
    for name in sorted(nodes):
        entry = f"{json.dumps(name)}:{_dump(nodes[name])}"
        length = len(entry.encode()) + 1
        if entries and size + length > SHARD_BYTES:
            shards.append("{" + ",".join(entries) + "}")
            entries, size = [], 2
        entries.append(entry)
        size += length
    return [*shards, "{" + ",".join(entries) + "}"] if entries else shards


def _config_map(head: SnapshotHead, name: str, key: str, text: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": head.namespace,
            "labels": {
                names.MANAGED_BY_LABEL: names.MANAGED_BY,
                names.SNAPSHOT_LABEL: "true",
                names.RUN_LABEL: head.run,
            },
            "annotations": {
                names.PLAN_ID_ANNOTATION: head.plan_id,
                names.CREATED_ANNOTATION: head.created,
                names.KIND_ANNOTATION: head.kind,
            },
        },
        "immutable": True,
        "data": {key: text},
    }


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))

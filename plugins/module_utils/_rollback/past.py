# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which snapshot a rollback goes back to, and what it says. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import ROLLBACK
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.snapshot import (
    Snapshot,
    read_content,
    read_snapshots,
)

DEFAULT_NAMESPACE = "kubegpu-system"
#: The API server's own notes on an object, which it writes anew.
_SERVERS_ANNOTATION = "deprecated.daemonset.template.generation"


@dataclass(frozen=True)
class Past:
    """How the cluster was before a run.

    :param nodes: entries by node, see snapshot.node_entry.
    :param foreign: DaemonSets of others before that run changed them, see snapshot.foreign_entry.
    :param objects: ours that served nodes then, by revision.
    :param namespace: where the run's plan had the plugin's objects.
    """

    snapshot: Snapshot
    nodes: Mapping[str, Mapping[str, Any]]
    foreign: Sequence[Mapping[str, Any]] = ()
    objects: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    namespace: str = DEFAULT_NAMESPACE

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.snapshot.run


def read_past(config_maps: Sequence[Mapping[str, Any]], run: str) -> Past:
    """The snapshot of a run, or, with an empty name, of the last rollout.

    Snapshots that rollbacks made are taken by name alone. Else a rollback that was interrupted, started again, would turn
    round and go forward.

    :param config_maps: all snapshots, whole.
    :raises InputError: there is no such snapshot, or it cannot be read.
    """
    complete = [snapshot for snapshot in read_snapshots(config_maps) if snapshot.name]
    snapshot = _choose(complete, run)
    try:
        document, nodes = read_content(config_maps, snapshot)
        return Past(
            snapshot=snapshot,
            nodes={name: _checked(entry) for name, entry in nodes.items()},
            foreign=[dict(entry) for entry in document.get("foreign") or ()],
            objects=_by_revision(document.get("objects") or ()),
            namespace=document.get("namespace") or _namespace_of(document.get("objects") or ()),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = (
            f"it cannot be read ({type(error).__name__}: {error}): a part of it is missing, was edited, or was written by another "
            f"version. Go back to another run: {_list(complete, snapshot)}."
        )
        raise InputError(f"snapshot {snapshot.name}", [problem]) from error


def _choose(complete: Sequence[Snapshot], run: str) -> Snapshot:
    if run:
        named = [snapshot for snapshot in complete if snapshot.run == run]
        if not named:
            problem = f"no complete snapshot of run {run!r} exists. There are {_list(complete)}. Name one of them."
            raise InputError("snapshot_run", [problem])
        return named[-1]
    rollouts = [snapshot for snapshot in complete if snapshot.kind != ROLLBACK]
    if not rollouts:
        problem = (
            f"no rollout has left a complete snapshot, so there is nothing to go back to. There are {_list(complete)}. "
            "Snapshots are ConfigMaps kubegpu-snapshot-<run> in the namespace of the lock (lock_namespace); the last five are kept."
        )
        raise InputError("snapshot_run", [problem])
    return rollouts[-1]


def _list(snapshots: Sequence[Snapshot], but: Snapshot | None = None) -> str:
    others = [snapshot for snapshot in snapshots if snapshot is not but]
    told = ", ".join(
        f"{snapshot.run} ({'rollback, ' if snapshot.kind == ROLLBACK else ''}{snapshot.created or 'unknown time'})"
        for snapshot in others
    )
    return f"snapshots of the runs {told}" if told else "no other snapshots" if but else "no snapshots"


def _checked(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """An entry with everything that a decision needs.

    :raises KeyError, TypeError, ValueError: it lacks something.
    """
    resources = {str(name): int(count) for name, count in entry["resources"].items()}
    target = entry.get("target")
    return {
        **entry,
        "labels": dict(entry["labels"]),
        "resources": {name: resources[name] for name in sorted(resources) if resources[name]},
        "target": {"key": target["key"], "revision": target["revision"], "mig": target.get("mig")} if target else None,
    }


def _by_revision(objects: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for manifest in objects:
        metadata = {**manifest["metadata"]}
        annotations = {
            name: value
            for name, value in (metadata.pop("annotations", None) or {}).items()
            if name != _SERVERS_ANNOTATION
        }
        if annotations:
            metadata["annotations"] = annotations
        revision = metadata["labels"][names.REVISION_LABEL]
        found.setdefault(revision, []).append({**manifest, "metadata": metadata})
    return found


def _namespace_of(objects: Sequence[Mapping[str, Any]]) -> str:
    """Snapshots of older versions do not name it."""
    return str(objects[0]["metadata"]["namespace"]) if objects else DEFAULT_NAMESPACE

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan, as far as the steps of a rollout obey it. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.mig import MigStep, read_step
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.runtime import RuntimeStep, read_runtime_step

SCHEMA_VERSION = 1
BACKENDS = ("daemonset_per_key",)
#: What a plan is for: another way of sharing, back to a snapshot, or nothing but maintenance.
SHARING, ROLLBACK, AS_IS = "sharing", "rollback", "as_is"


@dataclass(frozen=True)
class Release:
    """How the plugin of somebody else is taken off a node.

    :param method: ``label`` (a label that its DaemonSet selects on is removed) or ``affinity`` (the DaemonSet was told
        to stay away from nodes with our revision label).
    :param daemonset: "namespace/name".
    """

    method: str
    daemonset: str
    label: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DaemonSetRelease:
    """A release as it concerns the DaemonSet: what it was when the plan was made, and the patch for method ``affinity``."""

    daemonset: str
    method: str
    uid: str
    generation: int
    owner: str = ""
    label: Mapping[str, str] = field(default_factory=dict)
    patch: Mapping[str, Any] | None = None
    nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class EvictionWish:
    """Which pods are to leave a node while it is in maintenance.

    :param scope: none, affected, gpu_pods or all.
    :param devices: with ``affected``, ids of the devices whose pods go; ``GPU-<uuid>`` also means its slots.
    :param fit: with ``affected``, slots by resource into which the pods that stay must fit; None: that does not matter.
    """

    scope: str = "none"
    devices: tuple[str, ...] = ()
    fit: Mapping[str, int] | None = None


@dataclass(frozen=True)
class NodeTarget:
    """What a node is to become.

    :param key: the configuration key that it is to bear; None for none.
    :param revision: our revision that is to serve it; None if none of ours is.
    :param expected: GPU resources by name that it is to advertise.
    :param previous: GPU resources that it advertised, or was to, before: those not expected must end at 0.
    :param changed: it was otherwise when the plan was made.
    :param evict: pods that are to leave it during its maintenance.
    :param stale: UIDs of pods that hold devices which it will not have any more, as far as the plan knew.
    :param recreate: stale pods are to be recreated once it serves.
    :param labels: labels that it is to bear at the end besides, by which ``plugin`` selects it.
    :param plugin: "namespace/name" of somebody else's DaemonSet that is to serve it. "" if that is our revision, or
        nobody where there is no revision either.
    :param ids_change: devices that running pods hold may be there no more afterwards.
    :param as_is: it is taken out of service for its own sake, and is to come back as it is.
    :param mig: what its host does about MIG; None if that is left alone.
    :param runtime: what its host does about its container runtime; None if there is nothing to do.
    """

    name: str
    key: str | None
    revision: str | None
    expected: Mapping[str, int]
    previous: tuple[str, ...] = ()
    release: Release | None = None
    changed: bool = True
    evict: EvictionWish = EvictionWish()
    stale: tuple[str, ...] = ()
    recreate: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    plugin: str = ""
    ids_change: bool = False
    as_is: bool = False
    mig: MigStep | None = None
    runtime: RuntimeStep | None = None

    @property
    def title(self) -> str:
        """What is to serve it, in words: "l20 revision 0a1b2c3d4e"."""
        if self.as_is:
            return "as before"
        if self.revision is not None:
            return f"{self.key} revision {self.revision}"
        return f"DaemonSet {self.plugin}" if self.plugin else "no device plugin"

    @property
    def changes_layout(self) -> bool:
        """MIG instances of it come or go, so no plugin may serve it meanwhile, though it may bear its target already."""
        return self.mig is not None and self.mig.changes

    @property
    def changes_host(self) -> bool:
        """Something is to be done on its host while it is out of service, though it may bear its target already."""
        return self.changes_layout or self.runtime is not None

    @property
    def foreign(self) -> frozenset[str]:
        """Plugins of others, "namespace/name", that may be on it: the one that it leaves, and the one that it goes back to."""
        return frozenset(filter(None, (self.release.daemonset if self.release else "", self.plugin)))

    @property
    def resources(self) -> tuple[str, ...]:
        """All resources that matter for it."""
        return tuple(sorted({*self.expected, *self.previous}))

    def wanted(self) -> dict[str, int]:
        """What allocatable must be at the end, for each resource that matters."""
        return {resource: self.expected.get(resource, 0) for resource in self.resources}


@dataclass(frozen=True)
class RolloutPlan:
    """A plan that was accepted.

    :param objects: manifests to be present, in order of creation.
    :param kind: ``sharing``, or ``rollback`` to what a snapshot says.
    :param stale_pods: ``report`` or ``recreate``.
    :param snapshot: ``run`` and ``name`` of the snapshot that a rollback goes back to.
    :param reverts: foreign DaemonSets that a rollback gives back what was changed of them.
    :param observed: nodes as they were when the plan was made, if it is made in the very call that obeys it.
    """

    plan_id: str
    namespace: str
    nodes: Mapping[str, NodeTarget]
    releases: tuple[DaemonSetRelease, ...] = ()
    objects: tuple[Mapping[str, Any], ...] = ()
    kind: str = SHARING
    stale_pods: str = "report"
    snapshot: Mapping[str, str] | None = None
    reverts: tuple[Mapping[str, Any], ...] = ()
    observed: Mapping[str, NodeState] = field(default_factory=dict)

    @classmethod
    def as_is(
        cls, namespace: str, nodes: Mapping[str, NodeState | None], evict: EvictionWish | None = None
    ) -> RolloutPlan:
        """The plan that changes nothing: nodes are taken out of service and come back as they were.

        :param nodes: by name, None for one that does not exist.
        """
        targets = {name: _as_is(name, node, evict or EvictionWish()) for name, node in nodes.items()}
        observed = {name: node for name, node in nodes.items() if node is not None}
        return cls(plan_id="", namespace=namespace, nodes=targets, kind=AS_IS, observed=observed)

    def select(self, wanted: Sequence[str]) -> list[NodeTarget]:
        """The targets of these nodes, in the order given, each once.

        :raises InputError: nodes that the plan does not have.
        """
        unknown = [name for name in wanted if name not in self.nodes]
        if unknown:
            raise InputError(
                "nodes",
                [
                    f"node {name!r} is not in plan {self.plan_id}, which has {_some(self.nodes)}. "
                    "Name nodes of this plan, or make a new plan."
                    for name in unknown
                ],
            )
        return [self.nodes[name] for name in dict.fromkeys(wanted)]

    def releases_of(self, targets: Sequence[NodeTarget]) -> list[DaemonSetRelease]:
        """The foreign DaemonSets that these nodes are to leave."""
        concerned = {target.release.daemonset for target in targets if target.release}
        return [release for release in self.releases if release.daemonset in concerned]

    def foreign_of(self, targets: Sequence[NodeTarget]) -> list[str]:
        """DaemonSets of others, "namespace/name", whose pods matter on these nodes."""
        known = [release.daemonset for release in self.releases_of(targets)]
        return list(dict.fromkeys([*known, *(target.plugin for target in targets if target.plugin)]))

    @property
    def revisions(self) -> set[str]:
        """Revisions of ours that nodes are to serve."""
        return {target.revision for target in self.nodes.values() if target.revision is not None}


def read_plan(document: object, source: str) -> RolloutPlan:
    """Accept a plan.

    :param document: the decoded plan file.
    :param source: where it comes from, for messages.
    :raises InputError: it is none, of another schema, refused, or for a backend that these modules do not know.
    """
    if not isinstance(document, Mapping):
        raise InputError(f"plan {source}", ["this is no plan. Give the file that the plan was written to (plan_path)."])
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        problem = (
            f"schema_version is {version!r}, this version of the collection reads {SCHEMA_VERSION}. Make a new plan."
        )
        raise InputError(f"plan {source}", [problem])
    refused = list(document.get("problems") or [])
    if refused:
        raise InputError(f"plan {source} was refused", [_text(problem) for problem in refused])
    try:
        return _accept(document, source)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"it is incomplete ({type(error).__name__}: {error}). Make a new plan, do not edit it."
        raise InputError(f"plan {source}", [problem]) from error


def _accept(document: Mapping[str, Any], source: str) -> RolloutPlan:
    plugin = document.get("plugin") or {}
    backend = plugin.get("backend", BACKENDS[0])
    if backend not in BACKENDS:
        problem = f"backend {backend!r} cannot be rolled out yet; use one of {', '.join(BACKENDS)} and make a new plan."
        raise InputError(f"plan {source}", [problem])
    kind = str(document.get("kind") or SHARING)
    entries = document.get("nodes") or {}
    nodes = {name: _read_node(name, entry) for name, entry in entries.items() if _takes_part(entry, kind)}
    used = {target.key for target in nodes.values() if target.revision is not None}
    configs = document.get("configs") or {}
    objects = [manifest for key in sorted(configs) if key in used for manifest in configs[key].get("objects") or []]
    return RolloutPlan(
        plan_id=str(document["plan_id"]),
        namespace=str(plugin.get("namespace") or "kubegpu-system"),
        nodes=nodes,
        releases=tuple(_read_daemonset_release(release) for release in document.get("releases") or []),
        objects=tuple(sorted(objects, key=lambda manifest: manifest["kind"] != "ConfigMap")),
        kind=kind,
        stale_pods=str(document.get("stale_pods") or "report"),
        snapshot=document.get("snapshot"),
        reverts=tuple(document.get("reverts") or ()),
    )


def _takes_part(entry: Mapping[str, Any], kind: str) -> bool:
    """Nodes that the plan only lists have no revision to serve, unless they go back to a time before any."""
    to = entry.get("to") or {}
    return bool(to.get("revision")) or (kind == ROLLBACK and "key" in to)


def _read_node(name: str, entry: Mapping[str, Any]) -> NodeTarget:
    to = entry["to"]
    before = {**((entry.get("from") or {}).get("resources") or {}), **(entry.get("resources_before") or {})}
    release = entry.get("release")
    return NodeTarget(
        name=name,
        key=_text_or_none(to["key"]),
        revision=_text_or_none(to["revision"]),
        expected={resource: int(count) for resource, count in entry["expected_resources"].items()},
        previous=tuple(sorted(before)),
        release=Release(
            method=release["method"], daemonset=release["daemonset"], label=dict(release.get("label") or {})
        )
        if release
        else None,
        changed=entry.get("changed", True) is not False,
        evict=_read_eviction(entry.get("evict") or {}),
        stale=tuple(str(pod["uid"]) for pod in entry.get("stale_pods") or []),
        recreate=entry.get("recreate") is True,
        labels={label: str(value) for label, value in (to.get("labels") or {}).items() if value is not None},
        plugin=str(to.get("plugin") or ""),
        ids_change=entry.get("ids_change") is True,
        mig=read_step(entry.get("mig")),
        runtime=read_runtime_step(entry.get("runtime")),
    )


def _as_is(name: str, node: NodeState | None, evict: EvictionWish) -> NodeTarget:
    """What the note of its maintenance says of the node; without one, what it is now."""
    if node is None:
        return NodeTarget(name, None, None, {}, evict=evict, as_is=True)
    note = node.maintenance
    if note is None:
        return NodeTarget(name, node.key, node.revision, dict(node.allocatable), evict=evict, as_is=True)
    restore = note.restore
    return NodeTarget(
        name,
        key=restore.get("key"),
        revision=restore.get("revision"),
        expected={resource: int(count) for resource, count in (restore.get("resources") or {}).items()},
        labels={label: value for label, value in (restore.get("labels") or {}).items() if value is not None},
        evict=evict,
        as_is=True,
    )


def _text_or_none(value: Any) -> str | None:
    return None if value is None else str(value)


def _read_eviction(entry: Mapping[str, Any]) -> EvictionWish:
    fit = entry.get("fit")
    return EvictionWish(
        scope=str(entry.get("scope") or "none"),
        devices=tuple(str(device) for device in entry.get("devices") or ()),
        fit=None if fit is None else {resource: int(slots) for resource, slots in fit.items()},
    )


def _read_daemonset_release(entry: Mapping[str, Any]) -> DaemonSetRelease:
    owner = entry.get("owner") or ""
    return DaemonSetRelease(
        daemonset=entry["daemonset"],
        method=entry["method"],
        uid=str(entry.get("uid") or ""),
        generation=int(entry.get("generation") or 0),
        owner=_owner_text(owner),
        label=dict(entry.get("label") or {}),
        patch=entry.get("patch"),
        nodes=tuple(entry.get("nodes") or ()),
    )


def _owner_text(owner: Any) -> str:
    if isinstance(owner, Mapping):
        return " ".join(str(part) for part in (owner.get("kind"), owner.get("name")) if part and part != "none")
    return str(owner)


def _text(problem: Any) -> str:
    if isinstance(problem, Mapping):
        return str(problem.get("message") or problem)
    return str(problem)


def _some(names: Mapping[str, Any], limit: int = 5) -> str:
    listed = ", ".join(list(names)[:limit])
    return (listed + (f" and {len(names) - limit} more" if len(names) > limit else "")) or "no nodes"

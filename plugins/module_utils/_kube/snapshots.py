# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing and keeping snapshots. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import Nodes
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.objects import Objects
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import read_daemonsets
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import snapshot as rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.objects import title_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.resume import Resume, judge_resume
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.snapshot import Snapshot, SnapshotHead
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import format_time

_PARALLEL = 10
_SELECTOR = f"{names.SNAPSHOT_LABEL}=true,{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"


def keep_snapshot(session: Session, plan: RolloutPlan) -> Outcome:
    """Record how the plan's nodes are now, unless this run has done so, or the one that it goes on with."""
    objects = Objects(session)
    namespace = session.params["lock_namespace"]
    plan_id = session.params["plan_id"] or plan.plan_id
    found = objects.find("ConfigMap", namespace, _SELECTOR)
    snapshots = rules.read_snapshots(found)
    kept = _find(snapshots, session.run, plan_id if plan_id != plan.plan_id else None)
    head = SnapshotHead(namespace, session.run, plan_id, _now(session), plan.kind, plan.namespace)
    manifests = [] if kept else _build(session, plan, objects, head)
    name = kept.name if kept else rules.main_name(session.run)
    wanted = (plan.snapshot or {}).get("name")
    old = rules.plan_retention(snapshots, session.params["keep"], name, wanted) if manifests else []
    doomed = [obj for snapshot in old for obj in found if obj["metadata"]["name"] in snapshot.objects]
    if not session.check_mode:
        for change in objects.bring(manifests):
            objects.write(change)
        for obj in doomed:
            objects.delete(obj)
    return Outcome(
        actions=(*(f"create {title_of(obj)}" for obj in manifests), *(f"delete {title_of(obj)}" for obj in doomed)),
        before={"snapshots": [snapshot.name for snapshot in old]} if manifests else {},
        after={"snapshots": [name]} if manifests else {},
        facts={
            "snapshot": name,
            "snapshot_run": kept.run if kept else session.run,
            "plan_id": plan_id,
            "requests": session.counts(),
        },
    )


def read_all(api: KubeApi, namespace: str) -> list[dict[str, Any]]:
    """The ConfigMaps of all snapshots, whole."""
    pages = api.pages(api_path("configmaps", namespace), labelSelector=_SELECTOR)
    return [obj for page in pages for obj in page.items]


def find_resume(api: KubeApi, namespace: str, plan_id: str, plan: RolloutPlan) -> Resume:
    """Whether a plan goes on with a rollout of another id that was approved and begun."""
    return judge_resume(read_all(api, namespace), plan_id, plan)


def _now(session: Session) -> str:
    return format_time(session.clock.now())


def _find(snapshots: Sequence[Snapshot], run: str, begun: str | None) -> Snapshot | None:
    """The snapshot of this run, or else of the rollout of which it does the rest.

    :param begun: id under which that rollout was begun, None for a run that starts its plan. The same plan may have been carried
        out before and taken back since: its snapshot is that of the other run, and may be older than others.
    """
    own = [snapshot for snapshot in snapshots if snapshot.name and snapshot.run == run]
    if own:
        return own[0]
    return rules.find_snapshot(snapshots, begun) if begun is not None else None


def _build(session: Session, plan: RolloutPlan, objects: Objects, head: SnapshotHead) -> list[dict[str, Any]]:
    targets = list(plan.nodes.values())
    nodes = Nodes(session.api, session.fence, session.clock, _PARALLEL).read([target.name for target in targets])
    entries = {target.name: rules.node_entry(nodes[target.name], target) for target in targets if target.name in nodes}
    live = read_daemonsets(session.api, plan, targets)
    foreign = [
        rules.foreign_entry(release, daemonset)
        for release in plan.releases
        if (daemonset := live.get(release.daemonset))
    ]
    revisions = {entry["revision"] for entry in entries.values()}
    return rules.build_snapshot(head, entries, foreign, _serving_objects(objects, plan, targets, revisions))


def _serving_objects(
    objects: Objects, plan: RolloutPlan, targets: Sequence[NodeTarget], revisions: set[Any]
) -> list[dict[str, Any]]:
    """Objects of ours that serve the nodes now: they may be pruned before somebody wants to go back to them."""
    if not revisions - {None} or not targets:
        return []
    selector = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.REVISION_LABEL}"
    found = [obj for kind in ("ConfigMap", "DaemonSet") for obj in objects.find(kind, plan.namespace, selector)]
    return [rules.object_entry(obj) for obj in found if obj["metadata"]["labels"][names.REVISION_LABEL] in revisions]

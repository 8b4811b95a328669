# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects of a plan in the cluster, and the removal of those that no node needs any more. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.namespaces import ensure_namespace, namespace_action
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import NODES_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.objects import Objects, show
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import read_daemonsets
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import objects as rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState, observe_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.objects import (
    ObjectChange,
    plan_release,
    title_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import DaemonSetRelease, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.prune import borne_revisions, plan_prune


def publish(session: Session, plan: RolloutPlan) -> Outcome:
    """Make the plan's objects, and tell foreign DaemonSets to let go of nodes. Every refusal comes before the first write."""
    objects = Objects(session)
    own = objects.bring(plan.objects)
    live = read_daemonsets(session.api, plan, list(plan.nodes.values()))
    releases = plan.releases_of(list(plan.nodes.values()))
    foreign = [(release, plan_release(release, live[release.daemonset])) for release in releases]
    problems = [
        change.problem for change in [*own, *(change for _release, change in foreign if change)] if change.problem
    ]
    if problems:
        raise InputError(f"device plugin of plan {plan.plan_id}", problems)
    lines = _missing_namespace(session, plan)
    todo = [change for change in own if change.kind != rules.NOTHING]
    released = [(release, change) for release, change in foreign if change and change.kind != rules.NOTHING]
    if not session.check_mode:
        _write(session, plan, objects, todo, released, bool(lines))
    changes = [*todo, *(change for _release, change in released)]
    return Outcome(
        actions=(
            *lines,
            *(change.action for change in todo),
            *(_release_action(one, change) for one, change in released),
        ),
        before={"objects": show(changes, "before")} if changes else {},
        after={"objects": show(changes, "after")} if changes else {},
        facts={
            "objects": [change.title for change in own],
            "drift": [change.title for change in todo if change.kind != rules.CREATE],
            "requests": session.counts(),
        },
    )


def prune(session: Session, plan: RolloutPlan) -> Outcome:
    """Delete what the collection made for revisions that no node bears and the plan does not want."""
    objects = Objects(session)
    selector = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY},{names.REVISION_LABEL}"
    found = [obj for kind in ("DaemonSet", "ConfigMap") for obj in objects.find(kind, plan.namespace, selector)]
    surplus = plan_prune(found, plan.revisions)
    if surplus:  # else there is no need to know what nodes bear, which is much to read in a large fleet
        surplus = plan_prune(surplus, borne_revisions(_staying(session, plan)))
    if not session.check_mode:
        for obj in surplus:
            objects.delete(obj)
    titles = [title_of(obj) for obj in surplus]
    return Outcome(
        actions=tuple(f"delete {title}" for title in titles),
        before={"objects": titles} if titles else {},
        after={"objects": []} if titles else {},
        facts={"objects": [title_of(obj) for obj in found if obj not in surplus], "requests": session.counts()},
    )


def _staying(session: Session, plan: RolloutPlan) -> list[NodeState]:
    """Nodes that bear a revision. In check mode those that the plan changes have not moved yet; then they will have."""
    pages = session.api.pages(NODES_PATH, labelSelector=names.REVISION_LABEL)
    nodes = [observe_node(obj) for page in pages for obj in page.items]
    moving = {target.name for target in plan.nodes.values() if session.check_mode and target.changed}
    return [node for node in nodes if node.name not in moving]


def _missing_namespace(session: Session, plan: RolloutPlan) -> list[str]:
    """The lock is there before this step is done for real, and with it its namespace."""
    if plan.namespace == session.params["lock_namespace"]:
        return []
    return namespace_action(session.api, plan.namespace)


def _write(
    session: Session,
    plan: RolloutPlan,
    objects: Objects,
    own: list[ObjectChange],
    released: list[tuple[DaemonSetRelease, ObjectChange]],
    namespace_missing: bool,
) -> None:
    if namespace_missing:
        session.fence.check()
        ensure_namespace(session.api, session.clock, plan.namespace)
    for change in own:
        objects.write(change)
    for release, change in released:
        objects.write(change, _replan(release))


def _replan(release: DaemonSetRelease) -> Any:
    return lambda live: plan_release(release, live)


def _release_action(release: DaemonSetRelease, change: ObjectChange) -> str:
    return f"patch {change.title}: stays away from nodes with the label {names.REVISION_LABEL}" + (
        f" (owner: {release.owner})" if release.owner else ""
    )

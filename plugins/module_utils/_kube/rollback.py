# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Planning the way back, and giving DaemonSets of others back what a rollout changed of them. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import NODES_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import DAEMONSET_API
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import TRIES, passes, pause
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.snapshots import read_all
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.past import Past, read_past
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.reverts import (
    Decision,
    Revert,
    decide_revert,
    read_reverts,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.names import REVISION_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import RolloutPlan

#: Seconds until the controller has surely counted which pods are of a template that was just written.
_COUNTING_SECONDS = 10.0
_LOOK_SECONDS = 0.2

Labels = Mapping[str, Mapping[str, str]]


def load_past(api: KubeApi, namespace: str, run: str) -> tuple[Past, dict[str, dict[str, Any] | None]]:
    """What a snapshot says, and the DaemonSets of others that its run changed, as they are now.

    :param run: "" for the last rollout.
    :raises InputError: there is no such snapshot, or it cannot be read.
    """
    past = read_past(read_all(api, namespace), run)
    return past, {revert.daemonset: _read(api, revert) for revert in read_reverts(past.foreign)}


@dataclass
class _Done:
    """What was written, or in check mode would be."""

    actions: list[str] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def revert_daemonsets(session: Session, plan: RolloutPlan) -> Outcome:
    """Give DaemonSets of others back those fields that still hold what a rollout set, where nothing needs it any more."""
    reverts = [Revert.from_dict(entry) for entry in plan.reverts]
    bearers = _bearers(session, plan) if reverts else {}
    done = _Done()
    for revert in reverts:
        _revert(session, revert, bearers, done)
    return Outcome(
        actions=tuple(done.actions),
        before={"objects": done.before} if done.before else {},
        after={"objects": done.after} if done.after else {},
        facts={"left": done.left, "requests": session.counts()},
    )


def _bearers(session: Session, plan: RolloutPlan) -> Labels:
    """Labels of the nodes that bear our revision label. In check mode the plan's nodes have not moved; then they will have."""
    pages = session.api.pages(NODES_PATH, labelSelector=REVISION_LABEL)
    metadatas = [obj["metadata"] for page in pages for obj in page.items]
    gone = {
        name for name, target in plan.nodes.items() if session.check_mode and target.changed and target.revision is None
    }
    return {entry["name"]: entry.get("labels") or {} for entry in metadatas if entry["name"] not in gone}


def _revert(session: Session, revert: Revert, bearers: Labels, done: _Done) -> None:
    """Affinity, then strategy: each is decided from what is there then."""
    written: set[str] = set()
    for attempt in range(TRIES):
        live = _counted(session, revert, bool(written))
        decision = decide_revert(revert, live, bearers)
        if live is None or decision.patch is None or decision.what in written:
            done.left += decision.left
            return
        try:
            _write(session, revert, live, decision)
        except ApiError as error:
            if not passes(error):
                raise
            pause(session.clock, attempt, error)
            continue
        written.add(decision.what)
        _record(revert, decision, done)
        if session.check_mode:
            return  # What follows depends on what the controller makes of it.
    raise KubeGpuError(
        f"Cannot give DaemonSet {revert.daemonset} back what the rollout changed of it: somebody else writes it all the time. Find out "
        "who, then run the rollback again."
    )


def _counted(session: Session, revert: Revert, wait: bool) -> dict[str, Any] | None:
    """The DaemonSet.

    :param wait: its template was just written: until its controller has seen that, its status is about the one before.
    """
    deadline = session.clock.monotonic() + (_COUNTING_SECONDS if wait else 0)
    while True:
        live = _read(session.api, revert)
        seen = ((live or {}).get("status") or {}).get("observedGeneration") or 0
        if live is None or seen >= live["metadata"]["generation"] or session.clock.monotonic() >= deadline:
            return live
        session.fence.check()
        session.clock.sleep(_LOOK_SECONDS)


def _write(session: Session, revert: Revert, live: Mapping[str, Any], decision: Decision) -> None:
    if session.check_mode or decision.patch is None:
        return
    session.fence.check()
    version = live["metadata"]["resourceVersion"]
    session.api.patch(_path(revert), {**decision.patch, "metadata": {"resourceVersion": version}})


def _record(revert: Revert, decision: Decision, done: _Done) -> None:
    words = {"affinity": "take back the affinity", "strategy": "take back the update strategy"}
    done.actions.append(f"patch DaemonSet {revert.daemonset}: {words[decision.what]} that the rollout had set")
    title = f"DaemonSet {revert.daemonset}"
    done.before.setdefault(title, {})[decision.what] = revert.ours if decision.what == "affinity" else "OnDelete"
    done.after.setdefault(title, {})[decision.what] = decision.patch


def _read(api: KubeApi, revert: Revert) -> dict[str, Any] | None:
    return api.get_or_none(_path(revert))


def _path(revert: Revert) -> str:
    namespace, _slash, name = revert.daemonset.partition("/")
    return api_path("daemonsets", namespace, name, api=DAEMONSET_API)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan back to a snapshot. Pure. PRIVATE to the collection.

It has the shape of every plan, so that the same waves carry it out. Going back from the result of such a plan is an empty
plan.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Sequence, Set

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import Rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.eviction import (
    Eviction,
    evict_for_mig,
    plan_eviction,
    refuse_overcommit,
    without_pods,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.overcommit import ACCEPTED, check_overcommit
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.plan_id import plan_id
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.releases import Release, foreign_plugins
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import NodeFindings
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.totals import totals
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.waves import (
    WaveLimits,
    allowed_at_once,
    plan_waves,
    read_limits,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import REVISION_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.configs import describe_configs, lacking
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.mig import plan_mig_back
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.node_entry import Fate, node_entry
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.nodes import Return, judge, kept_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.past import Past
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.reverts import (
    Revert,
    decide_revert,
    read_reverts,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.servers import Server, choose_server
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import ROLLBACK
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import SCHEMA_VERSION as PLAN_VERSION


@dataclass(frozen=True)
class RollbackRequest:
    """Everything that the plan depends on, of plain types.

    :param past: the snapshot.
    :param cluster: the cluster file.
    :param daemonsets: those of others that the run changed, by "namespace/name", as they are now; None for one that is gone.
    :param nodes: only these go back; empty: all of the snapshot.
    :param hosts: node by host; "" is the host's own name.
    :param uses: devices that pods hold, by node, where that is known.
    :param facts: what gpu_info found on nodes that could be read; only those with a recorded MIG layout need it.
    :param wave: nodes in a wave, "25%" or a number; likewise max_unavailable.
    :param mig_allow_reboot: hosts may be rebooted where the MIG mode changes only by that, which takes all pods of their nodes.
    :param evict_force: pods without a controller may be evicted, and are lost; likewise evict_delete_emptydir_data.
    """

    past: Past
    cluster: Mapping[str, Any]
    daemonsets: Mapping[str, Mapping[str, Any] | None] = field(default_factory=dict)
    nodes: Sequence[str] = ()
    hosts: Mapping[str, str] = field(default_factory=dict)
    wave: Any = "25%"
    max_unavailable: Any = "25%"
    on_overcommit: str = "refuse"
    stale_pods: str = "report"
    evict_force: bool = False
    evict_delete_emptydir_data: bool = False
    mig_allow_reboot: bool = False
    uses: Mapping[str, NodeUse] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def build_rollback(request: RollbackRequest) -> dict[str, Any]:
    """The plan, as its file has it.

    A node with something in its way is skipped, for it keeps no other from going back.

    :raises InputError: the rollback is refused, with all that is in its way: it was asked for in a wrong way, or something
        is in the way of every node. Its ``refused`` tells of each node that stays why, as ``skipped`` of a plan does.
    """
    limits, problems = read_limits(request.wave, request.max_unavailable)
    problems += _unknown_nodes(request)
    draft = _Draft(request, limits)
    draft.fill()
    if problems or draft.is_in_vain:
        told = problems + draft.problems.tell()
        raise InputError(f"rollback of run {request.past.run}", told, refused=draft.left_alone())
    return draft.finish()


def _unknown_nodes(request: RollbackRequest) -> list[str]:
    """Nodes to be taken back that the run never had. In a limit by hosts there may be others beside them."""
    known = [name for name in request.nodes if name in request.past.nodes]
    if known or not request.nodes:
        return []
    return [
        f"the snapshot of run {request.past.run} has none of the nodes {some(list(request.nodes))}. It has "
        f"{some(sorted(request.past.nodes))}. Name some of these, or another run."
    ]


@dataclass
class _Draft:
    request: RollbackRequest
    limits: WaveLimits
    states: Dict[str, NodeState] = field(default_factory=dict)
    backs: Dict[str, Return] = field(default_factory=dict)
    nodes: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    hosts: Dict[str, str] = field(default_factory=dict)
    releases: Dict[str, Release] = field(default_factory=dict)
    skipped: Dict[str, str] = field(default_factory=dict)
    blocked: Set[str] = field(default_factory=set)
    problems: NodeFindings = field(default_factory=NodeFindings)
    warnings: NodeFindings = field(default_factory=NodeFindings)

    def fill(self) -> None:
        """Decide every node."""
        self.hosts = {own or host: host for host, own in self.request.hosts.items()}
        self.states = {
            name: NodeState(name, entry) for name, entry in (self.request.cluster.get("nodes") or {}).items()
        }
        gpu_nodes = {name: state for name, state in self.states.items() if state.has_gpu()}
        plugins = self.request.cluster.get("plugins") or ()
        incumbents = foreign_plugins(plugins, gpu_nodes)
        wanted = set(self.request.nodes) or set(self.request.past.nodes)
        for name in sorted(wanted & set(self.request.past.nodes)):
            if name not in self.states:
                self.skipped[name] = "the cluster has no such node any more"
                continue
            entry, state = self.request.past.nodes[name], self.states[name]
            made = (entry["target"] or {}).get("mig")
            back = Return(state, entry, plan_mig_back(entry.get("mig"), made, self.request.facts.get(name), state))
            judgement = judge(back, self.request.past.run)
            if judgement.left_alone:
                self.skipped[name] = judgement.left_alone
                continue
            server = choose_server(back, incumbents.get(name, ()), self.request.cluster)
            self._add(back, judgement.reasons, server)
        self._tell_newcomers()

    @property
    def is_in_vain(self) -> bool:
        """Nodes were to go back, and not one of them can."""
        return bool(self.blocked) and not any(node["changed"] for node in self.nodes.values())

    def _add(self, back: Return, reasons: List[str], server: Server) -> None:
        name, moves = back.name, bool(reasons) and not back.is_back
        lost = self._evict_for_mig(back) if moves else Eviction()
        remaining = without_pods(back.state, lost.pods)
        switches = moves and (back.is_parted_otherwise or not back.bears_it)
        surplus = check_overcommit(remaining, back.expected) if switches else []
        problems = [*server.problems, *lacking(back, self.request.past, self.request.cluster)] if moves else []
        problems += back.mig.problems if moves and back.mig else []
        room = self._make_room(back, remaining) if surplus else Eviction()
        problems += [*lost.problems, *room.problems]
        if surplus and self.request.on_overcommit == "refuse":
            problems += refuse_overcommit(remaining, back.expected)
        eviction = Eviction(lost.devices, room.fit, [*lost.pods, *room.pods], whole=lost.whole)
        if problems:
            self._leave(name, problems)
            return
        if moves and server.release:
            self.releases[server.release.daemonset] = server.release
        self.warnings.add(name, *kept_runtime(back))
        verb = (
            "As many of them as needed are evicted, by kubegpu_on_overcommit: evict."
            if eviction.fit is not None
            else ACCEPTED
        )
        self.warnings.add(name, *(f"{one}. {verb}" for one in surplus))
        recreate, use = self.request.stale_pods == "recreate", self._use(name)
        fate = Fate(reasons, server, eviction, moves, recreate, use, self._rules())
        self.backs[name] = back
        self.nodes[name] = node_entry(back, fate, self.hosts.get(name), self.request.past.run)

    def _evict_for_mig(self, back: Return) -> Eviction:
        mig, may_reboot = back.mig.node if back.mig else None, self.request.mig_allow_reboot
        return evict_for_mig(mig, back.state, self._use(back.name), self._rules(), may_reboot)

    def _make_room(self, back: Return, remaining: NodeState) -> Eviction:
        if self.request.on_overcommit != "evict":
            return Eviction()
        return plan_eviction(remaining, back.expected, self._use(back.name), self._rules())

    def _use(self, name: str) -> NodeUse:
        return self.request.uses.get(name, NodeUse())

    def _rules(self) -> Rules:
        return Rules(self.request.evict_force, self.request.evict_delete_emptydir_data)

    def left_alone(self) -> List[Dict[str, str]]:
        """The nodes that stay as they are, with the reasons."""
        return [{"node": node, "reason": self.skipped[node]} for node in sorted(self.skipped)]

    def _leave(self, name: str, problems: Sequence[str]) -> None:
        """It stays as it is, and so does what serves it."""
        self.problems.add(name, *problems)
        self.blocked.add(name)
        self.skipped[name] = ". ".join(problem.rstrip(".") for problem in problems)

    def _tell_newcomers(self) -> None:
        """Nodes that the run did not have, and that are asked for or bear a revision of ours."""
        for name in sorted({*self.request.nodes} - {*self.request.past.nodes}):
            self.skipped[name] = f"run {self.request.past.run} did not have it; it stays as it is"
        for name, state in self.states.items():
            if not self.request.nodes and state.revision and name not in self.request.past.nodes:
                self.skipped[name] = f"run {self.request.past.run} did not have it; it goes on with config {state.key}"

    def finish(self) -> dict[str, Any]:
        """The plan's file."""
        past = self.request.past
        waves = self._waves()
        configs = describe_configs([self.backs[name] for name in self.nodes], past)
        releases = [
            self.releases[daemonset].to_dict(
                [name for name, node in self.nodes.items() if (node["release"] or {}).get("daemonset") == daemonset]
            )
            for daemonset in sorted(self.releases)
        ]
        reverts, left = self._reverts()
        gpu_nodes = {name: state for name, state in self.states.items() if state.has_gpu()}
        return {
            "schema_version": PLAN_VERSION,
            "kind": ROLLBACK,
            "plan_id": self._plan_id(configs, releases, reverts, waves),
            "empty": not waves and not reverts,
            "snapshot": {"run": past.run, "name": past.snapshot.name},
            "stale_pods": self.request.stale_pods,
            "plugin": {"backend": "daemonset_per_key", "namespace": past.namespace},
            "configs": configs,
            "nodes": self.nodes,
            "releases": releases,
            "reverts": [revert.to_dict() for revert in reverts],
            "skipped": self.left_alone(),
            "waves": waves,
            "wave_sizes": [len(wave) for wave in waves],
            "totals": {**totals(self.nodes, {**gpu_nodes, **self.states}, len(self.skipped)), "left_alone": 0},
            "compatibility": [],
            "warnings": [*self._told_blocked(), *self.warnings.tell(), *self._owners(), *left],
            "problems": [],
        }

    def _waves(self) -> list[list[str]]:
        """The same rules as for any plan: one canary of each kind first."""
        gpu_nodes = [state for state in self.states.values() if state.has_gpu()]
        out = frozenset(state.name for state in gpu_nodes if state.out_of_service)
        kinds = {
            name: node["to"]["key"] or node["to"]["plugin"] or ""
            for name, node in self.nodes.items()
            if node["changed"]
        }
        return plan_waves(kinds, out, self.limits, allowed_at_once(self.limits, len(gpu_nodes), len(out)))

    def _reverts(self) -> tuple[list[Revert], list[str]]:
        """What there is to give back to DaemonSets once the nodes are back, and why something is left."""
        bearers = {}
        for name, state in self.states.items():
            back = self.backs.get(name)
            labels = back.labels_after if back else state.labels
            if REVISION_LABEL in labels:
                bearers[name] = labels
        reverts: list[Revert] = []
        left: list[str] = []
        for revert in read_reverts(self.request.past.foreign):
            decision = decide_revert(revert, self.request.daemonsets.get(revert.daemonset), bearers)
            left += decision.left
            reverts += [revert] if decision.patch is not None else []
        return reverts, left

    def _told_blocked(self) -> list[str]:
        return [f"Not taken back: {problem}" for problem in self.problems.tell()]

    def _owners(self) -> list[str]:
        return [warning for name in sorted(self.releases) for warning in self.releases[name].warnings()]

    def _plan_id(
        self,
        configs: Mapping[str, Mapping[str, Any]],
        releases: Sequence[Mapping[str, Any]],
        reverts: Sequence[Revert],
        waves: Sequence[Sequence[str]],
    ) -> str:
        """What a plan of this kind decides is hashed in the words of all plans: to revert is a way of release."""
        nodes = {name: {**node, "key": node["to"]["key"] or ""} for name, node in self.nodes.items()}
        nothing = {"revision": None, "config_file": None}
        known = {node["key"]: configs.get(node["key"], nothing) for node in nodes.values()}
        back = [{"daemonset": one.daemonset, "method": "revert", "patch": dict(one.before)} for one in reverts]
        return plan_id(nodes, known, [*releases, *back], waves)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The planner: from facts, cluster and wishes to the plan. Pure. PRIVATE to the collection.

Same input, same plan, whatever the order of mappings; planning on the result of a plan gives an empty one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.find import Request, find
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.checks import (
    Findings,
    check_names,
    check_node,
    missing_objects,
    tell_accepted,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.compatibility import Outlook, compatibility
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.eviction import PodsDecision, decide_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import KeyPlan, describe_key
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.left_alone import (
    bearers,
    beyond_the_limit,
    nothing_planned,
    tell_bearers,
    tell_runtimes,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_plan import (
    Change,
    NodeContext,
    node_entry,
    reasons_for_host,
    reasons_to_resume,
    reasons_to_switch,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.plan_id import plan_id
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.releases import (
    Release,
    choose_release,
    daemonset_of,
    foreign_plugins,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import (
    PlanRequest,
    Wanted,
    read_request,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.runtime import NodeRuntime, unread_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.settings_change import settings_changes
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.stale import ids_change
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.survey import Survey, survey
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.totals import hints, totals
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.waves import allowed_at_once, plan_waves

SCHEMA_VERSION = 1


def build_plan(request: PlanRequest) -> dict[str, Any]:
    """The plan, as its file has it.

    :raises InputError: the input was refused, with all that is wrong with it.
    """
    wanted, problems = read_request(request)
    # With words misspelt, what can be said about cards and nodes is said all the same, so that all problems are told at once.
    found = survey(wanted)
    problems += sorted({problem for decided in found.keys.values() for problem in decided.problems})
    problems += found.problems.tell()
    draft = _Draft(wanted, found)
    if wanted.complete:
        problems += nothing_planned(wanted, found) + beyond_the_limit(wanted, found) + draft.fill()
    if problems:
        raise InputError("The plan was refused", problems)
    return draft.finish()


@dataclass
class _Draft:
    wanted: Wanted
    found: Survey
    nodes: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    releases: Dict[str, Release] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)

    def fill(self) -> List[str]:
        """Decide every node; returns the reasons to refuse the plan."""
        cluster = self.wanted.request.cluster
        incumbents = foreign_plugins(cluster.get("plugins") or (), self.wanted.scope.nodes)
        plans = self._plans()
        missing = {key: missing_objects(plan, self.wanted.options.namespace, cluster) for key, plan in plans.items()}
        for name in sorted(self.found.planned):
            key = self.found.matches[name].key
            if key not in plans:
                continue
            context = NodeContext(
                state=self.wanted.scope.nodes[name],
                host=self.wanted.scope.host_of.get(name),
                facts=self.found.facts[name],
                plan=plans[key],
                incumbents=incumbents.get(name, ()),
                missing=missing[key],
                mig=self.found.mig.get(name),
                runtime=self._runtime(name),
            )
            self.nodes[name] = node_entry(context, self._decide(context))
        in_use = {self.found.matches[name].key for name in self.found.planned}
        own = [plan for key, plan in plans.items() if key in in_use]
        return check_names(own, self.wanted.options.namespace, cluster) + self.findings.problems.tell()

    def _decide(self, context: NodeContext) -> Change:
        state = context.state
        to_switch = reasons_to_switch(context)
        reasons = to_switch + reasons_for_host(context) + reasons_to_resume(state)
        pods = decide_pods(context, bool(reasons), self.wanted.request)
        if reasons:
            check_node(context, pods, self.wanted, self.findings)
        else:
            tell_accepted(context, self.wanted, self.findings)
        return Change(
            reasons=reasons + pods.reasons(),
            switch=bool(to_switch),
            stale=pods.stale,
            evict=pods.eviction.to_dict(),
            ids_change=bool(to_switch) and ids_change(context),
            recreate=bool(pods.recreated),
            release=self._release(context),
            holders=self._holders(context, pods),
            restarts=context.runtime is not None and context.runtime.restarts,
        )

    def _runtime(self, name: str) -> NodeRuntime | None:
        """The container runtime of a node, and what is in the way of it."""
        request = self.wanted.request
        if request.runtimes is None:
            return None
        host = self.wanted.scope.host_of.get(name)
        document = request.runtimes.get(host or "")
        if document is None:
            problems, warnings = unread_runtime(host, host in request.host_facts)
            self.findings.problems.add(name, *problems)
            self.findings.warnings.add(name, *warnings)
            return None
        runtime = NodeRuntime(document, request.runtime_disruption)
        self.findings.problems.add(name, *runtime.problems)
        return runtime

    def _holders(self, context: NodeContext, pods: PodsDecision) -> Mapping[str, Any] | None:
        """What keeps the driver open on a node whose MIG devices change, and has to be paused."""
        if context.mig is None or not context.mig.changing:
            return None
        request = self.wanted.request
        found = find(
            context.state.name,
            request.cluster,
            request.host_facts.get(context.host or ""),
            Request(
                gone=frozenset(map(daemonset_of, context.incumbents)),
                scope=pods.eviction.scope,
                leaving=frozenset(pod["uid"] for pod in pods.eviction.pods),
                ignore=request.mig_ignore_holders,
                host_services=request.mig_host_services,
            ),
        )
        self.findings.problems.add(context.state.name, *found.problems)
        return found.to_dict()

    def _plans(self) -> Dict[str, KeyPlan]:
        return {key: decided.plan for key, decided in self.found.keys.items() if decided.plan}

    def _release(self, context: NodeContext) -> Release | None:
        """How the plugin that serves the node is taken off it; the same for all nodes of a DaemonSet."""
        if not context.incumbents:
            return None
        plugin = context.incumbents[0]
        name = daemonset_of(plugin)
        if name not in self.releases:
            self.releases[name] = choose_release(plugin, self.wanted.request.cluster.get("label_users") or {})
        return self.releases[name]

    def finish(self) -> dict[str, Any]:
        """The plan's file."""
        scope = self.wanted.scope
        configs = self._configs()
        releases = self._release_entries()
        out = frozenset(name for name, state in scope.nodes.items() if state.out_of_service)
        changed = {name: node["key"] for name, node in self.nodes.items() if node["changed"]}
        at_once = allowed_at_once(self.wanted.limits, len(scope.nodes), len(out))
        waves = plan_waves(changed, out, self.wanted.limits, at_once, self._servers())
        refusing = frozenset(key for key, plan in self._plans().items() if plan.config.fail_requests_greater_than_one)
        return {
            "schema_version": SCHEMA_VERSION,
            "kind": "sharing",
            "plan_id": plan_id(self.nodes, configs, releases, waves),
            "empty": not changed,
            "plugin": self.wanted.options.to_dict(),
            "configs": configs,
            "nodes": self.nodes,
            "releases": releases,
            "stale_pods": self.wanted.request.stale_pods,
            "snapshot": None,
            "reverts": [],
            "skipped": [{"node": node, "reason": self.found.skipped[node]} for node in sorted(self.found.skipped)],
            "waves": waves,
            "wave_sizes": [len(wave) for wave in waves],
            "totals": {
                **totals(self.nodes, scope.nodes, len(self.found.skipped)),
                "left_alone": len(bearers(self.wanted, self.found)),
            },
            "compatibility": self._compatibility(refusing),
            "warnings": self._warnings(out if changed else frozenset()),
            "problems": [],
        }

    def _servers(self) -> frozenset[str]:
        """Nodes of the control plane whose runtime is restarted: with two of them away at once, it may have no quorum."""
        return frozenset(name for name, node in self.nodes.items() if (node["runtime"] or {}).get("server"))

    def _compatibility(self, refusing: frozenset[str]) -> list[dict[str, str]]:
        cluster = self.wanted.request.cluster
        documents = {key: plan.config_file.to_document() for key, plan in self._plans().items()}
        settings = settings_changes(cluster.get("plugins") or (), self.nodes, documents)
        return [*compatibility(Outlook(cluster, self.wanted.scope.nodes, self.nodes, refusing)), *settings]

    def _configs(self) -> dict[str, Any]:
        nodes_of: dict[str, list[str]] = {}
        for name, node in self.nodes.items():
            nodes_of.setdefault(node["key"], []).append(name)
        plans = self._plans()
        return {
            key: describe_key(config, plans.get(key), nodes_of.get(key, ()))
            for key, config in self.wanted.vocabulary.configs.items()
        }

    def _release_entries(self) -> list[dict[str, Any]]:
        nodes_of: dict[str, list[str]] = {}
        for name, node in self.nodes.items():
            if node["release"]:
                nodes_of.setdefault(node["release"]["daemonset"], []).append(name)
        return [self.releases[name].to_dict(nodes_of[name]) for name in sorted(nodes_of)]

    def _warnings(self, out: frozenset[str]) -> list[str]:
        told = list(self.wanted.request.warnings)
        told += [warning for key in sorted(self.found.keys) for warning in self.found.keys[key].warnings]
        told += [warning for name in sorted(self.releases) for warning in self.releases[name].warnings()]
        told += tell_bearers(self.wanted, self.found) + tell_runtimes(self.wanted, self.found)
        told += self.findings.warnings.tell()
        return told + hints(self.wanted, self.found, out)


def plan_diff(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Before and after of the nodes that change, as Ansible shows a diff."""
    changed = {name: node for name, node in plan["nodes"].items() if node["changed"]}
    return {
        "before": {
            name: {**node["from"], **_layouts(node, "before"), **_runtimes(node, "before")}
            for name, node in changed.items()
        },
        "after": {
            name: {**node["to"], **_layouts(node, "after"), **_runtimes(node, "after")}
            for name, node in changed.items()
        },
    }


def _layouts(node: Mapping[str, Any], when: str) -> dict[str, Any]:
    """MIG instances by GPU, of a node whose GPUs are laid out anew."""
    mig = node.get("mig") or {}
    if not mig.get("changes"):
        return {}
    return {
        "mig": {
            f"GPU {gpu['index']}": {
                "mode": gpu[when]["mode"],
                "instances": [f"{one['profile']} at {one['start']}" for one in gpu[when]["instances"]],
            }
            for gpu in mig["gpus"]
        }
    }


def _runtimes(node: Mapping[str, Any], when: str) -> dict[str, Any]:
    """What is done about the container runtime; the files themselves are shown where they are written."""
    runtime = node.get("runtime")
    return {"runtime": runtime["actions"] if when == "after" else []} if runtime else {}

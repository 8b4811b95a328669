# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that a plan depends on. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import ALL
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import LABELS, MODES
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.options import ON_OVERCOMMIT, STALE_PODS
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.runtime import DISRUPTIONS
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.scope import Scope, read_scope
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.vocabulary import Vocabulary, read_vocabulary
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.waves import WaveLimits, read_limits
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.options import PluginOptions, read_options
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import parse_version
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean


@dataclass(frozen=True)
class PlanRequest:
    """Input of the planner, of plain types, unchecked.

    :param configs: kubegpu_sharing_configs, as the operator wrote it; likewise default_config, sizing, device_plugin.
    :param cluster: the cluster file.
    :param host_facts: gpu_info's result by host.
    :param hosts: node by host, of the hosts that take part; "" is the host's own name.
    :param limited: only these hosts' nodes are to be planned, not the whole cluster.
    :param facts: auto, nodes or labels.
    :param wave: nodes in a wave, "25%" or a number; likewise max_unavailable.
    :param accept_live_memory: nodes whose running processes may exceed the planned slots.
    :param on_overcommit: refuse, evict or accept.
    :param stale_pods: report or recreate.
    :param mig_allow_reboot: hosts may be rebooted where the MIG mode changes only by that, which takes all pods of their nodes.
    :param mig_ignore_holders: what may keep the driver open while MIG devices change: DaemonSets, units or commands.
    :param mig_host_services: systemd units that are stopped for that time.
    :param runtimes: by host, what the container runtime was found to be; None: runtimes are left alone.
    :param runtime_disruption: which pods leave a node before its runtime is restarted: all, gpu_pods or none.
    :param warnings: what was noticed when all this was read.
    :param evict_force: pods without a controller may be evicted, and are lost; likewise evict_delete_emptydir_data.
    """

    configs: Any
    cluster: Mapping[str, Any]
    host_facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)
    limited: bool = False
    default_config: Any = None
    sizing: Any = None
    device_plugin: Any = None
    facts: str = "auto"
    wave: Any = "25%"
    max_unavailable: Any = "25%"
    accept_live_memory: Tuple[str, ...] = ()
    on_overcommit: str = "refuse"
    stale_pods: str = "report"
    evict_force: bool = False
    evict_delete_emptydir_data: bool = False
    mig_allow_reboot: bool = False
    mig_ignore_holders: Tuple[str, ...] = ()
    mig_host_services: Tuple[str, ...] = ()
    runtimes: Mapping[str, Mapping[str, Any]] | None = None
    runtime_disruption: str = ALL
    warnings: Tuple[str, ...] = ()


@dataclass(frozen=True)
class Wanted:
    """The request, checked.

    :param complete: nothing was left out because of a problem.
    """

    request: PlanRequest
    vocabulary: Vocabulary
    options: PluginOptions
    scope: Scope
    limits: WaveLimits
    complete: bool = True


def read_request(request: PlanRequest) -> tuple[Wanted, list[str]]:
    """The request, and all that is wrong with its form."""
    options, problems = read_options(request.device_plugin)
    version = parse_version(options.version)
    vocabulary, more = read_vocabulary(request.configs, request.default_config, request.sizing, version)
    problems += more
    with_gpus = frozenset(host for host, facts in request.host_facts.items() if facts.get("gpus"))
    scope, more = read_scope(request.cluster, request.hosts, request.limited, with_gpus)
    problems += more + _check_choices(request)
    limits, more = read_limits(request.wave, request.max_unavailable)
    problems += more
    known = request.cluster.get("nodes") or {}
    for node in request.accept_live_memory:
        if node not in known:
            problems.append(f"kubegpu_accept_live_memory: the cluster has no node {node!r}.{did_you_mean(node, known)}")
    return Wanted(request, vocabulary, options, scope, limits, not problems), problems


def _check_choices(request: PlanRequest) -> list[str]:
    problems = []
    for name, value, choices in (
        ("facts", request.facts, MODES),
        ("on_overcommit", request.on_overcommit, ON_OVERCOMMIT),
        ("stale_pods", request.stale_pods, STALE_PODS),
        ("runtime_disruption", request.runtime_disruption, DISRUPTIONS),
    ):
        if value not in choices:
            problems.append(f"kubegpu_{name} is {value!r}; give one of {', '.join(choices)}.")
    if request.runtimes is not None and request.facts == LABELS:
        problems.append(
            "kubegpu_runtime_manage looks at the hosts themselves, and kubegpu_facts is labels; give auto or nodes, or leave "
            "container runtimes alone."
        )
    return problems


class NodeFindings:
    """Sentences about nodes; the same sentence about many nodes is told once."""

    def __init__(self) -> None:
        self._nodes: dict[str, list[str]] = {}

    def add(self, node: str, *sentences: str) -> None:
        """Say something about a node."""
        for sentence in sentences:
            self._nodes.setdefault(sentence, []).append(node)

    def tell(self) -> list[str]:
        """All that was said, in a fixed order."""
        told = []
        for sentence in sorted(self._nodes, key=lambda said: (min(self._nodes[said]), said)):
            nodes = sorted(self._nodes[sentence])
            told.append(f"{'nodes' if nodes[1:] else 'node'} {some(nodes)}: {sentence}")
        return told

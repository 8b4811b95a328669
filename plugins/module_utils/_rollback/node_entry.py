# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node as it stands in a plan that goes back. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import NONE, Rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.eviction import Eviction, recreated_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.stale import pods_from_before
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import MIG_PREFIX
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.nodes import Return
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.servers import Server

_PRODUCT_LABEL, _COUNT_LABEL = "nvidia.com/gpu.product", "nvidia.com/gpu.count"


@dataclass(frozen=True)
class Fate:
    """What is decided about a node.

    :param reasons: empty if nothing is to be done.
    :param eviction: pods that go so that the rest fits.
    :param moves: its plugin changes; else it is only put back into service.
    :param recreate: stale pods are recreated.
    :param use: devices that its pods hold, as far as known.
    :param rules: pods that the operator agreed to lose.
    """

    reasons: Sequence[str]
    server: Server
    eviction: Eviction
    moves: bool
    recreate: bool
    use: NodeUse = field(default_factory=NodeUse)
    rules: Rules = field(default_factory=Rules)


def node_entry(back: Return, fate: Fate, host: str | None, run: str) -> dict[str, Any]:
    """The entry.

    :param run: whose changes are taken back.
    """
    state, expected = back.state, back.expected
    ids_change = fate.moves and back.ids_change(fate.use.gpus)
    leaving = {pod["uid"] for pod in fate.eviction.pods}
    lost = [pod for pod in _lost(back, fate, ids_change) if pod["uid"] not in leaving]
    anew = recreated_pods(state, lost, fate.rules) if fate.recreate else []
    # What the run finds in the list of a node it may make anew, so a mere suspicion stands only where it does nothing.
    stale = lost if fate.reasons or anew else _named([*lost, *_suspected(back, fate)])
    reasons = [
        *fate.reasons,
        *([] if fate.reasons or not anew else [f"{len(anew)} stale pod{'s' if anew[1:] else ''} to recreate"]),
    ]
    count = state.labels.get(_COUNT_LABEL, "")
    scope = fate.eviction.scope
    disruption = scope if scope != NONE else "affected" if anew else "switch" if fate.moves else "none"
    return {
        "host": host,
        "key": back.key,
        "product": state.labels.get(_PRODUCT_LABEL, ""),
        "gpu_count": int(count) if count.isdigit() else 0,
        "facts": "snapshot",
        "confidence": f"what run {run} found",
        "sharing": "as before",
        "replicas": {},
        "mig": back.mig.entry() if back.mig else None,
        "mig_devices": {name: count for name, count in expected.items() if name.startswith(MIG_PREFIX)},
        "slots_before": sum(state.resources.values()),
        "slots_after": sum(expected.values()),
        "from": {"key": state.key, "revision": state.revision, "resources": state.resources},
        "to": {
            "key": back.key,
            "revision": back.revision,
            "resources": expected,
            "labels": back.other_labels,
            "plugin": fate.server.plugin or None,
        },
        "expected_resources": expected,
        "resources_before": state.resources,
        "sizing": {"arithmetic": f"as before run {run}"},
        "changed": bool(reasons),
        "reasons": reasons,
        "disruption": disruption,
        "release": fate.server.release.for_node() if fate.server.release and fate.moves else None,
        "ids_change": ids_change,
        "evict": fate.eviction.to_dict(),
        "stale_pods": stale,
        "recreate": bool(anew),
        "was_unschedulable": state.was_unschedulable,
    }


def _lost(back: Return, fate: Fate, ids_change: bool) -> list[dict[str, Any]]:
    """Pods whose devices the node does not have once it is back.

    What the kubelet gave them decides. Where that is not known, any pod may be one if its node gets other device ids, and
    none is if it keeps them: one that was put on slots which stay would be thrown out for nothing.
    """
    pods = [pod for pod in back.state.gpu_pods if not pod.get("terminating")]
    # Who holds a MIG device that goes has to leave; another one keeps what it holds.
    parted = back.is_parted_otherwise
    known = {
        pod["uid"]: False if parted and pod["uid"] in fate.use.held else fate.use.loses(pod["uid"], back.expected)
        for pod in pods
    }
    return _named(pod for pod in pods if (ids_change if known[pod["uid"]] is None else known[pod["uid"]]))


def _suspected(back: Return, fate: Fate) -> list[dict[str, Any]]:
    """Pods of which is not known what they hold, and that came before the device ids changed last."""
    return [pod for pod in pods_from_before(back.state) if fate.use.loses(pod["uid"], back.expected) is None]


def _named(pods: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    named = [{word: pod[word] for word in ("namespace", "name", "uid")} for pod in pods]
    return sorted(named, key=lambda pod: (pod["namespace"], pod["name"]))

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a device plugin that somebody else owns is taken off a node. PRIVATE to the collection.

Two plugins on one node share a socket: when the old one ends it removes the socket of the new one, and the node
advertises nothing from then on. So the old one leaves first, by the means that touches nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.selection import selects
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import CONFIG_LABEL, REVISION_LABEL

# Labels that somebody keeps putting back, or that stand for what the node is: the kubelet, the cloud, NFD and GFD.
_MAINTAINED_DOMAINS = ("kubernetes.io", "k8s.io")
_MAINTAINED_PREFIXES = ("nvidia.com/gpu.", "nvidia.com/mig.", "nvidia.com/cuda.", "nvidia.com/gfd.")
_OWNERS = {"helm": "Helm release", "addon": "the add-on of", "owner_reference": "its owner"}
_STAY_AWAY = {"key": REVISION_LABEL, "operator": "DoesNotExist"}


@dataclass(frozen=True)
class Release:
    """The means for one DaemonSet.

    :param label: taken off each node at its switch (method label); None with method affinity.
    :param patch: made once before the first wave, a JSON merge patch (method affinity); None if it is there already.
    """

    plugin: Mapping[str, Any]
    method: str
    label: Mapping[str, str] | None = None
    patch: Mapping[str, Any] | None = None

    @property
    def daemonset(self) -> str:
        """namespace/name."""
        return daemonset_of(self.plugin)

    def for_node(self) -> dict[str, Any]:
        """As it stands at a node of the plan."""
        return {"method": self.method, "daemonset": self.daemonset, "label": dict(self.label) if self.label else None}

    def to_dict(self, nodes: Sequence[str]) -> dict[str, Any]:
        """As it stands in the plan."""
        return {
            "daemonset": self.daemonset,
            "uid": self.plugin.get("uid"),
            "generation": self.plugin.get("generation"),
            "owner": self.plugin.get("owner"),
            "method": self.method,
            "label": dict(self.label) if self.label else None,
            "patch": self.patch,
            "nodes": list(nodes),
        }

    def warnings(self) -> list[str]:
        """What the owner may do about it."""
        owner = self.plugin.get("owner") or {}
        kind = owner.get("kind") or "none"
        if kind == "none":
            return []
        who = f"{_OWNERS.get(kind, kind)} {owner.get('name') or ''}".rstrip()
        if self.label:
            what = f"put the label {next(iter(self.label))} back on its nodes"
        else:
            what = "set its affinity and update strategy back"
        return [
            f"DaemonSet {self.daemonset} belongs to {who}, which may {what}. The rollout checks it before each node and stops "
            "if it was changed."
        ]


def daemonset_of(plugin: Mapping[str, Any]) -> str:
    """namespace/name of a plugin's DaemonSet."""
    return f"{plugin.get('namespace')}/{plugin.get('name')}"


def is_ours(plugin: Mapping[str, Any]) -> bool:
    """Whether the collection made the DaemonSet."""
    return (plugin.get("owner") or {}).get("kind") == "kubegpu"


def serves(plugin: Mapping[str, Any]) -> set[str]:
    """Nodes on which a plugin has a pod."""
    pods = (pod.get("node") for pod in plugin.get("pods") or ())
    return {*(plugin.get("nodes") or ()), *filter(None, pods)}


def foreign_plugins(
    plugins: Sequence[Mapping[str, Any]], nodes: Mapping[str, NodeState]
) -> Dict[str, List[Mapping[str, Any]]]:
    """Other people's device plugins by the node that they serve, or select: a pod that is missing now may come beside ours.

    :param nodes: all GPU nodes.
    """
    by_node: Dict[str, List[Mapping[str, Any]]] = defaultdict(list)
    for plugin in sorted(plugins, key=daemonset_of):
        if not is_ours(plugin):
            selected = {name for name, state in nodes.items() if selects(plugin, name, state.labels)}
            for node in sorted(selected | serves(plugin)):
                by_node[node].append(plugin)
    return dict(by_node)


def choose_release(plugin: Mapping[str, Any], label_users: Mapping[str, Sequence[str]]) -> Release:
    """The gentlest means that works for a DaemonSet.

    :param label_users: workloads by the node label that they select on.
    """
    itself = f"DaemonSet {daemonset_of(plugin)}"
    selector = plugin.get("node_selector") or {}
    for label in sorted(selector):
        if _may_go(label) and list(label_users.get(label, ())) == [itself]:
            return Release(plugin, "label", label={label: selector[label]})
    return Release(plugin, "affinity", patch=_affinity_patch(plugin))


def _may_go(label: str) -> bool:
    if label in (CONFIG_LABEL, REVISION_LABEL) or label.startswith(_MAINTAINED_PREFIXES):
        return False
    domain = label.rpartition("/")[0]
    return not any(domain == one or domain.endswith(f".{one}") for one in _MAINTAINED_DOMAINS)


def _affinity_patch(plugin: Mapping[str, Any]) -> dict[str, Any] | None:
    """OnDelete, and away from nodes with our revision label; in one patch, because with a rolling update the change of
    the template would restart the plugin on every node. Affinity is enforced whatever the strategy.
    """
    required = (plugin.get("node_affinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    terms = required.get("nodeSelectorTerms") or [{}]
    kept_away = [_with_stay_away(term) for term in terms]
    strategy = plugin.get("update_strategy")
    if isinstance(strategy, Mapping):
        strategy = strategy.get("type")
    if kept_away == terms and strategy == "OnDelete":
        return None
    node_affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": kept_away}}
    return {
        "spec": {
            "updateStrategy": {"type": "OnDelete", "rollingUpdate": None},
            "template": {"spec": {"affinity": {"nodeAffinity": node_affinity}}},
        }
    }


def _with_stay_away(term: Mapping[str, Any]) -> dict[str, Any]:
    """The terms are alternatives, so each of them has to say it."""
    expressions = list(term.get("matchExpressions") or ())
    if _STAY_AWAY not in expressions:
        expressions.append(dict(_STAY_AWAY))
    return {**term, "matchExpressions": expressions}

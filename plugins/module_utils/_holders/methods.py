# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a DaemonSet is kept off one node for a while, by the means that touches least. PRIVATE to the collection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Collection, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.daemonsets import title_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.placement import tolerates
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import CONFIG_LABEL, REVISION_LABEL

LABEL, TAINT = "label", "taint"

# Labels that somebody keeps putting back, or that stand for what the node is: the kubelet, the cloud, NFD and GFD.
_MAINTAINED_DOMAINS = ("kubernetes.io", "k8s.io", "nvidia.com")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_STAY_AWAY = {"key": names.PAUSED_LABEL, "operator": "DoesNotExist"}


@dataclass(frozen=True)
class Method:
    """The means for one DaemonSet on one node.

    :param kind: ``label`` (a label of the node is changed, and the DaemonSet's controller takes the pod off) or ``taint``
        (the node is tainted and the pod deleted).
    :param label: with ``label``, which.
    :param value: what it is set to; None: it is taken off.
    """

    kind: str
    label: str = ""
    value: Optional[str] = None


def choose_method(
    daemonset: Mapping[str, Any],
    labels: Mapping[str, str],
    users: Mapping[str, Sequence[str]],
    together: Collection[str],
) -> Method | None:
    """The gentlest means that works; None if there is none.

    :param labels: of the node, as they are when nothing is paused.
    :param users: workloads ("DaemonSet namespace/name") by the node label that they depend on. A label that it does not
        have is left alone.
    :param together: DaemonSets ("namespace/name") that are to be paused on the node. These may share a label.
    """
    if _stays_away(daemonset):
        return Method(LABEL, names.PAUSED_LABEL, names.PAUSED_VALUE)
    mine = {f"DaemonSet {title}" for title in {*together, title_of(daemonset)}}
    selector = daemonset.get("node_selector") or {}
    for label in sorted(selector, key=lambda one: (not one.startswith(names.OPERATOR_PREFIX), one)):
        if labels.get(label) == selector[label] and label in users and set(users[label]) <= mine and _may_change(label):
            value = names.OPERATOR_PAUSED if label.startswith(names.OPERATOR_PREFIX) else None
            return Method(LABEL, label, value)
    if not any(tolerates(toleration, names.TAINT) for toleration in daemonset.get("tolerations") or ()):
        return Method(TAINT)
    return None


def opt_in_command(daemonset: Mapping[str, Any]) -> str:
    """The command by which its owner lets a DaemonSet be paused: away from nodes that bear our label, in each alternative
    of its required node affinity.
    """
    required = (daemonset.get("node_affinity") or {}).get(_REQUIRED) or {}
    terms = [
        {**term, "matchExpressions": [*(term.get("matchExpressions") or ()), _STAY_AWAY]}
        for term in required.get("nodeSelectorTerms") or [{}]
    ]
    affinity = {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": terms}}}
    patch = json.dumps({"spec": {"template": {"spec": {"affinity": affinity}}}}, separators=(",", ":"))
    return f"kubectl -n {daemonset['namespace']} patch daemonset {daemonset['name']} --type=merge -p {_quoted(patch)}"


def _quoted(text: str) -> str:
    """For a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _stays_away(daemonset: Mapping[str, Any]) -> bool:
    """Its owner has let it be paused: whatever it requires of a node's affinity, each alternative says so."""
    terms = ((daemonset.get("node_affinity") or {}).get(_REQUIRED) or {}).get("nodeSelectorTerms") or ()
    return bool(terms) and all(_STAY_AWAY in (term.get("matchExpressions") or ()) for term in terms)


def _may_change(label: str) -> bool:
    if label in (CONFIG_LABEL, REVISION_LABEL):
        return False
    if label.startswith(names.OPERATOR_PREFIX):
        return True
    domain = label.rpartition("/")[0]
    return not any(domain == one or domain.endswith(f".{one}") for one in _MAINTAINED_DOMAINS)

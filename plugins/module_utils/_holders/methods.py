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


@dataclass(frozen=True)
class Place:
    """A node as the choice of a method sees it.

    :param labels: as they are when nothing is paused.
    :param users: workloads ("DaemonSet namespace/name") by the node label that they depend on. A label that it does not
        have is left alone.
    :param together: DaemonSets ("namespace/name") that are to be paused on the node. These may share a label.
    """

    labels: Mapping[str, str]
    users: Mapping[str, Sequence[str]]
    together: Collection[str] = ()


def choose_method(daemonset: Mapping[str, Any], place: Place) -> Method | None:
    """The gentlest means that works; None if there is none."""
    selector = sorted(daemonset.get("node_selector") or {}, key=lambda one: (not _is_operators(one), one))
    candidates = [
        Method(LABEL, names.PAUSED_LABEL, names.PAUSED_VALUE),
        *(Method(LABEL, label, names.OPERATOR_PAUSED if _is_operators(label) else None) for label in selector),
        Method(TAINT),
    ]
    return next((method for method in candidates if works(method, daemonset, place)), None)


def works(method: Method, daemonset: Mapping[str, Any], place: Place) -> bool:
    """Whether the means takes the DaemonSet off the node, and nothing else."""
    if method.kind == TAINT:
        return not any(tolerates(toleration, names.TAINT) for toleration in daemonset.get("tolerations") or ())
    label = method.label
    if label == names.PAUSED_LABEL:
        return _stays_away(daemonset)
    wanted = (daemonset.get("node_selector") or {}).get(label)
    if wanted is None or place.labels.get(label) != wanted or not _may_change(label) or label not in place.users:
        return False
    return set(place.users[label]) <= {f"DaemonSet {title}" for title in {*place.together, title_of(daemonset)}}


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


def _is_operators(label: str) -> bool:
    return label.startswith(names.OPERATOR_PREFIX)


def _may_change(label: str) -> bool:
    if label in (CONFIG_LABEL, REVISION_LABEL):
        return False
    if _is_operators(label):
        return True
    domain = label.rpartition("/")[0]
    return not any(domain == one or domain.endswith(f".{one}") for one in _MAINTAINED_DOMAINS)

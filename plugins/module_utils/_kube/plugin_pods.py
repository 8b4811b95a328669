# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading pods: those of the plugins, of a node, and those that failed. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.names import REVISION_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import (
    PodState,
    admission_failures,
    observe_pod,
)

DAEMONSET_API = "apis/apps/v1"


def pods_on(api: KubeApi, node: str) -> list[PodState]:
    """All pods of a node."""
    return _read(api, api_path("pods"), fieldSelector=f"spec.nodeName={node}")


def plugin_pods(api: KubeApi, plan: RolloutPlan, targets: Sequence[NodeTarget]) -> dict[str, list[PodState]]:
    """Plugin pods by node, ours and those of the DaemonSets that the nodes were to leave or to go back to.

    What is selected along with them is left out: a selector may be shared with GPU Feature Discovery, say.
    """
    pods: dict[str, dict[str, PodState]] = {}
    daemonsets = read_daemonsets(api, plan, targets)
    for namespace, selector in pod_selectors(daemonsets):
        for pod in _read(api, api_path("pods", namespace), labelSelector=selector or None):
            if pod.may_serve(daemonsets):
                pods.setdefault(pod.node, {})[pod.uid] = pod
    return {node: list(found.values()) for node, found in pods.items()}


def read_daemonsets(api: KubeApi, plan: RolloutPlan, targets: Sequence[NodeTarget]) -> dict[str, dict[str, Any] | None]:
    """The foreign DaemonSets that nodes are to leave, or go back to, by "namespace/name"; None for one that is gone."""
    found: dict[str, dict[str, Any] | None] = {}
    for title in plan.foreign_of(targets):
        namespace, _slash, name = title.partition("/")
        found[title] = api.get_or_none(api_path("daemonsets", namespace, name, api=DAEMONSET_API))
    return found


def pod_selectors(daemonsets: Mapping[str, Mapping[str, Any] | None]) -> list[tuple[str, str]]:
    """(namespace, label selector) of all pods that serve, or have served, the nodes.

    Ours bear the revision label. They are looked for in all namespaces: an older revision may live in another one.
    """
    selectors = [("", REVISION_LABEL)]
    for title, daemonset in sorted(daemonsets.items()):
        selector = ((daemonset or {}).get("spec") or {}).get("selector") or {}
        # The pods of a DaemonSet that is gone may still be there: all of its namespace are looked at then.
        selectors.append((title.partition("/")[0], selector_text(selector)))
    return selectors


def selector_text(selector: Mapping[str, Any]) -> str:
    """A LabelSelector object as the query parameter."""
    terms = [f"{label}={value}" for label, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        label, operator = expression["key"], expression["operator"]
        values = ",".join(expression.get("values") or [])
        forms = {"In": f"{label} in ({values})", "NotIn": f"{label} notin ({values})", "Exists": label}
        terms.append(forms.get(operator, f"!{label}"))
    return ",".join(terms)


def failed_pods(api: KubeApi, since: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """Pods that a kubelet refused since the node's maintenance began, by node.

    :param since: RFC 3339 by node.
    """
    if not since:
        return {}
    pods = _read(api, api_path("pods"), fieldSelector="status.phase=Failed")
    return {
        node: admission_failures(pod for pod in pods if pod.node == node and not pod.bound_before(moment))
        for node, moment in since.items()
    }


def _read(api: KubeApi, path: str, **query: Any) -> list[PodState]:
    return [observe_pod(obj) for page in api.pages(path, **query) for obj in page.items]

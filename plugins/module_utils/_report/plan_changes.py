# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan changes, which plugins of others leave for it, and whose pods it disturbs. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Section,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.runtime_view import describe_runtime_disruption
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    NOTHING,
    describe_count,
    describe_value,
    in_order,
    join_some,
)

Plan = Mapping[str, Any]

# Only nodes that change are shown with it.
_DISRUPTION = {
    "none": "nothing: the plugin stays, the node is put back into service",
    "switch": "cordoned, plugin switched, nothing evicted",
    "affected": "pods on the GPUs that change are evicted",
    "gpu_pods": "all GPU pods of the node are evicted",
    "all": "all pods of the node are evicted",
}
# Reasons that begin so repeat the columns of slots and of the present plugin.
_SHOWN_ELSEWHERE = ("advertises ", "served by ")


def changes_section(plan: Plan, names: list[str], limit: int) -> Optional[Section]:
    """The nodes that change; None if none does."""
    changed = [name for name in names if plan["nodes"][name].get("changed")]
    if not changed:
        return None
    columns = [
        Column("Node"),
        Column("Because", wrap=True),
        Column("Disturbed", wrap=True),
        Column("Present plugin leaves by", wrap=True),
    ]
    rows = [
        (
            name,
            _describe_reasons(node),
            _describe_disruption(node),
            _describe_release(node),
        )
        for name, node in ((name, plan["nodes"][name]) for name in changed)
    ]
    return Section("What changes, and who is disturbed", table=capped_table(columns, rows, limit))


def _describe_reasons(node: Mapping[str, Any]) -> str:
    """The reasons that no other column shows; all of them if there are no others."""
    reasons = [str(reason) for reason in node.get("reasons") or []]
    return (
        "; ".join(reason for reason in reasons if not reason.startswith(_SHOWN_ELSEWHERE))
        or "; ".join(reasons)
        or NOTHING
    )


def _describe_release(node: Mapping[str, Any]) -> str:
    release = node.get("release")
    if not release:
        idle = node.get("recreate") or node.get("runtime")
        stays = node.get("disruption") == "none" or (idle and not _switches(node))
        ours = not stays and (node.get("from") or {}).get("revision")
        return "label of our own DaemonSet" if ours else NOTHING
    if release.get("method") == "label":
        return f"removal of {_describe_labels(release.get('label'))}"
    return "affinity of its DaemonSet, and our label"


def _describe_labels(labels: Optional[Mapping[str, Any]]) -> str:
    return ", ".join(f"{key}={value}" for key, value in (labels or {}).items()) or "its label"


def releases_section(plan: Plan) -> Optional[Section]:
    """Device plugins of others; None if none leaves."""
    items = [_describe_foreign(release) for release in plan.get("releases") or []]
    return Section("Device plugins of others that leave nodes", items=items) if items else None


def _describe_foreign(release: Mapping[str, Any]) -> str:
    nodes = in_order(release.get("nodes") or [])
    who = f"{release.get('daemonset')} leaves {describe_count(len(nodes), 'node')} ({join_some(nodes)})"
    if release.get("method") == "label":
        return f"{who}: the label {_describe_labels(release.get('label'))}, which nothing else uses, is removed. The DaemonSet stays as it is."
    return (
        f"{who}: its labels serve others too, so before the first wave its update strategy becomes OnDelete and an affinity keeps it off "
        "nodes that bear our label. Its owner may undo that."
    )


def stale_section(plan: Plan, names: list[str], limit: int) -> Optional[Section]:
    """Pods that hold devices which their node does not have, or will not have; None if there are none."""
    items = [
        f"{pod.get('namespace')}/{pod.get('name')} on {name}"
        for name in names
        for pod in plan["nodes"][name].get("stale_pods") or []
    ]
    if not items:
        return None
    keep = "1 pod keeps its device id" if len(items) == 1 else f"{len(items)} pods keep their device ids"
    if plan.get("stale_pods") == "recreate":
        fate = (
            "Once its node serves, such a pod is evicted within its budgets, if a controller makes it anew; otherwise,"
        )
    else:
        fate = "Running pods are not touched;"
    text = (
        f"{keep} from before the change. {fate} after a reboot of its node the kubelet refuses such a pod, and "
        "until it is recreated a new pod may be given a GPU that it still uses."
    )
    return Section("Stale-allocated pods", text, items=capped_items(items, limit))


def _describe_disruption(node: Mapping[str, Any]) -> str:
    """Who is disturbed on a node that changes."""
    word, evict = str(node.get("disruption")), node.get("evict") or {}
    going, stale = len(evict.get("pods") or []), len(node.get("stale_pods") or [])
    parts = []
    if node.get("runtime"):
        parts.append(describe_runtime_disruption(node, _switches(node)))
    elif (node.get("mig") or {}).get("changes"):
        pods = f"{describe_count(going, 'pod')} evicted" if going else "nothing evicted"
        whole = evict.get("scope") == "all"
        pods = f"all pods of the node evicted ({going}), host rebooted if it must be" if whole else pods
        parts.append(f"cordoned, {pods}, MIG devices laid out, plugin switched")
    elif evict.get("scope") == "affected" and evict.get("fit") is not None:
        pods = describe_count(going, "pod") if going else "pods"
        parts.append(f"cordoned, plugin switched, {pods} evicted to fit")
    elif node.get("recreate") and not _switches(node):
        parts.append("the plugin stays")
    elif node.get("recreate") and evict.get("scope", "none") == "none":
        parts.append("cordoned, plugin switched")
    else:
        parts.append(_DISRUPTION.get(word, describe_value(node.get("disruption"))))
    if node.get("recreate"):
        parts.append(f"then {describe_count(stale, 'stale pod')} recreated")
    return ", ".join(parts)


def _switches(node: Mapping[str, Any]) -> bool:
    before, after = node.get("from") or {}, node.get("to") or {}
    return bool((node.get("mig") or {}).get("changes")) or any(
        before.get(word) != after.get(word) for word in ("key", "revision", "resources")
    )

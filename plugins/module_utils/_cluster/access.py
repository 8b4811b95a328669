# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout has to be permitted to do. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import RolloutPlan

_APPS = "apps"
_POLICY = "policy"
_LEASES = "coordination.k8s.io"
#: Where Events about nodes live.
EVENT_NAMESPACE = "default"


@dataclass(frozen=True, order=True)
class Access:
    """A permission, as a role grants it.

    :param resource: with its subresource, if it is about one: "pods/eviction".
    :param group: "" for the core group.
    :param namespace: "" for the whole cluster.
    """

    resource: str
    verb: str
    namespace: str = ""
    group: str = ""

    @property
    def qualified(self) -> str:
        """The resource with its group: "daemonsets.apps", and its subresource: "pods/eviction"."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {self.qualified} {where}"

    def review(self) -> dict[str, Any]:
        """The SelfSubjectAccessReview that asks for it."""
        resource, _slash, subresource = self.resource.partition("/")
        attributes = {
            "verb": self.verb,
            "resource": resource,
            "subresource": subresource,
            "group": self.group,
            "namespace": self.namespace,
        }
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
        }

    def to_dict(self) -> dict[str, str]:
        """For a result."""
        return {"verb": self.verb, "resource": self.qualified, "namespace": self.namespace}


#: What it needs besides where pods are to name a container runtime, and there is no RuntimeClass yet.
READ_RUNTIME_CLASS = Access("runtimeclasses", "get", "", "node.k8s.io")
MAKE_RUNTIME_CLASS = Access("runtimeclasses", "create", "", "node.k8s.io")


def needed_access(plan: RolloutPlan | None, namespace: str) -> list[Access]:
    """Everything that a rollout reads while it works and everything that it writes.

    :param plan: the plan to be rolled out; None for what any rollout needs.
    :param namespace: where the lock, the snapshots and the collection's plugins are.
    """
    needs = {
        *_all(("get", "list", "watch", "patch"), "nodes"),
        *_all(("list", "watch", "delete"), "pods"),  # deleted are those that a kubelet refused during the switch
        *_all(("create",), "events", EVENT_NAMESPACE),
        *_all(("get", "create"), "namespaces"),
        *_all(("get", "create", "patch"), "leases", namespace, _LEASES),
        *_all(("get", "list", "create", "patch", "delete"), "configmaps", namespace),
        *_all(("get", "list", "create", "patch", "delete"), "daemonsets", namespace, _APPS),
    }
    if plan:
        needs.update(_foreign_access(plan))
        if _evicts(plan):
            needs.update(_all(("create",), "pods/eviction"))
            needs.update(_all(("list",), "poddisruptionbudgets", "", _POLICY))
        if any(target.changes_layout for target in plan.nodes.values()):
            needs.update(_all(("list",), "daemonsets", "", _APPS))  # whichever keeps the driver open is paused
    return sorted(needs)


def _foreign_access(plan: RolloutPlan) -> set[Access]:
    """DaemonSets of others: read where nodes leave them or go back to them, changed where they are told to, or told no more."""
    patched = {release.daemonset for release in plan.releases if release.method == "affinity"}
    patched |= {str(revert["daemonset"]) for revert in plan.reverts}
    read = {release.daemonset for release in plan.releases} | set(plan.foreign_of(list(plan.nodes.values())))
    verbs = {**dict.fromkeys(read, ("get",)), **dict.fromkeys(patched, ("get", "patch"))}
    return {
        access
        for daemonset, allowed in verbs.items()
        for access in _all(allowed, "daemonsets", daemonset.partition("/")[0], _APPS)
    }


def _evicts(plan: RolloutPlan) -> bool:
    return plan.stale_pods == "recreate" or any(
        target.evict.scope != "none" or target.recreate for target in plan.nodes.values()
    )


def describe_missing(missing: Sequence[Access]) -> str:
    """What to grant, in words; "" if nothing is missing."""
    if not missing:
        return ""
    listed = "\n".join(f"  - {access}" for access in missing)
    return (
        f"{len(missing)} permissions are missing that a rollout needs, so nothing was changed. Grant them to the user, by a "
        f"Role in the namespace or a ClusterRole, or use credentials that have them:\n{listed}"
    )


def _all(verbs: Iterable[str], resource: str, namespace: str = "", group: str = "") -> list[Access]:
    return [Access(resource, verb, namespace, group) for verb in verbs]

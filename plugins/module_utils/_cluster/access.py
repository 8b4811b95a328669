# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a rollout has to be permitted to do. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import RolloutPlan

_APPS = "apps"
_LEASES = "coordination.k8s.io"


@dataclass(frozen=True, order=True)
class Access:
    """A permission, as a role grants it.

    :param group: "" for the core group.
    :param namespace: "" for the whole cluster.
    """

    resource: str
    verb: str
    namespace: str = ""
    group: str = ""

    @property
    def qualified(self) -> str:
        """The resource with its group: "daemonsets.apps"."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    def __str__(self) -> str:
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {self.qualified} {where}"

    def review(self) -> dict[str, Any]:
        """The SelfSubjectAccessReview that asks for it."""
        attributes = {"verb": self.verb, "resource": self.resource, "group": self.group, "namespace": self.namespace}
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {name: value for name, value in attributes.items() if value}},
        }

    def to_dict(self) -> dict[str, str]:
        """For a result."""
        return {"verb": self.verb, "resource": self.qualified, "namespace": self.namespace}


def needed_access(plan: RolloutPlan | None, namespace: str) -> list[Access]:
    """Everything that a rollout reads while it works and everything that it writes.

    :param plan: the plan to be rolled out; None for what any rollout needs.
    :param namespace: where the lock, the snapshots and the collection's plugins are.
    """
    needs = {
        *_all(("get", "list", "watch", "patch"), "nodes"),
        *_all(("list", "watch"), "pods"),
        *_all(("get", "create"), "namespaces"),
        *_all(("get", "create", "patch"), "leases", namespace, _LEASES),
        *_all(("get", "list", "create", "patch", "delete"), "configmaps", namespace),
        *_all(("get", "list", "create", "patch", "delete"), "daemonsets", namespace, _APPS),
    }
    for release in plan.releases if plan else ():
        verbs = ("get", "patch") if release.method == "affinity" else ("get",)
        needs.update(_all(verbs, "daemonsets", release.daemonset.partition("/")[0], _APPS))
    return sorted(needs)


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

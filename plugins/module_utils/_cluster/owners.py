# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who put an object there, and would put it back. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import controller_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import MANAGED_BY, MANAGED_BY_LABEL

# Labels and annotations by which add-on managers and GitOps tools know what they reconcile, and how to call them.
_MANAGERS = (
    ("addonmanager.kubernetes.io/mode", "add-on manager"),
    ("kubernetes.io/cluster-service", "add-on manager"),
    ("eks.amazonaws.com/component", "EKS add-on"),
    ("kubernetes.azure.com/managedby", "AKS"),
    ("kustomize.toolkit.fluxcd.io/name", "Flux"),
    ("helm.toolkit.fluxcd.io/name", "Flux"),
    ("argocd.argoproj.io/tracking-id", "Argo CD"),
    ("argocd.argoproj.io/instance", "Argo CD"),
)


def find_owner(obj: Mapping[str, Any]) -> dict[str, Any]:
    """{kind, name}: kind is kubegpu, owner_reference, helm, addon or none; name is None where there is none to tell.

    An owner reference comes before Helm: the GPU Operator's objects bear both, and the operator is who puts them back.
    """
    metadata = obj.get("metadata") or {}
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    if labels.get(MANAGED_BY_LABEL) == MANAGED_BY:
        return {"kind": "kubegpu", "name": MANAGED_BY}
    reference = controller_of(obj) or next(iter(metadata.get("ownerReferences") or ()), None)
    if reference:
        return {"kind": "owner_reference", "name": f"{reference.get('kind')}/{reference.get('name')}"}
    release = annotations.get("meta.helm.sh/release-name")
    if release or labels.get(MANAGED_BY_LABEL) == "Helm" or labels.get("heritage") == "Helm":
        return {"kind": "helm", "name": release or labels.get("release") or labels.get("app.kubernetes.io/instance")}
    for mark, manager in _MANAGERS:
        value = annotations.get(mark) or labels.get(mark)
        # EnsureExists is an add-on that its manager creates, but lets be.
        if value and value not in ("EnsureExists", "false"):
            return {"kind": "addon", "name": manager}
    return {"kind": "none", "name": None}

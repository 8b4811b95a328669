# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.owners import find_owner

REFERENCE = [{"kind": "ClusterPolicy", "name": "gpu-cluster-policy", "controller": True}]
HELM = {"meta.helm.sh/release-name": "nvidia-gpu", "meta.helm.sh/release-namespace": "kube-system"}


@pytest.mark.parametrize(
    ("metadata", "kind", "name"),
    [
        pytest.param({}, "none", None, id="nobody"),
        pytest.param(
            {"labels": {"app.kubernetes.io/managed-by": "kubegpu.sharing"}}, "kubegpu", "kubegpu.sharing", id="ours"
        ),
        pytest.param({"annotations": HELM}, "helm", "nvidia-gpu", id="Helm by annotation"),
        pytest.param(
            {"labels": {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "nvdp"}},
            "helm",
            "nvdp",
            id="Helm by label",
        ),
        pytest.param({"labels": {"heritage": "Helm", "release": "old"}}, "helm", "old", id="Helm 2"),
        pytest.param(
            {"ownerReferences": REFERENCE}, "owner_reference", "ClusterPolicy/gpu-cluster-policy", id="GPU Operator"
        ),
        pytest.param(
            {"ownerReferences": REFERENCE, "annotations": HELM},
            "owner_reference",
            "ClusterPolicy/gpu-cluster-policy",
            id="operator before Helm",
        ),
        pytest.param(
            {"labels": {"addonmanager.kubernetes.io/mode": "Reconcile"}}, "addon", "add-on manager", id="add-on"
        ),
        pytest.param(
            {"labels": {"addonmanager.kubernetes.io/mode": "EnsureExists"}}, "none", None, id="add-on that is let be"
        ),
        pytest.param(
            {"annotations": {"argocd.argoproj.io/tracking-id": "gpu:apps/DaemonSet"}}, "addon", "Argo CD", id="Argo CD"
        ),
        pytest.param({"labels": {"kustomize.toolkit.fluxcd.io/name": "gpu"}}, "addon", "Flux", id="Flux"),
    ],
)
def test_find_owner_tells_who_puts_it_back(metadata: dict[str, Any], kind: str, name: str | None) -> None:
    assert find_owner({"metadata": metadata}) == {"kind": kind, "name": name}

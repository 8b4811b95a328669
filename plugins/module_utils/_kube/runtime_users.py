# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A RuntimeClass, and pods that need the runtime which it stands for. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import TERMINAL_PHASES, pod_requests
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.reader import NOT_SUCCEEDED, PODS

#: The label that tells whose a RuntimeClass is.
OWNER_LABEL = ("app.kubernetes.io/managed-by", "kubegpu.sharing")


@dataclass
class RuntimeUsers:
    """:param handler: None where there is no such RuntimeClass.
    :param pods: that name the class, as namespace/name, wherever they are: also those that wait for a node.
    :param gpu_pods: pods with GPUs that name no RuntimeClass, which the default runtime starts, by node.
    """

    handler: str | None = None
    ours: bool = False
    pods: list[str] = field(default_factory=list)
    gpu_pods: dict[str, list[str]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For a module's result."""
        return {
            "exists": self.handler is not None,
            "handler": self.handler,
            "ours": self.ours,
            "pods": sorted(self.pods),
            "gpu_pods": {node: sorted(names) for node, names in sorted(self.gpu_pods.items())},
        }


def read_users(api: KubeApi, name: str, prefix: str) -> RuntimeUsers:
    """The RuntimeClass of a name and who needs it: one request, and one list of pods in pages.

    :param prefix: of resources that are GPUs.
    :raises ApiError: something could not be read.
    """
    found = RuntimeUsers()
    runtime_class = api.get_or_none(api_path("runtimeclasses", name=name, api="apis/node.k8s.io/v1"))
    if runtime_class is not None:
        key, value = OWNER_LABEL
        found.handler = str(runtime_class.get("handler") or "")
        found.ours = (runtime_class["metadata"].get("labels") or {}).get(key) == value
    for page in api.pages(PODS, fieldSelector=NOT_SUCCEEDED):
        for pod in page.items:
            _add_pod(found, pod, name, prefix)
    return found


def _add_pod(found: RuntimeUsers, pod: Mapping[str, Any], name: str, prefix: str) -> None:
    if (pod.get("status") or {}).get("phase") in TERMINAL_PHASES:
        return
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    full_name = f"{metadata.get('namespace') or 'default'}/{metadata['name']}"
    chosen, node = spec.get("runtimeClassName"), spec.get("nodeName")
    if chosen == name:
        found.pods.append(full_name)
    elif not chosen and node and pod_requests(spec, prefix):
        found.gpu_pods.setdefault(node, []).append(full_name)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods as the API has them."""

from __future__ import annotations

from typing import Any, Callable

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate, observe_candidate

GPU = "nvidia.com/gpu"
Make = Callable[..., Candidate]


@pytest.fixture
def pod() -> Make:
    """Make a pod that runs, by default with a controller and one GPU."""

    def make(name: str, *, gpus: int = 1, owner: str | None = "ReplicaSet", **more: Any) -> Candidate:
        references = [{"kind": owner, "name": "owner", "controller": True}] if owner else []
        metadata = {
            "namespace": "default",
            "name": name,
            "uid": f"uid-{name}",
            "labels": {"app": name},
            "ownerReferences": references,
            "creationTimestamp": more.pop("created", "2026-03-01T12:00:00Z"),
            **more.pop("metadata", {}),
        }
        resources = {"limits": {GPU: str(gpus)}} if gpus else {}
        spec = {"nodeName": "gpu-1", "containers": [{"name": "app", "resources": resources}], **more.pop("spec", {})}
        status = {"phase": "Running", "startTime": "2026-03-01T12:00:01Z", **more}
        return observe_candidate({"metadata": metadata, "spec": spec, "status": status})

    return make

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a pod asks for, counted as the scheduler counts it. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.quantities import (
    add_counts,
    counts_with_prefix,
    larger_counts,
)

#: NVIDIA's resources: nvidia.com/gpu, nvidia.com/gpu.shared, nvidia.com/mig-1g.5gb.
GPU_PREFIX = "nvidia.com/"
#: A pod in one of these holds nothing any more, whatever it asked for.
TERMINAL_PHASES = frozenset({"Succeeded", "Failed"})


def pod_requests(spec: Mapping[str, Any], prefix: str) -> dict[str, int]:
    """Devices by resource name that a pod occupies on its node.

    The larger of two sums, for each resource: all containers with all sidecars (init containers that restart always), or
    any one init container with the sidecars that were started before it. Pod overhead and pod-level resources know no
    extended resources.

    :param spec: of the pod, or of a template.
    """
    running: dict[str, int] = {}
    for container in spec.get("containers") or ():
        running = _sum(running, _asked(container, prefix))
    sidecars: dict[str, int] = {}
    starting: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        asked = _asked(container, prefix)
        if container.get("restartPolicy") == "Always":
            sidecars = _sum(sidecars, asked)
            starting = larger_counts(starting, sidecars)
        elif asked:
            starting = larger_counts(starting, add_counts(sidecars, asked))
    if not starting:
        return running
    return larger_counts(starting, add_counts(running, sidecars))


def _sum(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    return add_counts(one, other) if other else one


def _asked(container: Mapping[str, Any], prefix: str) -> dict[str, int]:
    """Requests of a container; a limit alone is a request, as the API server's defaulting has it."""
    resources = container.get("resources")
    if not resources:
        return {}
    limits = counts_with_prefix(resources.get("limits"), prefix)
    requests = counts_with_prefix(resources.get("requests"), prefix)
    return {**limits, **requests}

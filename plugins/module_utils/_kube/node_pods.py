# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All pods of some nodes, kept current. PRIVATE to the collection."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate, observe_candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.parallel import work_through
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.watching import Changes, WatchedList
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import observe_pod

PODS_PATH = api_path("pods")


def read_candidates(api: KubeApi, node: str) -> list[Candidate]:
    """The pods of a node as they are now."""
    pages = api.pages(PODS_PATH, fieldSelector=f"spec.nodeName={node}")
    return [observe_candidate(obj) for page in pages for obj in page.items]


def read_finished(api: KubeApi, node: str) -> list[str]:
    """UIDs of the pods of a node that have finished, as they are now. Their kubelet remembers what it gave them until they are deleted.

    One that was called failed while its kubelet was silent may have containers that run, and does not count.
    """
    pages = api.pages(PODS_PATH, fieldSelector=f"spec.nodeName={node}")
    return sorted(obj["metadata"]["uid"] for page in pages for obj in page.items if _is_over(obj))


def _is_over(obj: Mapping[str, Any]) -> bool:
    status = obj.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return observe_pod(obj).finished and not any("running" in (one.get("state") or {}) for one in containers)


class NodePods:
    """Watches the pods of nodes, each node by itself. Use it as a context manager: the pods are listed on entry.

    It is opened before a node is cordoned. So the pods need be listed only once, the evictions begin at once after the
    cordon, and a pod that is bound in between is seen all the same.
    """

    def __init__(self, api: KubeApi, nodes: Sequence[str], parallel: int) -> None:
        self.changes = Changes()
        self._parallel = parallel
        self._lists = {
            node: WatchedList(
                api, PODS_PATH, {"fieldSelector": f"spec.nodeName={node}"}, observe_candidate, self.changes
            )
            for node in nodes
        }
        self._open = ExitStack()

    def __enter__(self) -> NodePods:
        with ExitStack() as entered:
            work_through(entered.enter_context, self._lists.values(), self._parallel)
            self._open = entered.pop_all()
        return self

    def __exit__(self, *_details: object) -> None:
        self._open.close()

    def of(self, node: str) -> list[Candidate]:
        """The pods of a node.

        :raises ApiError: they cannot be watched any more.
        """
        return self._lists[node].things()

    def current(self, node: str) -> bool:
        """They have been watched without a break since they were listed, so that none can be there that is not known."""
        return self._lists[node].unbroken

    def list_anew(self, node: str) -> list[Candidate]:
        """The pods of a node as they are now.

        :raises ApiError: they cannot be listed.
        """
        return self._lists[node].refresh()

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the API server what the user may do. PRIVATE to the collection."""

from __future__ import annotations

from typing import Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.access import Access
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.parallel import work_through

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_THREADS = 4


def find_missing(client: KubeClient, needs: Sequence[Access]) -> list[Access]:
    """Those that are denied, by one access review each. A review changes nothing, and anybody who is known may ask.

    :raises ApiError: no answer.
    """
    allowed = work_through(lambda access: _is_allowed(client, access), needs, _THREADS)
    return [access for access, allow in zip(needs, allowed) if not allow]


def _is_allowed(client: KubeClient, access: Access) -> bool:
    answer = client.create(_REVIEWS, access.review())
    return bool((answer.get("status") or {}).get("allowed"))

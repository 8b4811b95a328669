# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the API server what the user may do. PRIVATE to the collection."""

from __future__ import annotations

from typing import Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.access import (
    MAKE_RUNTIME_CLASS,
    READ_RUNTIME_CLASS,
    Access,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.parallel import work_through
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path

_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_THREADS = 4


def find_missing(client: KubeClient, needs: Sequence[Access]) -> list[Access]:
    """Those that are denied, by one access review each. A review changes nothing, and anybody who is known may ask.

    :raises ApiError: no answer.
    """
    allowed = work_through(lambda access: _is_allowed(client, access), needs, _THREADS)
    return [access for access, allow in zip(needs, allowed) if not allow]


def find_missing_for_runtime_classes(client: KubeClient, names: Sequence[str]) -> tuple[int, list[Access]]:
    """How many permissions were asked about, and those that are denied, so that these RuntimeClasses are there afterwards.

    They are read instead of asked about, since a role may name those that may be read. To make one is asked for only where
    one is missing, or nobody can tell: somebody else may look after them.

    :raises ApiError: no answer.
    """
    if not names:
        return 0, []
    try:
        found = [client.get_or_none(api_path("runtimeclasses", name=name, api="apis/node.k8s.io/v1")) for name in names]
    except ApiError as error:
        if error.status != 403:
            raise
        return 2, [*find_missing(client, [MAKE_RUNTIME_CLASS]), READ_RUNTIME_CLASS]
    if None not in found:
        return 1, []
    return 2, find_missing(client, [MAKE_RUNTIME_CLASS])


def _is_allowed(client: KubeClient, access: Access) -> bool:
    answer = client.create(_REVIEWS, access.review())
    return bool((answer.get("status") or {}).get("allowed"))

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Namespaces that must be there before anything can be made in them. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import TRIES, passes, pause
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names


def namespace_action(api: KubeApi, name: str) -> list[str]:
    """The line for the result if the namespace is missing."""
    missing = api.get_or_none(api_path("namespaces", name=name)) is None
    return [f"create Namespace {name}"] if missing else []


def ensure_namespace(api: KubeApi, clock: Clock, name: str) -> None:
    """Create the namespace if it is missing. One that exists is left as it is, whoever made it."""
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    for attempt in range(TRIES):
        if api.get_or_none(api_path("namespaces", name=name)) is not None:
            return
        try:
            api.create(api_path("namespaces"), body)
        except ApiError as error:
            if not passes(error):  # a conflict passes: somebody was faster
                raise
            trouble = error
            pause(clock, attempt, error)
        else:
            return
    raise trouble

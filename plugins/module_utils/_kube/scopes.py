# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods the options and the plan want to leave each node. PRIVATE to the collection."""

from __future__ import annotations

import os
from typing import Any, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import (
    AFFECTED,
    ALL,
    GPU_PODS,
    NONE,
    Rules,
    Scope,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse, read_use
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.documents import read_document
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import EvictionWish, NodeTarget

AS_PLANNED = "as_planned"
#: What may be asked for instead.
SCOPES = (NONE, AFFECTED, GPU_PODS, ALL)


def read_scopes(params: Mapping[str, Any], targets: Iterable[NodeTarget]) -> dict[str, Scope]:
    """Nodes that pods may have to leave, each with the judge of its pods. Others are left out.

    :raises InputError: pods of certain devices are to leave a node, and no device is named.
    :raises KubeGpuError: the facts cannot be read.
    """
    wishes = {target.name: _wish(params, target) for target in targets}
    nameless = [name for name, wish in wishes.items() if wish.scope == AFFECTED and not _says_what(wish)]
    if nameless:
        problem = "evict is affected, but devices names none of node {}: give the ids of the GPUs or MIG devices."
        raise InputError("options", [problem.format(name) for name in nameless])
    wishes = {name: wish for name, wish in wishes.items() if wish.scope != NONE}
    needs_facts = [name for name, wish in wishes.items() if wish.scope == AFFECTED or params["include_gpu_users"]]
    uses = read_uses(params["facts_dir"], needs_facts)
    expected = {target.name: target.expected for target in targets}
    return {
        name: Scope(
            wish=wish,
            rules=read_rules(params),
            use=uses.get(name, NodeUse()),
            gpu_users=params["include_gpu_users"],
            expected=expected[name],
        )
        for name, wish in wishes.items()
    }


def read_rules(params: Mapping[str, Any]) -> Rules:
    """What the operator agreed to."""
    return Rules(params["force"], params["delete_emptydir_data"])


def read_uses(directory: str | None, nodes: Iterable[str]) -> dict[str, NodeUse]:
    """Which devices pods hold, as gpu_info's files tell it of nodes. One without a file is left out."""
    return {node: read_use(facts) for node, facts in read_facts(directory, nodes).items()}


def read_facts(directory: str | None, nodes: Iterable[str]) -> dict[str, Mapping[str, Any]]:
    """What gpu_info found on nodes. One without a file is left out.

    A file is called after its host, whose name is mostly the node's, so that rarely more is read than is needed.
    """
    missing = set(nodes)
    if not directory or not missing:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for path in _files(directory, missing):
        document = read_document(path, "facts")
        node = document.get("node") or document.get("host")
        if node in missing:
            found[node] = document.get("facts") or {}
            missing.discard(node)
        if not missing:
            break
    return found


def _files(directory: str, nodes: Iterable[str]) -> list[str]:
    try:
        names = sorted(name for name in os.listdir(directory) if name.endswith(".json"))
    except OSError as error:
        raise KubeGpuError(
            f"Cannot read the facts in {directory}: {error.strerror}. Give the directory that gpu_info wrote to (facts_dir)."
        ) from error
    first = {f"{node}.json" for node in nodes}
    return [os.path.join(directory, name) for name in sorted(names, key=lambda name: name not in first)]


def _wish(params: Mapping[str, Any], target: NodeTarget) -> EvictionWish:
    devices = tuple((params["devices"] or {}).get(target.name) or ())
    if params["evict"] == AS_PLANNED:
        return target.evict
    return EvictionWish(
        scope=params["evict"],
        devices=devices or target.evict.devices,
        fit=target.evict.fit if params["evict"] == AFFECTED and not devices else None,
    )


def _says_what(wish: EvictionWish) -> bool:
    return bool(wish.devices) or wish.fit is not None

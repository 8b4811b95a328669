# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our older configs that nodes go back to, as they stand in a plan. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import object_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.nodes import Return
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.past import Past

_KINDS = ("ConfigMap", "DaemonSet")


def describe_configs(backs: Sequence[Return], past: Past) -> dict[str, dict[str, Any]]:
    """Configs by key, with the objects of each revision that a node goes back to."""
    nodes_of: dict[str, dict[str, list[str]]] = {}
    for back in backs:
        if back.key is not None and back.revision is not None:
            nodes_of.setdefault(back.key, {}).setdefault(back.revision, []).append(back.name)
    return {key: _describe(nodes_of[key], past) for key in sorted(nodes_of)}


def _describe(nodes_of: Mapping[str, Sequence[str]], past: Past) -> dict[str, Any]:
    revisions = sorted(nodes_of)
    objects = [manifest for revision in revisions for manifest in (past.objects or {}).get(revision, ())]
    objects.sort(key=lambda manifest: _KINDS.index(manifest["kind"]))
    files = [text for one in objects if one["kind"] == "ConfigMap" for text in (one.get("data") or {}).values()]
    return {
        "revision": revisions[0] if len(revisions) == 1 else None,
        "revisions": revisions,
        "sharing": "as before",
        "replicas": {},
        # One key may have had several revisions at a time: all are needed again.
        "config_file": "---\n".join(files) if files else None,
        "objects": objects,
        "match": None,
        "products": [],
        "nodes": sorted(name for names in nodes_of.values() for name in names),
        "sizing": None,
    }


def lacking(back: Return, past: Past, cluster: Mapping[str, Any]) -> list[str]:
    """Objects that serve a node once it is back and that neither the snapshot nor the cluster has, as sentences without the node."""
    if back.revision is None or back.key is None:
        return []
    recorded = {manifest["kind"] for manifest in (past.objects or {}).get(back.revision, ())}
    name = object_name(back.key, back.revision)
    present = {
        kind
        for kind, beside in (("ConfigMap", "config_maps"), ("DaemonSet", "daemon_sets"))
        if any(one.get("name") == name for one in cluster.get(beside) or ())
    }
    if any(plugin.get("name") == name for plugin in cluster.get("plugins") or ()):
        # In another namespace than the one that was looked at. Its ConfigMap is beside it.
        return []
    return [
        f"{kind} {name} is needed for config {back.key} revision {back.revision}, and neither the snapshot of run {past.run} nor the "
        "cluster has it. Roll that config out again instead"
        for kind in _KINDS
        if kind not in recorded | present
    ]

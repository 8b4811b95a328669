# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who serves a node once it is back. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.releases import (
    Release,
    choose_release,
    daemonset_of,
    is_ours,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.selection import selects
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.nodes import Return


@dataclass(frozen=True)
class Server:
    """The plugin of a node that goes back.

    :param plugin: "namespace/name" of somebody else's DaemonSet; "" if that is a revision of ours, or nobody.
    :param release: how a plugin that serves the node now leaves it; only where a revision of ours comes back.
    :param problems: what is in the way, as sentences without the node.
    """

    plugin: str = ""
    release: Release | None = None
    problems: Tuple[str, ...] = ()


def choose_server(back: Return, incumbents: Sequence[Mapping[str, Any]], cluster: Mapping[str, Any]) -> Server:
    """Decide who serves a node.

    :param incumbents: plugins of others that serve or select the node now.
    """
    coming = [
        plugin
        for plugin in cluster.get("plugins") or ()
        if not is_ours(plugin) and selects(plugin, back.name, back.labels_after)
    ]
    if back.revision is not None:
        return _ours(incumbents, coming, cluster)
    if len(coming) > 1:
        names = " and ".join(map(daemonset_of, coming))
        return Server(
            problems=(
                f"two device plugins of others would serve it ({names}), on one socket. Remove one of them first",
            )
        )
    if coming:
        return Server(daemonset_of(coming[0]))
    if not back.expected:
        return Server()
    recorded = back.entry.get("plugin")
    which = (
        f"DaemonSet {recorded}, which served it, is gone or does not select it any more"
        if recorded
        else "no plugin selects it"
    )
    return Server(problems=(f"nobody would serve it: {which}. Bring the plugin back first, or put the node on hold",))


def _ours(
    incumbents: Sequence[Mapping[str, Any]], coming: Sequence[Mapping[str, Any]], cluster: Mapping[str, Any]
) -> Server:
    if len(incumbents) > 1:
        names = " and ".join(map(daemonset_of, incumbents))
        return Server(
            problems=(f"two device plugins of others serve or select it ({names}), on one socket. Remove one first",)
        )
    if incumbents:
        return Server(release=choose_release(incumbents[0], cluster.get("label_users") or {}))
    if coming:
        name = daemonset_of(coming[0])
        return Server(
            problems=(f"DaemonSet {name} would serve it beside our revision. Change its node selector first",)
        )
    return Server()

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else changes for workloads when somebody else's device plugin makes room for ours. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugin_settings import read_settings
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.releases import daemonset_of

# How a container gets its devices. A new pod notices when one of these changes.
_NOTICED = (
    "passDeviceSpecs",
    "deviceListStrategy",
    "deviceIDStrategy",
    "nvidiaDriverRoot",
    "nvidiaDevRoot",
    "gdsEnabled",
    "mofedEnabled",
    "gdrcopyEnabled",
)
# Of GPUs without MIG there is nothing to choose; where the config says something of MIG, the strategy is its own word.
_HARMLESS = ("migStrategy",)
_CURES = {
    False: "To keep it as it is, say so in the config's plugin_flags.",
    True: "GPUs under this config have no MIG devices, so that nothing changes by it.",
}


def settings_changes(
    plugins: Sequence[Mapping[str, Any]],
    nodes: Mapping[str, Mapping[str, Any]],
    documents: Mapping[str, Mapping[str, Any]],
) -> Iterator[dict[str, str]]:
    """An entry of the compatibility report for each setting that a node's present plugin has and ours will not.

    :param nodes: the plan's nodes, as they stand in it.
    :param documents: the plugin's config file as data, by key.
    """
    present = {daemonset_of(plugin): plugin.get("settings") or {} for plugin in plugins}
    pairs = sorted({(node["release"]["daemonset"], node["key"]) for node in nodes.values() if node["release"]})
    for daemonset, key in pairs:
        wanted = {name: found["value"] for name, found in read_settings((), {}, documents[key]).items()}
        for setting in (*_NOTICED, *_HARMLESS):
            before, after = present[daemonset].get(setting, wanted[setting]), wanted[setting]
            if setting in _HARMLESS and wanted[setting] != "none":
                continue
            if before != after:
                yield {
                    "severity": "info" if setting in _HARMLESS else "warning",
                    "code": "plugin_setting_changes",
                    "object": f"config {key}",
                    "message": f"{setting} is {_show(before)} in DaemonSet {daemonset} and becomes {_show(after)}. {_CURES[setting in _HARMLESS]}",
                }


def _show(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value) or "not set"

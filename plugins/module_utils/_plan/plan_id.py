# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of a plan: a hash over what it decides. PRIVATE to the collection.

Who approves a plan approves its decisions. Pods, usage, warnings and times change from one minute to the next, and must
not make it another plan.
"""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.objects import digest

_DIGITS = 16


def plan_id(
    nodes: Mapping[str, Mapping[str, Any]],
    configs: Mapping[str, Mapping[str, Any]],
    releases: Sequence[Mapping[str, Any]],
    waves: Sequence[Sequence[str]],
) -> str:
    """16 hexadecimal digits over: per changed node what it is and becomes, how it is disturbed and what is taken off it, the MIG
    devices that it ends with, and what is done about its container runtime; the configs that these nodes get; the sizes of the waves.

    The revision covers a config's file and everything else in the plugin's pod.
    """
    changed = {name: node for name, node in nodes.items() if node["changed"]}
    keys = {node["key"] for node in changed.values()}
    decisions = {
        "nodes": {
            name: {
                **{word: node[word] for word in ("from", "to", "disruption", "release")},
                **_mig(node),
                **_runtime(node),
            }
            for name, node in changed.items()
        },
        "configs": {key: {word: configs[key][word] for word in ("revision", "config_file")} for key in keys},
        "releases": [{word: release[word] for word in ("daemonset", "method", "patch")} for release in releases],
        "wave_sizes": [len(wave) for wave in waves],
    }
    return digest(decisions)[:_DIGITS]


def _mig(node: Mapping[str, Any]) -> dict[str, Any]:
    """Where its GPUs end, not who uses them now, nor which ids their instances have."""
    mig = node.get("mig")
    if not mig:
        return {}
    gpus = [{"uuid": gpu["uuid"], **gpu["after"]} for gpu in mig["gpus"]]
    return {"mig": {"strategy": mig["strategy"], "gpus": gpus}}


def _runtime(node: Mapping[str, Any]) -> dict[str, Any]:
    """The digest is over the files as they are to be, and the units that are restarted."""
    runtime = node.get("runtime")
    return {"runtime": {word: runtime[word] for word in ("engine", "restart", "units", "digest")}} if runtime else {}

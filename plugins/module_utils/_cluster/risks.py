# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is risky about a device plugin as it was found. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Callable, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugin_settings import (
    COMMAND_LINE,
    DEFAULT,
    FILE,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import image_tag
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import parse_version

Plugin = Mapping[str, Any]
#: Before this one: no MPS, and the command line was the usual way to configure it.
_OLD = (0, 15, 0)
_OWNERS = {
    "helm": "Helm release {name}",
    "addon": "{name}",
    "owner_reference": "{name}",
}


def find_risks(plugin: Plugin) -> list[dict[str, str]]:
    """Risks of one plugin, each {code, message}. Ours has none by how it is made, except for pods that are not ready."""
    checks = _POD_CHECKS if plugin["owner"]["kind"] == "kubegpu" else (*_CHECKS, *_POD_CHECKS)
    return [{"code": code, "message": message} for check in checks for code, message in check(plugin)]


def find_overlaps(plugins: Sequence[Plugin]) -> dict[str, dict[str, str]]:
    """The risk of plugins that share a node, by plugin uid.

    Both use one socket: the node looks well until one of them ends, then its allocatable goes to 0 and stays there.
    """
    on_node: dict[str, dict[str, str]] = {}
    for plugin in plugins:
        for node in plugin["nodes"]:
            on_node.setdefault(node, {})[plugin["uid"]] = f"{plugin['namespace']}/{plugin['name']}"
    shared = {node: names for node, names in on_node.items() if len(names) > 1}
    risks: dict[str, dict[str, str]] = {}
    for plugin in plugins:
        nodes = sorted(node for node, names in shared.items() if plugin["uid"] in names)
        if nodes:
            others = sorted({name for node in nodes for uid, name in shared[node].items() if uid != plugin["uid"]})
            message = (
                f"runs beside {', '.join(others)} on {_some(nodes)}: both use one socket, and when one of them ends "
                "the node advertises no GPU any more."
            )
            risks[plugin["uid"]] = {"code": "several_plugins", "message": message}
    return risks


def _fail_on_init_error(plugin: Plugin) -> Iterator[tuple[str, str]]:
    if not plugin["settings"]["failOnInitError"]:
        yield (
            "fail_on_init_error_false",
            "failOnInitError is false: on a node whose driver or GPU is broken the plugin runs and advertises no GPU, "
            "and nothing shows that something is wrong.",
        )


def _config_file(plugin: Plugin) -> Iterator[tuple[str, str]]:
    if plugin["config_source"] == "none":
        yield (
            "no_config_file",
            "it has no config file: sharing can be had only by giving it one or by replacing it.",
        )
        return
    source = plugin["setting_sources"]["migStrategy"]
    if source not in (FILE, DEFAULT):
        place = "--mig-strategy on the command line" if source == COMMAND_LINE else "MIG_STRATEGY in the environment"
        yield (
            "mig_strategy_beats_file",
            f"{place} ({plugin['settings']['migStrategy']}) beats migStrategy in the config file.",
        )


def _update_strategy(plugin: Plugin) -> Iterator[tuple[str, str]]:
    if plugin["update_strategy"] != "OnDelete":
        yield (
            "rolling_update",
            "its update strategy is RollingUpdate: a change of its template restarts it on all nodes at the "
            "controller's own pace, whether the first node is well or not.",
        )


def _privileged(plugin: Plugin) -> Iterator[tuple[str, str]]:
    if plugin["privileged"]:
        yield "privileged", "it runs privileged: root in its container is root on the node."


def _version(plugin: Plugin) -> Iterator[tuple[str, str]]:
    tag = image_tag(plugin["image"])
    if tag is None or tag == "latest":
        yield "floating_image", f"its image {plugin['image']} names no version: a restart may bring another one."
    if plugin["version"] is None:
        yield "unknown_version", f"its image {plugin['image']} does not tell its version, so its rules are not known."
    elif parse_version(plugin["version"]) < _OLD:
        yield (
            "old_version",
            f"{plugin['version']} is old: it knows no MPS (from v0.15.0 on), and crashes if its config file is a directory.",
        )


def _owner(plugin: Plugin) -> Iterator[tuple[str, str]]:
    owner = plugin["owner"]
    if owner["kind"] in _OWNERS:
        who = _OWNERS[owner["kind"]].format(name=owner["name"] or "of unknown name")
        yield "owned", f"{who} owns it, and undoes changes made by hand at its next upgrade or reconciliation."


def _priority(plugin: Plugin) -> Iterator[tuple[str, str]]:
    if not plugin["priority_class"]:
        yield "no_priority_class", "it has no priority class: on a full node it may be evicted, and the GPUs with it."


def _pods(plugin: Plugin) -> Iterator[tuple[str, str]]:
    waiting = sorted(
        pod["node"] or pod["name"] for pod in plugin["pods"] if not pod["ready"] and not pod["terminating"]
    )
    if waiting:
        yield "not_ready", f"its pod is not ready on {_some(waiting)}."


_CHECKS: tuple[Callable[[Plugin], Iterator[tuple[str, str]]], ...] = (
    _owner,
    _fail_on_init_error,
    _config_file,
    _update_strategy,
    _version,
    _privileged,
    _priority,
)
_POD_CHECKS = (_pods,)


def _some(names: Sequence[str], limit: int = 5) -> str:
    listed = ", ".join(names[:limit])
    return listed + (f" and {len(names) - limit} more" if len(names) > limit else "")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The safe order in which the environment variable NVIDIA_VISIBLE_DEVICES comes to be refused. Pure. PRIVATE to the collection.

With it, any image that sets the variable sees GPUs that nobody gave it. To refuse it, five things have to be done, in this order: all
nodes accept volume mounts; the device plugin names devices by them; what sees GPUs without having been given one is made to see them
otherwise; pods with GPUs, whose devices were named when they came to their node, have been made anew; the variable is refused. Out of
order, every unprivileged pod loses its GPU at its next start, without a word from anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.cluster import GpuNode, GpuPod, Template
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.toolkit_file import ToolkitSwitches
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.watchers import Watcher
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

NODES, PLUGIN = "accept_volume_mounts", "name_devices_by_mounts"
WATCHERS, PODS = "privilege_watchers", "recreate_pods"
_NEXT = {
    NODES: "Set kubegpu_runtime_visible_devices: both, and run the role nvidia_container_runtime on all nodes with GPUs in one run. "
    "Leave the device plugin as it is until then.",
    PLUGIN: "Let the device plugin name devices by mounts (with this collection: plugin_flags: {plugin: {deviceListStrategy: [volume-mounts]}} in every "
    "config of kubegpu_sharing_configs), and let its pods be made anew. A command line or environment that says otherwise wins over the file.",
    WATCHERS: "Let these containers see GPUs without the variable: with securityContext.privileged or the capability SYS_ADMIN (this collection's own "
    "plugin: privileged: true in kubegpu_device_plugin), or with /dev/null mounted at /var/run/nvidia-container-devices/all. One that needs no GPU "
    "gets the variable with the value void.",
    PODS: "Recreate these pods: the devices of a pod are named once, when it comes to its node, and a restart of its containers changes nothing of that.",
}


@dataclass(frozen=True)
class Step:
    """A step of the order.

    :param missing: one sentence for each node, plugin or pod that it has yet to be done for.
    """

    name: str
    missing: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """As data."""
        return {"name": self.name, "done": not self.missing, "missing": list(self.missing), "how": _NEXT[self.name]}


@dataclass(frozen=True)
class Verdict:
    """Whether the variable may be refused."""

    steps: Sequence[Step]

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not any(step.missing for step in self.steps)

    @property
    def next(self) -> str:
        """What to do first; "" if nothing is missing."""
        return next((_NEXT[step.name] for step in self.steps if step.missing), "")

    def describe(self) -> str:
        """All that is missing, in order; "" if nothing is."""
        if self.ready:
            return ""
        lines = [
            "Refusing the environment variable now would take GPUs from pods at their next start. Yet to be done, in this order:"
        ]
        for number, step in enumerate(self.steps, start=1):
            lines += [f"  {number}. {_NEXT[step.name]}"] if step.missing else []
            lines += [f"     - {sentence}" for sentence in step.missing]
        return "\n".join(lines)


def judge(
    nodes: Sequence[GpuNode],
    templates: Sequence[Template],
    toolkit: Mapping[str, ToolkitSwitches],
    mounted: frozenset[str] = frozenset(),
) -> Verdict:
    """The verdict.

    :param nodes: all of the cluster that have GPUs.
    :param toolkit: by node, of those whose file was read.
    :param mounted: UIDs of pods that were seen to have their devices by mounts, whenever they came.
    """
    accepting = list(_check_nodes(nodes, toolkit))
    naming = [*_check_plugins(nodes), *_check_templates(templates)]
    # Where the variable is refused already, nobody is to lose anything by it any more.
    open_nodes = [node for node in nodes if toolkit.get(node.name, ToolkitSwitches()).environment]
    recreating = [sentence for node in open_nodes for sentence in _check_pods(node, mounted)]
    watching = list(_check_watchers(open_nodes))
    steps = {NODES: accepting, PLUGIN: naming, WATCHERS: watching, PODS: recreating}
    return Verdict(tuple(Step(name, missing) for name, missing in steps.items()))


def _check_nodes(nodes: Sequence[GpuNode], toolkit: Mapping[str, ToolkitSwitches]) -> Iterator[str]:
    for node in nodes:
        found = toolkit.get(node.name)
        if found is None:
            why = "it is no host of this run, is asked for something else in it, or was not reached"
            yield f"node {node.name} has GPUs, and its toolkit's config.toml was not read: {why}."
        elif found.problem:
            yield f"node {node.name}: its toolkit's config.toml cannot be understood: {found.problem}"
        elif not found.volume_mounts:
            yield f"node {node.name} does not accept volume mounts{_already(node)}."


def _already(node: GpuNode) -> str:
    if node.plugins and not any(plugin.strategy.needs_environment for plugin in node.plugins):
        return ", though its device plugin already names devices otherwise than by the variable: pods that start there may get no GPU"
    return ""


def _check_plugins(nodes: Sequence[GpuNode]) -> Iterator[str]:
    for node in nodes:
        if not node.plugins and (node.allocatable or node.pods):
            yield f"node {node.name} has GPUs in use or on offer, and no device plugin was found on it that is known."
        for plugin in node.plugins:
            if plugin.strategy.needs_environment:
                yield f"node {node.name}: the device list strategy of {plugin.title} is {plugin.strategy.describe()}."


def _check_templates(templates: Sequence[Template]) -> Iterator[str]:
    for template in templates:
        if template.strategy.needs_environment:
            yield f"DaemonSet {template.title}: the device list strategy of its next pods is {template.strategy.describe()}."


def _check_watchers(nodes: Sequence[GpuNode]) -> Iterator[str]:
    found: dict[Watcher, list[str]] = {}
    for node in nodes:
        for watcher in node.watchers:
            found.setdefault(watcher, []).append(node.name)
    for watcher, names in sorted(found.items(), key=str):
        more = len(set(names)) - 1
        where = f"{names[0]} and {more} more" if more else names[0]
        yield f"{watcher.title} (container {watcher.container}, on {where}) sees GPUs by the variable alone."


def _check_pods(node: GpuNode, mounted: frozenset[str]) -> Iterator[str]:
    """Pods that came before the plugin did as it does now. Where that is not so yet, all of them will have to be made anew, later."""
    if not node.plugins or any(plugin.strategy.needs_environment for plugin in node.plugins):
        return
    since = max(plugin.strategy.since for plugin in node.plugins)
    for pod in node.pods:
        if not pod.uids & mounted and not _is_after(pod, since):
            came = f"came at {pod.bound}" if pod.bound else "came at a time that nothing tells"
            yield f"pod {pod.title} on node {node.name} {came}, and the plugin there names devices so since {since}."


def _is_after(pod: GpuPod, since: str) -> bool:
    came, began = parse_time(pod.bound), parse_time(since)
    return came is not None and began is not None and came > began

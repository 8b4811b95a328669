# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a device plugin that runs names devices to containers. Pure. PRIVATE to the collection.

What counts is the pod that runs: a DaemonSet's template may have been changed since, and a ConfigMap that has changed is read at the
plugin's next start.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugin_settings import COMMAND_LINE, ENVIRONMENT
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import (
    ConfigSource,
    find_config_source,
    read_plugin,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import CONFIG_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

_SETTING = "deviceListStrategy"
_VARIABLE = "DEVICE_LIST_STRATEGY"
_DEFAULT_CONFIG = "DEFAULT_CONFIG"
_VARIABLE_STRATEGY = "envvar"
_MOUNTS = "volume-mounts"
# What these say counts, whatever the file says.
_BEFORE_FILE = (COMMAND_LINE, ENVIRONMENT)


@dataclass(frozen=True)
class Strategy:
    """How devices are named.

    :param values: such as ("envvar",); empty if it is not known.
    :param source: command line, environment, file or default.
    :param since: RFC 3339, when the plugin began to; "" of a template.
    :param problem: why it is not known, "" if it is.
    """

    values: tuple[str, ...] = ()
    source: str = ""
    since: str = ""
    problem: str = ""

    @property
    def needs_environment(self) -> bool:
        """Whether unprivileged containers need the environment variable to get their devices, as far as is known.

        The toolkit takes mounts before the variable. CDI does without it as well, but where the variable is given beside it nobody knows
        which of the two does the work.
        """
        return _MOUNTS not in self.values and (not self.values or _VARIABLE_STRATEGY in self.values)

    def describe(self) -> str:
        """In words: envvar (default)."""
        return self.problem or f"{','.join(self.values)} ({self.source})"


def config_source_of_pod(pod: Mapping[str, Any], container: Mapping[str, Any]) -> ConfigSource:
    """Where a plugin's pod has its config file from."""
    return find_config_source(_as_daemonset(pod), container)


def read_pod_strategy(
    pod: Mapping[str, Any],
    container: Mapping[str, Any],
    node_labels: Mapping[str, str],
    config_map: Mapping[str, Any] | None,
) -> Strategy:
    """The strategy of a plugin's pod.

    :param node_labels: of its node, by which a sidecar may choose the config.
    :param config_map: the one that its config source names, if there is one.
    """
    since = _started(pod, container)
    if not since:
        return Strategy(problem="not known, for it does not run")
    like = _as_daemonset(pod)
    source = find_config_source(like, container)
    key = _choose_key(pod, node_labels, config_map) if source.per_node else source.key
    text = ((config_map or {}).get("data") or {}).get(key)
    found = _read(like, container, text, source)
    if found.problem or found.source in _BEFORE_FILE or source.kind != "configmap":
        return Strategy(found.values, found.source, since, found.problem)
    changed = _changed(config_map or {})
    if changed and not _is_before(changed, since):
        return Strategy(
            problem=f"not known, for the ConfigMap {source.config_map} has been written to at {changed}, after it started at {since}"
        )
    return Strategy(found.values, found.source, since)


def read_template_strategy(
    daemonset: Mapping[str, Any], container: Mapping[str, Any], config_map: Mapping[str, Any] | None
) -> Strategy | None:
    """What the next pod of a DaemonSet would do; None if each node chooses for itself."""
    source = find_config_source(daemonset, container)
    if source.per_node:
        return None
    return _read(daemonset, container, ((config_map or {}).get("data") or {}).get(source.key), source)


def _read(
    daemonset: Mapping[str, Any], container: Mapping[str, Any], text: str | None, source: ConfigSource
) -> Strategy:
    plugin = read_plugin(daemonset, container, text)
    values, place = tuple(plugin["settings"][_SETTING]), plugin["setting_sources"][_SETTING]
    if place != COMMAND_LINE:
        if _is_set_elsewhere(container):
            return Strategy(problem=f"not known, for {_VARIABLE} or other variables are taken from other objects")
        if source.kind != "none" and plugin["config"] is None and place != ENVIRONMENT:
            where = f"the ConfigMap {source.config_map}" if source.config_map else "a file that is not in the cluster"
            return Strategy(problem=f"not known, for its config is in {where}, and cannot be read there")
    return Strategy(values, place)


def _is_set_elsewhere(container: Mapping[str, Any]) -> bool:
    entries = [entry for entry in container.get("env") or () if entry.get("name") == _VARIABLE]
    return any("valueFrom" in entry for entry in entries) or (not entries and bool(container.get("envFrom")))


def _choose_key(pod: Mapping[str, Any], node_labels: Mapping[str, str], config_map: Mapping[str, Any] | None) -> str:
    """What the config-manager takes: what the node's label names, else its default, else the only one there is."""
    if node_labels.get(CONFIG_LABEL):
        return node_labels[CONFIG_LABEL]
    spec = pod.get("spec") or {}
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        for entry in container.get("env") or ():
            if entry.get("name") == _DEFAULT_CONFIG and entry.get("value"):
                return str(entry["value"])
    keys = list((config_map or {}).get("data") or {})
    return keys[0] if len(keys) == 1 else ""


def _started(pod: Mapping[str, Any], container: Mapping[str, Any]) -> str:
    """When the plugin's container started; "" if it does not run."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        if status.get("name") == container.get("name"):
            return str(((status.get("state") or {}).get("running") or {}).get("startedAt") or "")
    return ""


def _changed(config_map: Mapping[str, Any]) -> str:
    """When a ConfigMap was written to last, as far as it tells; "" of one that cannot be changed."""
    if config_map.get("immutable"):
        return ""
    metadata = config_map.get("metadata") or {}
    times = [str(entry["time"]) for entry in metadata.get("managedFields") or () if entry.get("time")]
    return max([*times, metadata.get("creationTimestamp") or ""])


def _is_before(one: str, other: str) -> bool:
    first, second = parse_time(one), parse_time(other)
    return first is not None and second is not None and first <= second


def _as_daemonset(pod: Mapping[str, Any]) -> dict[str, Any]:
    """A pod as a DaemonSet whose template it is."""
    return {"metadata": pod["metadata"], "spec": {"template": {"spec": pod.get("spec") or {}}}}

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the device plugin is to be deployed: the operator's kubegpu_device_plugin, checked. PRIVATE to the collection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any, Mapping, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import CONFIG_LABEL, REVISION_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import (
    DEFAULT_VERSION,
    OLDEST,
    parse_version,
    show_version,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import kind_of, unknown_words

WHERE = "kubegpu_device_plugin"
BACKENDS = ("daemonset_per_key", "config_manager", "patch", "helm", "gpu_operator")
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_TAGGED = re.compile(r":[^/@]+$")


def _default_resources() -> dict[str, Any]:
    return {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}}


@dataclass(frozen=True)
class PluginOptions:
    """What the manifests are made from, besides key and config.

    :param image: repository without a tag; ``version`` is the tag.
    :param tolerations: besides those that every DaemonSet of ours has.
    :param node_selector: labels besides the two that tie a DaemonSet to its key and revision.
    :param privileged: needed with the kubelet's static CPU manager, which takes the devices away from the plugin's own
        container when it rewrites its cgroup.
    :param kubelet_root: the kubelet's directory on the nodes.
    """

    backend: str = "daemonset_per_key"
    namespace: str = "kubegpu-system"
    image: str = "nvcr.io/nvidia/k8s-device-plugin"
    version: str = DEFAULT_VERSION
    priority_class: str = "system-node-critical"
    runtime_class: str = ""
    image_pull_secrets: Tuple[str, ...] = ()
    tolerations: Tuple[Mapping[str, Any], ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, Any] = field(default_factory=_default_resources)
    privileged: bool = False
    kubelet_root: str = "/var/lib/kubelet"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the plan."""
        return {
            "backend": self.backend,
            "namespace": self.namespace,
            "image": self.image,
            "version": self.version,
        }


_WORDS = tuple(one.name for one in fields(PluginOptions))
_TEXTS = ("backend", "namespace", "image", "version", "priority_class", "runtime_class", "kubelet_root")


def read_options(given: Any) -> tuple[PluginOptions, list[str]]:
    """The options, and what is wrong with them; with problems the options are the defaults."""
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        return PluginOptions(), [f"{WHERE} is {kind_of(given)}; give a mapping such as {{version: {DEFAULT_VERSION}}}."]
    problems = unknown_words(WHERE, given, _WORDS) + _check_types(given)
    if problems:
        return PluginOptions(), problems
    options = PluginOptions(**{word: _settle(value) for word, value in given.items()})
    problems = [f"{WHERE}.{problem}" for problem in _check_values(options)]
    return (PluginOptions() if problems else options), problems


def _settle(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_types(given: Mapping[str, Any]) -> list[str]:
    wanted: dict[str, tuple[Any, str]] = dict.fromkeys(_TEXTS, (str, "a string"))
    wanted["image_pull_secrets"] = wanted["tolerations"] = ((list, tuple), "a list")
    wanted["node_selector"] = wanted["resources"] = (Mapping, "a mapping")
    wanted["privileged"] = (bool, "true or false")
    problems = [
        f"{WHERE}.{word} is {kind_of(value)} ({value!r}); give {wanted[word][1]}."
        for word, value in given.items()
        if word in wanted and not isinstance(value, wanted[word][0])
    ]
    for label, value in _mapping(given.get("node_selector")).items():
        if not isinstance(value, str):
            problems.append(f"{WHERE}.node_selector.{label} is {kind_of(value)} ({value!r}); put it in quotes.")
    for number, toleration in enumerate(_sequence(given.get("tolerations"))):
        if not isinstance(toleration, Mapping):
            problems.append(
                f"{WHERE}.tolerations[{number}] is {kind_of(toleration)}; give a mapping with key and effect."
            )
    return problems


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _sequence(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _check_values(options: PluginOptions) -> list[str]:
    problems = []
    if options.backend not in BACKENDS:
        problems.append(f"backend is {options.backend!r}; give {BACKENDS[0]}.")
    elif options.backend != BACKENDS[0]:
        problems.append(f"backend {options.backend} is not supported yet; give {BACKENDS[0]}.")
    if not _DNS_LABEL.fullmatch(options.namespace):
        problems.append(f"namespace {options.namespace!r} is no valid name; use lower case letters, digits and '-'.")
    if not options.image or _TAGGED.search(options.image) or "@" in options.image:
        problems.append(
            f"image {options.image!r} must be a repository without tag or digest; the tag is kubegpu_device_plugin.version."
        )
    if not options.kubelet_root.startswith("/"):
        problems.append(f"kubelet_root {options.kubelet_root!r} is not an absolute path.")
    for label in (CONFIG_LABEL, REVISION_LABEL):
        if label in options.node_selector:
            problems.append(f"node_selector holds {label}, which ties each DaemonSet to its config; take it out.")
    return problems + _check_version(options.version)


def _check_version(text: str) -> list[str]:
    try:
        version = parse_version(text)
    except ValueError as error:
        return [f"version: {error}; name one release, since its rules decide what may be in the config file."]
    if version < OLDEST:
        return [
            f"version {text} is too old: its config file cannot say how a GPU is shared among the cards of a node. "
            f"Give {show_version(OLDEST)} or newer, for example {DEFAULT_VERSION}."
        ]
    return []

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds the device plugins of a cluster and how they are told what to do. PRIVATE to the collection."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.owners import find_owner
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugin_settings import read_settings
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import parse_version, show_version

try:
    import yaml
except ImportError:
    # PyYAML comes with the kubernetes library, without which nothing gets here.
    yaml = None  # type: ignore[assignment]  # such an optional import has no type

# k8s-device-plugin is NVIDIA's own; clouds ship it, or a plugin of their own for the same resource, under other names.
_IMAGE = re.compile(r"(?:k8s|nvidia(?:-gpu)?|volcano(?:-v?gpu)?)-device-plugin(?:-.*)?")
# AMD's plugin has the same image name.
_FOREIGN_IMAGES = ("rocm/", "amdgpu/")
_BINARY = "nvidia-device-plugin"
# Programs of the same image that are no device plugin.
_OTHER_PROGRAMS = ("gpu-feature-discovery", "config-manager", "mps-control-daemon")
_CONFIG_MANAGER = "config-manager"
_CHART = re.compile(r".*-(v?\d+\.\d+\.\d+(?:[-+].*)?)")


@dataclass(frozen=True)
class ConfigSource:
    """Where a plugin's config file comes from.

    :param kind: none, file (of the host or the image) or configmap.
    :param config_map: "namespace/name".
    :param key: the one key that the plugin reads; "" if a sidecar chooses one for each node by its label.
    """

    kind: str = "none"
    config_map: str = ""
    key: str = ""
    per_node: bool = False


def find_plugin_container(daemonset: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The container of a DaemonSet's pods in which a device plugin for NVIDIA GPUs runs, or None."""
    return find_plugin_in(_spec(daemonset))


def find_plugin_in(pod_spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The container of a pod in which a device plugin for NVIDIA GPUs runs, or None.

    The image alone does not tell: GPU Feature Discovery, the config-manager and the MPS control daemon come in the same one.
    """
    for container in pod_spec.get("containers") or ():
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        programs = {posixpath.basename(word) for word in words[:1]} | {container.get("name") or ""}
        if any(other in program for other in _OTHER_PROGRAMS for program in programs):
            continue
        if _is_plugin_image(container) or any(posixpath.basename(word) == _BINARY for word in words):
            return container
    return None


def read_plugin(daemonset: Mapping[str, Any], container: Mapping[str, Any], config_text: str | None) -> dict[str, Any]:
    """A device plugin as the cluster file has it, without pods and risks.

    :param config_text: the text of its config file, if it was found.
    """
    metadata, spec = daemonset["metadata"], _spec(daemonset)
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    env = {entry["name"]: entry["value"] for entry in container.get("env") or () if entry.get("value") is not None}
    config = decode_config(config_text)
    source = find_config_source(daemonset, container)
    settings = read_settings(words, env, config)
    strategy = (daemonset.get("spec") or {}).get("updateStrategy") or {}
    image = container.get("image") or ""
    return {
        "namespace": metadata.get("namespace") or "",
        "name": metadata.get("name") or "",
        "uid": metadata.get("uid") or "",
        "generation": metadata.get("generation") or 0,
        "labels": metadata.get("labels") or {},
        "version": find_version(image, metadata.get("labels") or {}),
        "image": image,
        "command": list(container.get("command") or ()),
        "args": list(container.get("args") or ()),
        "env": env,
        "settings": {name: found["value"] for name, found in settings.items()},
        "setting_sources": {name: found["source"] for name, found in settings.items()},
        "config_source": source.kind,
        "config_map": source.config_map or None,
        "config_key": source.key or None,
        "config_per_node": source.per_node,
        "config": config,
        "privileged": bool((container.get("securityContext") or {}).get("privileged")),
        "priority_class": spec.get("priorityClassName") or None,
        "owner": find_owner(daemonset),
        "node_selector": spec.get("nodeSelector") or {},
        "node_affinity": (spec.get("affinity") or {}).get("nodeAffinity"),
        "update_strategy": strategy.get("type") or "RollingUpdate",
        "nodes": [],
        "pods": [],
        "risks": [],
    }


def find_version(image: str, labels: Mapping[str, str]) -> str | None:
    """The version ("v0.14.5") by the image's tag, else by the chart's labels; None if neither tells."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    chart = _CHART.fullmatch(labels.get("helm.sh/chart") or "")
    for text in (tag, labels.get("app.kubernetes.io/version") or "", chart.group(1) if chart else ""):
        try:
            return show_version(parse_version(text))
        except ValueError:
            continue
    return None


def image_tag(image: str) -> str | None:
    """The tag of an image; None if it has none. One that is pinned by digest alone has the tag ""."""
    name, _at, digest = image.rpartition("/")[2].partition("@")
    tag = name.partition(":")[2]
    return tag or ("" if digest else None)


def find_config_source(daemonset: Mapping[str, Any], container: Mapping[str, Any]) -> ConfigSource:
    """Where the config file of a plugin comes from: read off its flags, its mounts and its sidecars."""
    args = [*(container.get("command") or ()), *(container.get("args") or ())]
    env = {entry["name"]: entry.get("value") or "" for entry in container.get("env") or ()}
    path = read_settings(args, env, None)["configFile"]["value"]
    manager = _config_manager(daemonset)
    if manager is not None:
        return _managed_source(daemonset, manager)
    if not path:
        return ConfigSource()
    for mount in container.get("volumeMounts") or ():
        inside = _inside(path, mount)
        if inside is None:
            continue
        name, items = _config_map(daemonset, mount.get("name") or "")
        if name:
            keys = {item.get("path"): item.get("key") for item in items}
            return ConfigSource("configmap", _qualified(daemonset, name), str(keys.get(inside) or inside))
    return ConfigSource("file")


def decode_config(text: str | None) -> dict[str, Any] | None:
    """A config file's content; None if there is none or it is no mapping. It is somebody else's: it may be anything."""
    if text is None:
        return None
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    return content if isinstance(content, dict) else None


def _config_manager(daemonset: Mapping[str, Any]) -> Mapping[str, Any] | None:
    spec = _spec(daemonset)
    for container in [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]:
        words = [*(container.get("command") or ()), *(container.get("args") or ())]
        if any(posixpath.basename(word) == _CONFIG_MANAGER for word in words) or _CONFIG_MANAGER in container.get(
            "name", ""
        ):
            return container
    return None


def _managed_source(daemonset: Mapping[str, Any], manager: Mapping[str, Any]) -> ConfigSource:
    """The sidecar copies the key that the node's label names from where the ConfigMap is mounted."""
    env = {entry["name"]: entry.get("value") or "" for entry in manager.get("env") or ()}
    directory = env.get("CONFIG_FILE_SRCDIR") or "/available-configs"
    for mount in manager.get("volumeMounts") or ():
        if _inside(posixpath.join(directory, "x"), mount):
            name, _items = _config_map(daemonset, mount.get("name") or "")
            if name:
                return ConfigSource("configmap", _qualified(daemonset, name), per_node=True)
    return ConfigSource("file", per_node=True)


def _inside(path: str, mount: Mapping[str, Any]) -> str | None:
    """What a path is within a mount: a file's name in its volume, "" for the mount point itself, None if it lies elsewhere."""
    point = posixpath.normpath(mount.get("mountPath") or "/")
    path = posixpath.normpath(path)
    sub = mount.get("subPath") or ""
    if path == point:
        return sub
    if not path.startswith(point.rstrip("/") + "/"):
        return None
    return posixpath.join(sub, path[len(point.rstrip("/")) + 1 :])


def _config_map(daemonset: Mapping[str, Any], volume_name: str) -> tuple[str, list[Mapping[str, Any]]]:
    for source in _volume_sources(daemonset, volume_name):
        config_map = source.get("configMap")
        if config_map and config_map.get("name"):
            return config_map["name"], config_map.get("items") or []
    return "", []


def _volume_sources(daemonset: Mapping[str, Any], volume_name: str) -> Iterator[Mapping[str, Any]]:
    for volume in _spec(daemonset).get("volumes") or ():
        if volume.get("name") == volume_name:
            yield volume
            yield from (volume.get("projected") or {}).get("sources") or ()


def _qualified(daemonset: Mapping[str, Any], name: str) -> str:
    return f"{daemonset['metadata'].get('namespace') or ''}/{name}"


def _spec(daemonset: Mapping[str, Any]) -> Mapping[str, Any]:
    return ((daemonset.get("spec") or {}).get("template") or {}).get("spec") or {}


def _is_plugin_image(container: Mapping[str, Any]) -> bool:
    path, _slash, name = (container.get("image") or "").partition("@")[0].rpartition("/")
    known = _IMAGE.fullmatch(name.partition(":")[0]) is not None
    return known and not any(foreign in f"{path}/" for foreign in _FOREIGN_IMAGES)

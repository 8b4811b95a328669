# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects that serve one key's config: an immutable ConfigMap and an OnDelete DaemonSet. PRIVATE to the collection.

Both are named by the content of the config, so that what a node runs never changes under it: a plugin reads its file
again whenever the kubelet's socket is made anew, and a changed template would be rolled over all nodes at the
controller's own pace.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.config_file import ConfigFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.options import PluginOptions

CONFIG_DIRECTORY = "/etc/kubegpu"
CONFIG_NAME = "config.yaml"
# Written on the node once its MIG devices are as recorded, and gone at every boot until then: a file that is not there keeps the
# kubelet from starting the plugin, which would advertise the card whole.
MIG_READY = "/run/kubegpu-sharing/mig-ready"
_REVISION_DIGITS = 10
# A container that sees the driver elsewhere than the host has it: where the plugin looks by default.
_DRIVER_ROOT_MOUNT = "/driver-root"
_TOLERATIONS = (
    {"key": "CriticalAddonsOnly", "operator": "Exists"},
    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
)


@dataclass(frozen=True)
class KeyObjects:
    """What a key's config is in the cluster.

    :param name: of both objects, in the options' namespace.
    :param revision: 10 hexadecimal digits over all that decides what the plugin does.
    """

    name: str
    revision: str
    config_file: str
    config_map: dict[str, Any]
    daemon_set: dict[str, Any]

    @property
    def manifests(self) -> list[dict[str, Any]]:
        """In the order in which they are to be made."""
        return [self.config_map, self.daemon_set]


def tolerations_of(options: PluginOptions) -> list[dict[str, Any]]:
    """What the plugin's pods tolerate, besides what the DaemonSet controller adds."""
    return [*(dict(one) for one in _TOLERATIONS), *(dict(one) for one in options.tolerations)]


def build_objects(key: str, config: ConfigFile, options: PluginOptions) -> KeyObjects:
    """Both objects of a key. Equal input gives equal objects, whatever the order of its mappings."""
    config_file = config.render()
    spec = _pod_spec(config, options)
    content = {"key": key, "namespace": options.namespace, "config_file": config_file, "pod": spec}
    revision = digest(content)[:_REVISION_DIGITS]
    name = names.object_name(key, revision)
    spec["nodeSelector"] = {**dict(options.node_selector), names.CONFIG_LABEL: key, names.REVISION_LABEL: revision}
    spec["volumes"].append({"name": "config", "configMap": {"name": name}})
    metadata = {"name": name, "namespace": options.namespace, "labels": _labels(key, revision)}
    return KeyObjects(name, revision, config_file, _config_map(metadata, config_file), _daemon_set(metadata, spec))


def digest(content: Any) -> str:
    """SHA-256 over canonical JSON, in hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _labels(key: str, revision: str) -> dict[str, str]:
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.NAME_LABEL: names.APP_NAME,
        names.KEY_LABEL: key,
        names.REVISION_LABEL: revision,
    }


def _config_map(metadata: dict[str, Any], config_file: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": True,
        "data": {CONFIG_NAME: config_file},
    }


def _daemon_set(metadata: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    labels = metadata["labels"]
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": metadata,
        "spec": {
            # The revision alone decides which pods are this DaemonSet's own.
            "selector": {"matchLabels": {label: labels[label] for label in (names.KEY_LABEL, names.REVISION_LABEL)}},
            "updateStrategy": {"type": "OnDelete"},
            "revisionHistoryLimit": 2,
            "template": {"metadata": {"labels": dict(labels)}, "spec": spec},
        },
    }


def _pod_spec(config: ConfigFile, options: PluginOptions) -> dict[str, Any]:
    """The pod, without what is named by the revision: its node selector and its config volume."""
    plugins = f"{options.kubelet_root.rstrip('/')}/device-plugins"
    driver_root = config.to_document()["flags"].get("nvidiaDriverRoot", "/")
    volumes: list[dict[str, Any]] = [{"name": "device-plugins", "hostPath": {"path": plugins, "type": "Directory"}}]
    mounts: list[dict[str, Any]] = [
        # The kubelet's own path, whatever the host calls it: the plugin looks for the socket there.
        {"name": "device-plugins", "mountPath": "/var/lib/kubelet/device-plugins"},
        {"name": "config", "mountPath": CONFIG_DIRECTORY, "readOnly": True},
    ]
    if driver_root != "/":
        volumes.append({"name": "driver-root", "hostPath": {"path": driver_root, "type": "Directory"}})
        mount_path = config.to_document()["flags"]["plugin"].get("containerDriverRoot", _DRIVER_ROOT_MOUNT)
        mounts.append({"name": "driver-root", "mountPath": mount_path, "readOnly": True})
    if config.serves_mig:
        volumes.append({"name": "mig-ready", "hostPath": {"path": MIG_READY, "type": "File"}})
        mounts.append({"name": "mig-ready", "mountPath": MIG_READY, "readOnly": True})
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "tolerations": tolerations_of(options),
        "containers": [_container(mounts, config, options)],
        "volumes": volumes,
    }
    if options.priority_class:
        spec["priorityClassName"] = options.priority_class
    if options.runtime_class:
        spec["runtimeClassName"] = options.runtime_class
    if options.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in options.image_pull_secrets]
    return spec


def _container(mounts: list[dict[str, Any]], config: ConfigFile, options: PluginOptions) -> dict[str, Any]:
    security: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    # By these the NVIDIA runtime gives the plugin the cards that it is to advertise.
    env = [
        {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
        {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"},
    ]
    if config.serves_mig:
        # To see the MIG devices of all GPUs the plugin needs both: the variable alone is refused to a container without the
        # capability, and NVML answers that permissions are missing without the variable.
        env.append({"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"})
        security = {"capabilities": {"add": ["SYS_ADMIN"]}}
    return {
        "name": "nvidia-device-plugin",
        "image": f"{options.image}:{options.version}",
        "imagePullPolicy": "IfNotPresent",
        # The image holds more programs than this one, and a mirror may give it any entry point.
        "command": ["nvidia-device-plugin"],
        # A file, never its directory: v0.14 ends with "is a directory". All else stands in the file, because an
        # argument or a variable would win over it.
        "args": [f"--config-file={CONFIG_DIRECTORY}/{CONFIG_NAME}"],
        "env": env,
        "resources": dict(options.resources),
        "securityContext": {"privileged": True} if options.privileged else security,
        "volumeMounts": mounts,
    }

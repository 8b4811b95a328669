# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Workloads that are known to keep NVIDIA's driver open, whether they are seen to or not. PRIVATE to the collection.

An observation tells more: of whatever program it is that has a device file open. But it needs root on the host, and
shows a moment only: an exporter that opens the driver for each scrape alone may not have it open just then. The plain
node-problem-detector is not among them, as it opens the driver only where somebody has taught it to; an observation tells.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Mapping, Tuple


@dataclass(frozen=True)
class Kind:
    """One kind of workload.

    :param images: patterns for the last part of an image's path, which they must match as a whole.
    :param programs: names of programs or containers.
    """

    name: str
    images: Tuple[str, ...] = ()
    programs: Tuple[str, ...] = ()


DEVICE_PLUGIN = "device_plugin"
#: It loads and unloads the driver itself. To take its pod off a node takes the driver along.
DRIVER = "driver"
#: It lays out MIG instances as well: at its next start it puts what its label says over what it finds.
MIG_MANAGER = "mig_manager"

#: The first that fits counts: several programs come in the image of the device plugin.
KINDS = (
    Kind("gpu_feature_discovery", ("gpu-feature-discovery",), ("gpu-feature-discovery", "gpu-feature-discovery-ctr")),
    Kind("mps_control_daemon", (), ("mps-control-daemon", "mps-control-daemon-ctr", "nvidia-cuda-mps-control")),
    Kind("dcgm_exporter", ("dcgm-exporter",), ("dcgm-exporter",)),
    Kind("dcgm", ("dcgm",), ("nv-hostengine",)),
    Kind(MIG_MANAGER, ("k8s-mig-manager",), ("nvidia-mig-manager",)),
    Kind(DRIVER, (), ("nvidia-driver-ctr", "nvidia-driver")),
    Kind(
        "gpu_exporter", (r"nvidia[_-](?:gpu[_-]|smi[_-])?exporter", "nvidia_gpu_prometheus_exporter", "gpud"), ("gpud",)
    ),
)


def kind_of(daemonset: Mapping[str, Any]) -> str:
    """The kind of a DaemonSet as the cluster file has it, "" for none of these.

    Its own name and labels count for nothing: anybody may call anything so.
    """
    if daemonset.get("plugin"):
        return DEVICE_PLUGIN
    images = [image.rpartition("/")[2] for image in daemonset.get("images") or ()]
    for kind in KINDS:
        named = any(program in kind.programs for program in daemonset.get("runs") or ())
        if named or any(re.fullmatch(pattern, image) for pattern in kind.images for image in images):
            return kind.name
    return ""

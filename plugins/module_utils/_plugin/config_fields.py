# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of the device plugin's config file. Generated from config_fields.yaml. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class Field:
    """One field: where it stands, what it takes, and the oldest plugin that knows it."""

    path: str
    type: str
    since: Tuple[int, int, int]
    choices: Tuple[str, ...] = ()


FIELDS = (
    Field("flags.migStrategy", "choice", (0, 12, 0), ("none", "single", "mixed")),
    Field("flags.failOnInitError", "bool", (0, 12, 0)),
    Field("flags.nvidiaDriverRoot", "text", (0, 12, 0)),
    Field("flags.nvidiaDevRoot", "text", (0, 16, 0)),
    Field("flags.deviceDiscoveryStrategy", "choice", (0, 16, 0), ("auto", "nvml", "tegra")),
    Field("flags.gdsEnabled", "bool", (0, 14, 0)),
    Field("flags.mofedEnabled", "bool", (0, 14, 0)),
    Field("flags.gdrcopyEnabled", "bool", (0, 18, 0)),
    Field("flags.plugin.passDeviceSpecs", "bool", (0, 12, 0)),
    Field("flags.plugin.deviceListStrategy", "choices", (0, 12, 0), ("envvar", "volume-mounts")),
    Field("flags.plugin.deviceIDStrategy", "choice", (0, 12, 0), ("uuid", "index")),
    Field("flags.plugin.containerDriverRoot", "text", (0, 14, 0)),
    Field("flags.plugin.sharedDevicesAllocationPolicy", "choice", (0, 20, 0), ("distributed", "packed")),
)

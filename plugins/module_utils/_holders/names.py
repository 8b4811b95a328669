# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is put on a node while what holds its NVIDIA driver is paused. PRIVATE to the collection."""

from __future__ import annotations

#: Keeps pods away that do not tolerate it. Running ones stay: they are deleted.
TAINT_KEY = "kubegpu.sharing/maintenance"
TAINT = {"key": TAINT_KEY, "value": "nvml", "effect": "NoSchedule"}

#: On a node in such a maintenance. A DaemonSet whose required node affinity says DoesNotExist of it leaves by itself.
PAUSED_LABEL = "kubegpu.sharing/nvml-paused"
PAUSED_VALUE = "true"

#: By labels of this prefix NVIDIA's GPU Operator lets its DaemonSets run on a node. It puts a label back that is missing,
#: and leaves one alone that bears this value: its own MIG manager sets it for the same purpose.
OPERATOR_PREFIX = "nvidia.com/gpu.deploy."
OPERATOR_PAUSED = "paused-for-mig-change"

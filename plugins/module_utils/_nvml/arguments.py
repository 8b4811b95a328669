# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the modules that read a node; the doc fragment node describes them. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Dict

NODE_OPTIONS: Dict[str, Dict[str, Any]] = {
    "nvml_library": {"type": "path"},
    "proc_root": {"type": "path", "default": "/proc"},
    "kubelet_root": {"type": "path", "default": "/var/lib/kubelet"},
    "log_root": {"type": "path", "default": "/var/log"},
    "pynvml_path": {"type": "path"},
}

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing who uses how much GPU memory to a file that node_exporter reads. PRIVATE to the collection.

One reading per call: between two calls nothing holds a GPU, so that MIG modes can be changed and drivers unloaded.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from typing import Dict, List, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import DEFAULT_PATH, ReaderLock
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import replace_file
from ansible_collections.kubegpu.sharing.plugins.module_utils._export.metrics import Reading, describe_usage
from ansible_collections.kubegpu.sharing.plugins.module_utils._export.text_format import render
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import NvmlError, NvmlUnavailableError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import Nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.reader import read_gpus

# Whoever reads it is another user; it holds names and numbers alone.
_MODE = 0o644


@dataclass(frozen=True)
class Export:
    """:param path: the file to write; node_exporter reads those that end in .prom."""

    path: str
    nvml_library: Optional[str] = None
    proc_root: str = "/proc"
    kubelet_root: str = "/var/lib/kubelet"
    log_root: str = "/var/log"
    lock_path: str = DEFAULT_PATH

    @property
    def files(self) -> NodeFiles:
        """The node's."""
        return NodeFiles(self.proc_root, self.kubelet_root, self.log_root)


def export_usage(export: Export) -> int:
    """The command "export-usage": 0 if the file is up to date, or GPUs are being changed at this moment; 1 if it could not be written.

    A node whose NVML does not answer is told in the file.
    """
    try:
        with ReaderLock(export.lock_path) as undisturbed:
            if not undisturbed:
                sys.stdout.write("The GPUs of this host are being changed: nothing was read, and the file stays.\n")
                return 0
            reading = read_usage(export)
        write_file(export.path, render(describe_usage(reading)))
    except KubeGpuError as error:
        sys.stderr.write(f"{error.msg}\n")
        return 1
    return 0


def read_usage(export: Export) -> Reading:
    """What NVML and the node's files tell at this moment.

    :raises KubeGpuError: pynvml is missing or too old.
    """
    try:
        with open_nvml(export.nvml_library, None, export.files) as nvml:
            gpus = read_gpus(nvml, export.files)
            return Reading(gpus, _utilization(nvml, len(gpus)), time.time())
    except NvmlUnavailableError as error:
        sys.stdout.write(f"{error.reason}\n")
        return Reading(None, {}, time.time())


def write_file(path: str, text: str) -> None:
    """Replace a file in one step: a reader sees all of the old one or all of the new one.

    :raises KubeGpuError: it cannot be written.
    """
    try:
        # What is not finished has another ending: node_exporter passes over a name that does not end in .prom.
        replace_file(path, text.encode(), _MODE)
    except OSError as error:
        raise KubeGpuError(
            f"Writing {path} failed: {error.strerror}. See that its directory is there, may be written to and has space left."
        ) from error


def _utilization(nvml: Nvml, count: int) -> Dict[int, int]:
    """Percent by index, of those GPUs that tell it: one that is cut by MIG does not."""
    found: List[tuple[int, int]] = []
    for index in range(count):
        with contextlib.suppress(NvmlError):
            found.append((index, nvml.gpu(index).utilization()))
    return dict(found)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a library's file to an NVML that answers. PRIVATE to the collection."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    NodeEvidence,
    NvmlError,
    initialisation_failed,
    library_missing,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.library import (
    SONAME,
    import_pynvml,
    preload_library,
    verify_library,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.session import PynvmlSession


@contextmanager
def open_nvml(nvml_library: Optional[str], pynvml_path: Optional[str], files: NodeFiles) -> Iterator[PynvmlSession]:
    """NVML, initialised.

    :param nvml_library: libnvidia-ml.so.1 to use, None for what the loader finds.
    :param pynvml_path: pynvml.py to use, None for what is installed.
    :raises NvmlUnavailableError: there is no library, or it does not serve; also for an error that the block lets out.
    :raises KubeGpuError: pynvml is missing or too old, or an option names something that is not what it should be.
    """
    # The library comes first: a node without one needs no pynvml to say so.
    try:
        preloaded = preload_library(nvml_library)
    except OSError as error:
        raise library_missing(str(error), find_evidence(nvml_library, files)) from error
    pynvml = import_pynvml(pynvml_path)
    try:
        with PynvmlSession(pynvml) as session:
            verify_library(pynvml, preloaded, nvml_library)
            yield session
    except NvmlError as error:
        verify_library(pynvml, preloaded, nvml_library)
        raise initialisation_failed(error, find_evidence(nvml_library, files)) from error


def find_evidence(nvml_library: Optional[str], files: NodeFiles) -> NodeEvidence:
    """What else the node shows of its driver."""
    return NodeEvidence(
        library=nvml_library or SONAME,
        kernel_driver=files.kernel_driver_version(),
        pci_devices=files.pci_devices(),
        user_id=os.geteuid(),
    )

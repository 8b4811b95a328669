# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything gpu_info tells about a node. PRIVATE to the collection."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    NodeEvidence,
    NvmlError,
    NvmlUnavailableError,
    initialisation_failed,
    library_missing,
    no_gpu,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.library import (
    SONAME,
    import_pynvml,
    preload_library,
    verify_library,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.reader import read_gpus, read_versions
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.session import Nvml, PynvmlSession


@dataclass(frozen=True)
class NodeReader:
    """Reads one node.

    :param nvml_library: libnvidia-ml.so.1 to use, None for what the loader finds.
    :param pynvml_path: pynvml.py to use, None for what is installed.
    """

    nvml_library: Optional[str] = None
    pynvml_path: Optional[str] = None
    files: NodeFiles = field(default_factory=NodeFiles)

    def read(self) -> dict[str, Any]:
        """Facts of the node, also where NVML is out of reach (``nvml_available`` false, with the reason).

        :raises KubeGpuError: pynvml is missing or too old, or an option names something that is not what it should be.
        """
        facts = describe_node()
        facts["allocations"], facts["allocations_reason"] = self.files.allocations()
        try:
            self._read_nvml(facts)
        except NvmlUnavailableError as unavailable:
            facts.update(nvml_available=False, reason_code=unavailable.code, reason=unavailable.reason)
        return facts

    def _read_nvml(self, facts: dict[str, Any]) -> None:
        # The library comes first: a node without one needs no pynvml to say so.
        try:
            preloaded = preload_library(self.nvml_library)
        except OSError as error:
            raise library_missing(str(error), self._evidence()) from error
        pynvml = import_pynvml(self.pynvml_path)
        try:
            with PynvmlSession(pynvml) as session:
                verify_library(pynvml, preloaded, self.nvml_library)
                fill_from_nvml(facts, session, self.files)
        except NvmlError as error:
            verify_library(pynvml, preloaded, self.nvml_library)
            raise initialisation_failed(error, self._evidence()) from error
        if not facts["gpus"]:
            raise no_gpu(self._evidence())

    def _evidence(self) -> NodeEvidence:
        return NodeEvidence(
            library=self.nvml_library or SONAME,
            kernel_driver=self.files.kernel_driver_version(),
            pci_devices=self.files.pci_devices(),
            user_id=os.geteuid(),
        )


def describe_node() -> dict[str, Any]:
    """The result of a node of which nothing is known yet."""
    return {
        "nvml_available": False,
        "reason": None,
        "reason_code": None,
        "driver_version": None,
        "cuda_version": None,
        "nvml_version": None,
        "gpus": [],
        "allocations": None,
        "allocations_reason": None,
    }


def fill_from_nvml(facts: dict[str, Any], nvml: Nvml, files: NodeFiles) -> None:
    """Put what NVML tells into ``facts``."""
    facts.update(read_versions(nvml), gpus=read_gpus(nvml, files), nvml_available=True)

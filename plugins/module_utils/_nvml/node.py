# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything gpu_info tells about a node. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.allocations import read_allocations
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import NvmlUnavailableError, no_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import find_evidence, open_nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import Nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.reader import read_gpus, read_versions


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
        facts.update(read_allocations(self.files))
        facts["holders"], facts["holders_reason"] = self.files.holders()
        try:
            self._read_nvml(facts)
        except NvmlUnavailableError as unavailable:
            facts.update(nvml_available=False, reason_code=unavailable.code, reason=unavailable.reason)
        return facts

    def _read_nvml(self, facts: dict[str, Any]) -> None:
        with open_nvml(self.nvml_library, self.pynvml_path, self.files) as nvml:
            fill_from_nvml(facts, nvml, self.files)
        if not facts["gpus"]:
            raise no_gpu(find_evidence(self.nvml_library, self.files))


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
        "allocations_source": None,
        "allocations_reason": None,
        "holders": None,
        "holders_reason": None,
    }


def fill_from_nvml(facts: dict[str, Any], nvml: Nvml, files: NodeFiles) -> None:
    """Put what NVML tells into ``facts``."""
    facts.update(read_versions(nvml), gpus=read_gpus(nvml, files), nvml_available=True)

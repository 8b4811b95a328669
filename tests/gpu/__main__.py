# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares what this machine's GPUs tell with what is relied on. No mode, instance or setting is changed.

Their MIG profiles are compared with the table, and a process that takes memory for a moment is looked for.
"""

from __future__ import annotations

import sys
from typing import Any, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node import NodeReader
from gpu.attribution import check_attribution
from gpu.comparison import compare


def main(nvml_library: Optional[str] = None, cuda_library: Optional[str] = None) -> int:
    """Print the comparison.

    :returns: 1 if a card reports something else than the table that planning would rely on, or a process is not found with its
        memory; else 0; also 0 without a GPU.
    """
    reader = NodeReader(nvml_library)
    try:
        facts = reader.read()
        differs = report(facts)
        if not facts["nvml_available"]:
            return differs
        finding = check_attribution(reader.read, cuda_library)
    except KubeGpuError as error:
        print(f"No comparison: {error}", file=sys.stderr)
        return 1
    print(finding.text)
    return 1 if differs or finding.wrong else 0


def report(facts: Mapping[str, Any]) -> int:
    """Print the comparison of a node's facts; the exit status."""
    if not facts["nvml_available"]:
        print(f"No GPU to compare the table of MIG profiles with: {facts['reason']}")
        return 0
    print(f"Driver {facts['driver_version']}. What the cards report about MIG, beside the table (profiles.yaml):\n")
    found = [compare(gpu) for gpu in facts["gpus"]]
    shown: dict[tuple[tuple[str, ...], ...], str] = {}
    for comparison in found:
        first = shown.setdefault(comparison.rows, comparison.title)
        same = comparison.rows and first != comparison.title
        print(f"{comparison.title}: all as for {first.partition(',')[0]}" if same else comparison.show())
    differences = sum(comparison.differences for comparison in found)
    compared = sum(bool(comparison.rows) for comparison in found)
    print(f"GPUs compared: {compared} of {len(found)}. Profiles that differ from the table: {differences}.")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))

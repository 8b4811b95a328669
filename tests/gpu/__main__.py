# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the MIG profiles of this machine's GPUs with the table. Only reads: no mode, instance or setting is changed."""

from __future__ import annotations

import sys
from typing import Any, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node import NodeReader
from gpu.comparison import compare


def main(nvml_library: Optional[str] = None) -> int:
    """Print the comparison.

    :returns: 1 if a card reports something else than the table that planning would rely on, else 0; also 0 without a GPU.
    """
    try:
        facts = NodeReader(nvml_library).read()
    except KubeGpuError as error:
        print(f"No comparison: {error}", file=sys.stderr)
        return 1
    return report(facts)


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
    sys.exit(main(*sys.argv[1:2]))

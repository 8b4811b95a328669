# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU facts out of the labels that GPU Feature Discovery puts on a node. PRIVATE to the collection."""

from __future__ import annotations

import re
from typing import Any, Mapping

PRODUCT_LABEL = "nvidia.com/gpu.product"
_SHARED = re.compile("-SHARED$", re.IGNORECASE)
_MEMORY = "nvidia.com/gpu.memory"
_COUNT = "nvidia.com/gpu.count"
# Labels that tell of a GPU without describing it: GPU Feature Discovery's own, and Node Feature Discovery's for the PCI
# vendor NVIDIA as VGA or 3D controller.
_PRESENT = (
    "nvidia.com/gpu.present",
    "feature.node.kubernetes.io/pci-10de.present",
    "feature.node.kubernetes.io/pci-0300_10de.present",
    "feature.node.kubernetes.io/pci-0302_10de.present",
)
# As NVML names them; the labels have them in lower case with dashes.
_ARCHITECTURES = ("Kepler", "Maxwell", "Pascal", "Volta", "Turing", "Ampere", "Ada Lovelace", "Hopper", "Blackwell")
_BY_FAMILY = {name.lower().replace(" ", "-"): name for name in _ARCHITECTURES}


def tells_of_gpu(labels: Mapping[str, str]) -> bool:
    """Whether some label says that the node has an NVIDIA GPU."""
    return PRODUCT_LABEL in labels or any(labels.get(label) == "true" for label in _PRESENT)


def read_labels(labels: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """Facts of one GPU in the words of gpu_info, and how many GPUs there are.

    Only the model's name and the card's total memory (MiB) are certain; of several models on a node the labels show one.

    :raises ValueError: labels are missing, or describe MIG devices and not the card.
    """
    product = labels.get(PRODUCT_LABEL, "")
    missing = [label for label in (PRODUCT_LABEL, _MEMORY, _COUNT) if not labels.get(label)]
    if missing:
        raise ValueError(f"it lacks the labels of GPU Feature Discovery ({', '.join(missing)})")
    if "-MIG-" in product.upper():
        raise ValueError(f"its labels describe MIG devices ({product}), not the card")
    memory, count = (labels[label] for label in (_MEMORY, _COUNT))
    if not memory.isdigit() or not count.isdigit() or not int(memory) or not int(count):
        raise ValueError(f"its labels make no sense ({_MEMORY}={memory}, {_COUNT}={count})")
    family = labels.get("nvidia.com/gpu.family", "")
    major, minor = labels.get("nvidia.com/gpu.compute.major"), labels.get("nvidia.com/gpu.compute.minor")
    capable = labels.get("nvidia.com/mig.capable")
    facts = {
        # Without what is appended once the card is shared: a query has to give the same answer after the rollout.
        "product": _SHARED.sub("", product),
        "architecture": _BY_FAMILY.get(family, family or None),
        "compute_capability": f"{major}.{minor}" if major and minor else None,
        "memory_total_mib": int(memory),
        "mig": {"capable": capable == "true", "mode": None} if capable else None,
    }
    return facts, int(count)

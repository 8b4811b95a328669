# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPUs an operator means: by index, UUID, PCI address or product. PRIVATE to the collection."""

from __future__ import annotations

import re
from typing import Any, List, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import kind_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.products import normalise_product

_PCI = re.compile(r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}):([0-9a-f]{2})\.([0-7])", re.IGNORECASE)
_INDEX = re.compile(r"[0-9]{1,4}")


def select_gpus(where: str, selectors: Any, gpus: Sequence[Gpu]) -> Tuple[List[Gpu], List[str]]:
    """The GPUs that selectors name, in their order on the host, and what is wrong with the selectors.

    :param selectors: one or a list of: "all", an index, a UUID, a PCI address (0000:65:00.0), a product (NVIDIA H20).
    """
    if selectors == "all":
        return list(gpus), [] if gpus else [f"{where} is all, and this host has no GPU; take it out."]
    if isinstance(selectors, (int, str)) and not isinstance(selectors, bool):
        selectors = [selectors]
    if not isinstance(selectors, (list, tuple)) or not selectors:
        shown = "an empty list" if selectors in ([], ()) else kind_of(selectors)
        return [], [f'{where} is {shown}; give "all", or a list of indices, UUIDs, PCI addresses or products.']
    found: List[Gpu] = []
    problems = []
    for selector in selectors:
        matching = _match(selector, gpus)
        if matching is None:
            problems.append(
                f"{where}: {selector!r} is {kind_of(selector)}; give an index, a UUID, a PCI address or a product."
            )
        elif not matching:
            problems.append(f"{where}: {selector!r} matches no GPU of this host. {_what_there_is(selector, gpus)}")
        found += [gpu for gpu in matching or () if gpu not in found]
    return sorted(found, key=lambda gpu: gpu.index), problems


def _match(selector: Any, gpus: Sequence[Gpu]) -> Optional[List[Gpu]]:
    """GPUs that one selector names; None if it is none."""
    if isinstance(selector, bool) or not isinstance(selector, (int, str)):
        return None
    text = str(selector).strip()
    if _INDEX.fullmatch(text):
        return [gpu for gpu in gpus if gpu.index == int(text)]
    address = pci_address(text)
    if address:
        return [gpu for gpu in gpus if pci_address(gpu.pci_bus_id) == address]
    if text.lower().startswith("gpu-"):
        return [gpu for gpu in gpus if gpu.uuid.lower() == text.lower()]
    return [gpu for gpu in gpus if normalise_product(gpu.product) == normalise_product(text)]


def pci_address(text: str) -> Optional[Tuple[int, ...]]:
    """Domain, bus, device and function; None if it is no PCI address. NVML writes eight digits of the domain, others four or none."""
    found = _PCI.fullmatch(text.strip())
    return tuple(int(part or "0", 16) for part in found.groups()) if found else None


def _what_there_is(selector: Any, gpus: Sequence[Gpu]) -> str:
    if str(selector).upper().startswith("MIG-"):
        return "It is a MIG device; name the GPU that it is part of."
    listed = "; ".join(f"{gpu.index}: {gpu.uuid}, {gpu.pci_bus_id}, {gpu.product}" for gpu in gpus)
    return f"There are: {listed}." if listed else "It has none."

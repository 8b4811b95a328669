# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host shall restore at boot, and whether it stands on all GPUs that it is recorded of. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import (
    SCHEMA_VERSION,
    RecordedGpu,
    read_layout,
    record_gpu,
    show,
    to_layout,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.restoring import show_missing

_WHERE = "Recorded layout"


@dataclass(frozen=True)
class Boot:
    """:param layout: the document to restore at boot; None for nothing.
    :param not_ready: why it does not stand, by GPU, each with what to do. The marker may not be there then: all that reads it takes
        it to speak of the whole host.
    :param forgotten: GPUs that were recorded, and which this host has no more.
    """

    layout: Optional[Dict[str, Any]]
    not_ready: Mapping[str, str] = field(default_factory=dict)
    forgotten: Sequence[str] = ()

    @property
    def standing(self) -> Optional[Dict[str, Any]]:
        """The layout that the marker may speak of; None for no marker."""
        return None if self.not_ready else self.layout


@dataclass(frozen=True)
class BootRecord:
    """What was recorded before, and the host as it was found.

    :param recorded: the document, None if there is none.
    :param unfit: why nothing is known of a GPU, by index.
    :param keeps_all: GPUs that are gone are not forgotten: nobody has said yet that they shall be.
    """

    recorded: Optional[Mapping[str, Any]]
    gpus: Sequence[Gpu]
    unfit: Mapping[int, str] = field(default_factory=dict)
    keeps_all: bool = False

    def follow(self, changed: Mapping[str, RecordedGpu]) -> Boot:
        """What is to be restored once some GPUs stand otherwise.

        :param changed: these, by UUID.
        """
        entries: Dict[str, RecordedGpu] = {one.uuid: one for one in _read(self.recorded)}
        entries.update(changed)
        not_ready: Dict[str, str] = {}
        forgotten: List[str] = []
        for uuid, one in list(entries.items()):
            if uuid in changed:
                reason = None
            elif self._is_gone(uuid):
                forgotten.append(f"GPU {uuid} ({one.product or 'unknown product'})")
                reason = None
                del entries[uuid]
            else:
                reason = self._why_not(one)
            if reason:
                not_ready[self._name(one)] = reason
        # NVML counts GPUs by their PCI addresses
        listed = sorted(
            (one for one in entries.values() if one.mode == "enabled"), key=lambda one: (one.pci_bus_id, one.uuid)
        )
        return Boot(to_layout(listed) if listed else None, not_ready, forgotten)

    def _is_gone(self, uuid: str) -> bool:
        """A GPU that does not answer tells no UUID: as long as there is one, it may be the one that was recorded."""
        return self._find(uuid) is None and not self.unfit and not self.keeps_all

    def _find(self, uuid: str) -> Optional[Gpu]:
        return next((gpu for gpu in self.gpus if gpu.uuid == uuid), None)

    def _name(self, one: RecordedGpu) -> str:
        gpu = self._find(one.uuid)
        return f"GPU {one.uuid}" if gpu is None else f"GPU {gpu.index}"

    def _why_not(self, one: RecordedGpu) -> Optional[str]:
        gpu = self._find(one.uuid)
        if gpu is None:
            silent = f" {' '.join(self.unfit.values())}" if self.unfit else ""
            return (
                f"{show_missing(one, self.gpus)}{silent} Its layout stays recorded: bring the GPU back (a reset, or a reboot) and "
                "restore it; or take it out of the host, then run mig_config for the GPUs that stay."
            )
        if gpu.index in self.unfit:
            return f"{gpu} has a recorded layout, and whether it stands is not known: {self.unfit[gpu.index]}"
        if one.stands(gpu):
            return None
        return (
            f"{gpu} is not as it is recorded: there is {show(record_gpu(gpu))}; recorded is {show(one)}. Run mig_config for it too, "
            "with the layout that it shall have, or state absent."
        )


def _read(document: Optional[Mapping[str, Any]]) -> List[RecordedGpu]:
    """The GPUs of a document that can be read; it is our own, and what cannot be read of it cannot be restored either."""
    listed = (document or {}).get("gpus")
    found: List[RecordedGpu] = []
    for entry in listed if isinstance(listed, list) else ():
        try:
            found += read_layout(_WHERE, {"schema_version": SCHEMA_VERSION, "gpus": [entry]})
        except InputError:
            continue
    return found

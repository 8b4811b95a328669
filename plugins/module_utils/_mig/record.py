# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A layout as a document: what is kept to be put back, after a reboot or by a rollback. PRIVATE to the collection.

Places are part of it, not only counts: put back elsewhere, instances could leave no room for what stood beside them. Ids are not:
they are others after every change.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import ComputeInstance, Gpu, Instance, Place
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import parse_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import kind_of, unknown_words
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import read_whole

SCHEMA_VERSION = 1
_FIELDS = ("schema_version", "gpus")
_GPU_FIELDS = ("uuid", "pci_bus_id", "product", "mode", "instances")
_INSTANCE_FIELDS = ("profile", "start", "size", "compute")
_COMPUTE_FIELDS = ("slices", "start")
_MODES = ("enabled", "disabled")


@dataclass(frozen=True)
class RecordedInstance:
    """A GPU instance as it was recorded.

    :param compute: (slices, start or None) of its compute instances.
    """

    profile: str
    place: Place
    compute: Tuple[Tuple[int, Optional[int]], ...] = ()

    def __str__(self) -> str:
        return f"{self.profile} at {self.place.start}"

    def to_dict(self) -> Dict[str, Any]:
        """As it stands in documents."""
        return {
            "profile": self.profile,
            "start": self.place.start,
            "size": self.place.size,
            "compute": [{"slices": slices, "start": start} for slices, start in self.compute],
        }


@dataclass(frozen=True)
class RecordedGpu:
    """A GPU as it was recorded.

    :param where: which words of the document say so, for messages.
    """

    where: str
    uuid: str
    pci_bus_id: str
    product: str
    mode: str
    instances: Tuple[RecordedInstance, ...] = ()

    def to_dict(self) -> Dict[str, Any]:
        """As it stands in documents."""
        return {
            "uuid": self.uuid,
            "pci_bus_id": self.pci_bus_id,
            "product": self.product,
            "mode": self.mode,
            "instances": [one.to_dict() for one in self.instances],
        }

    def stands(self, gpu: Gpu) -> bool:
        """Whether a GPU is exactly that, apart from ids and from places that are not known."""
        if not gpu.mode == gpu.pending == self.mode or len(self.instances) != len(gpu.instances):
            return False
        return all(
            one.profile == there.profile and one.place == there.place and match_compute(one, there) == ((), ())
            for one, there in zip(self.instances, sorted(gpu.instances, key=lambda one: one.place))
        )


def match_compute(
    recorded: RecordedInstance, standing: Instance
) -> Tuple[Tuple[ComputeInstance, ...], Tuple[Tuple[int, Optional[int]], ...]]:
    """Compute instances that stand and are not recorded, and those that are recorded and do not stand."""
    surplus: List[ComputeInstance] = list(standing.compute)
    missing: List[Tuple[int, Optional[int]]] = []
    for slices, start in sorted(recorded.compute, key=lambda one: (one[1] is None, one)):
        for one in surplus:
            if one.slices == slices and (start is None or one.start is None or one.start == start):
                surplus.remove(one)
                break
        else:
            missing.append((slices, start))
    return tuple(surplus), tuple(missing)


def layout_of(gpus: Iterable[Gpu]) -> Dict[str, Any]:
    """The document that describes GPUs as they stand."""
    return to_layout(map(record_gpu, gpus))


def layout_hash(layout: Mapping[str, Any]) -> str:
    """What tells two layouts apart, as hexadecimal text."""
    return hashlib.sha256(json.dumps(layout, sort_keys=True).encode()).hexdigest()


def record_gpu(gpu: Gpu) -> RecordedGpu:
    """A GPU as it stands, as it is recorded."""
    instances = (
        RecordedInstance(one.profile, one.place, tuple((part.slices, part.start) for part in one.compute))
        for one in sorted(gpu.instances, key=lambda one: one.place)
    )
    return RecordedGpu(str(gpu), gpu.uuid, gpu.pci_bus_id, gpu.product, gpu.mode, tuple(instances))


def show(one: RecordedGpu) -> str:
    """A layout in words: "MIG enabled with 3g.48gb at 4, 1g.12gb at 0 without compute instance"."""
    if one.mode != "enabled":
        return "MIG disabled"
    listed = ", ".join(f"{instance}{_show_compute(instance.compute)}" for instance in one.instances)
    return f"MIG enabled with {listed or 'no instance'}"


def _show_compute(compute: Sequence[Tuple[int, Optional[int]]]) -> str:
    """Only what is not as usual: none, or several."""
    if not compute:
        return " without compute instance"
    return (
        ""
        if len(compute) == 1
        else f" with compute instances of {', '.join(str(slices) for slices, _start in compute)} slices"
    )


def to_layout(recorded: Iterable[RecordedGpu]) -> Dict[str, Any]:
    """The document of GPUs that were recorded."""
    return {"schema_version": SCHEMA_VERSION, "gpus": [one.to_dict() for one in recorded]}


def read_layout(where: str, document: Any) -> Tuple[RecordedGpu, ...]:
    """The GPUs of a document, in its order.

    :param where: what the document is called, for messages.
    :raises InputError: with everything that is wrong with its form.
    """
    reader = _Reader()
    gpus = reader.read(where, document)
    if reader.problems:
        raise InputError(where, reader.problems)
    return gpus


class _Reader:
    """Reads a document and collects what is wrong with it."""

    def __init__(self) -> None:
        self.problems: List[str] = []

    def read(self, where: str, document: Any) -> Tuple[RecordedGpu, ...]:
        if not self._is_mapping(where, document, _FIELDS):
            return ()
        version = document.get("schema_version")
        if version != SCHEMA_VERSION:
            self.problems.append(f"{where}.schema_version is {version!r}; only {SCHEMA_VERSION} is known.")
        gpus = tuple(
            self._read_gpu(f"{where}.gpus[{number}]", entry)
            for number, entry in self._entries(f"{where}.gpus", document.get("gpus"))
            if self._is_mapping(f"{where}.gpus[{number}]", entry, _GPU_FIELDS)
        )
        seen: Dict[str, str] = {}
        for gpu in gpus:
            if gpu.uuid and gpu.uuid in seen:
                self.problems.append(
                    f"{gpu.where} describes {gpu.uuid}, and so does {seen[gpu.uuid]}; drop one of them."
                )
            seen[gpu.uuid] = gpu.where
        return gpus

    def _read_gpu(self, where: str, entry: Mapping[str, Any]) -> RecordedGpu:
        uuid, mode = entry.get("uuid"), entry.get("mode")
        if not isinstance(uuid, str) or not uuid:
            self.problems.append(f"{where}.uuid is {kind_of(uuid)}; give the GPU's UUID.")
        if mode not in _MODES:
            self.problems.append(f"{where}.mode is {mode!r}; give {' or '.join(_MODES)}.")
        instances = tuple(
            self._read_instance(f"{where}.instances[{number}]", one)
            for number, one in self._entries(f"{where}.instances", entry.get("instances") or [])
            if self._is_mapping(f"{where}.instances[{number}]", one, _INSTANCE_FIELDS)
        )
        if mode == "disabled" and instances:
            self.problems.append(f"{where} has instances with the mode disabled; drop one of the two.")
        ordered = tuple(sorted(instances, key=lambda one: one.place))
        product, address = str(entry.get("product") or ""), str(entry.get("pci_bus_id") or "")
        return RecordedGpu(where, str(uuid), address, product, str(mode), ordered)

    def _read_instance(self, where: str, entry: Mapping[str, Any]) -> RecordedInstance:
        profile = ""
        try:
            profile = parse_name(entry.get("profile") or "").gpu_instance
        except ValueError as error:
            self.problems.append(f"{where}.profile: {error}.")
        place = Place(self._read_number(where, entry, "start", 0), self._read_number(where, entry, "size", 1))
        compute: List[Tuple[int, Optional[int]]] = []
        for number, one in self._entries(f"{where}.compute", entry.get("compute") or []):
            part = f"{where}.compute[{number}]"
            if self._is_mapping(part, one, _COMPUTE_FIELDS):
                start = None if one.get("start") is None else self._read_number(part, one, "start", 0)
                compute.append((self._read_number(part, one, "slices", 1), start))
        return RecordedInstance(profile, place, tuple(compute))

    def _read_number(self, where: str, entry: Mapping[str, Any], field: str, least: int) -> int:
        try:
            number = read_whole(entry.get(field))
        except ValueError as error:
            self.problems.append(f"{where}.{field}: {error}.")
            return least
        if number < least:
            self.problems.append(f"{where}.{field} is {number}; give at least {least}.")
        return number

    def _is_mapping(self, where: str, entry: Any, fields: Tuple[str, ...]) -> bool:
        if not isinstance(entry, Mapping):
            self.problems.append(f"{where} is {kind_of(entry)}; give a mapping with {', '.join(fields)}.")
            return False
        self.problems += unknown_words(where, entry, fields)
        return True

    def _entries(self, where: str, entries: Any) -> List[Tuple[int, Any]]:
        if not isinstance(entries, (list, tuple)):
            self.problems.append(f"{where} is {kind_of(entries)}; give a list.")
            return []
        return list(enumerate(entries))

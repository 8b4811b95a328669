# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that NVIDIA's mig-parted reads, unchanged: version v1, configs by name, entries by GPU. PRIVATE to the collection.

    version: v1
    mig-configs:
      all-1g.12gb:
        - {devices: all, device-filter: "0x232910DE", mig-enabled: true, mig-devices: {1g.12gb: 7}}

The form of the whole file is checked, also of configs that are not selected. A filter that matches no GPU is normal, since one
file serves many models; that none of the selected config's entries matches is an error.
"""

from __future__ import annotations

import re
from typing import Any, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.selection import select_gpus
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import Wish, Wishes, read_counts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean, kind_of, unknown_words

VERSION = "v1"
_FIELDS = ("version", "mig-configs")
_ENTRY_FIELDS = ("devices", "device-filter", "mig-enabled", "mig-devices")
# Device and vendor, and behind a colon the same of the subsystem.
_FILTER = re.compile(r"0x([0-9a-f]{8})(?::0x([0-9a-f]{8}))?", re.IGNORECASE)


def read_mig_parted(where: str, document: Any, selected: Any, gpus: Sequence[Gpu]) -> Wishes:
    """Wishes from one config of a file.

    :param document: the file's content, parsed.
    :param selected: the config's name.
    """
    wishes = Wishes()
    if not isinstance(document, Mapping):
        wishes.problems.append(f"{where} is {kind_of(document)}; give a mapping with version and mig-configs.")
        return wishes
    wishes.problems += unknown_words(where, document, _FIELDS)
    if document.get("version") != VERSION:
        wishes.problems.append(f"{where}.version is {document.get('version')!r}; only {VERSION} is known.")
    configs = document.get("mig-configs")
    if not isinstance(configs, Mapping) or not configs:
        wishes.problems.append(f"{where}.mig-configs is {kind_of(configs)}; give a mapping of configs by name.")
        return wishes
    for name, entries in configs.items():
        wishes.problems += _check_config(f"{where}.mig-configs.{name}", entries)
    if selected not in configs:
        hint = did_you_mean(selected, map(str, configs)) or f" There are: {', '.join(map(str, configs))}."
        wishes.problems.append(f"{where} has no config {selected!r}.{hint}")
    if not wishes.problems:
        _claim(f"{where}.mig-configs.{selected}", configs[selected], gpus, wishes)
    return wishes


def _check_config(where: str, entries: Any) -> List[str]:
    if not isinstance(entries, (list, tuple)) or not entries:
        return [f"{where} is {kind_of(entries)} without entries; give a list of them."]
    return [problem for number, entry in enumerate(entries) for problem in _check_entry(f"{where}[{number}]", entry)]


def _check_entry(where: str, entry: Any) -> List[str]:
    """What is wrong with one entry, whatever GPUs there are."""
    if not isinstance(entry, Mapping):
        return [f"{where} is {kind_of(entry)}; give a mapping with {', '.join(_ENTRY_FIELDS)}."]
    problems = unknown_words(where, entry, _ENTRY_FIELDS)
    problems += _check_devices(f"{where}.devices", entry.get("devices"))
    problems += [
        f"{where}.device-filter: {one!r} is no filter; give one such as 0x232910DE or 0x232910DE:0x16C110DE."
        for one in _filters(entry)
        if not isinstance(one, str) or not _FILTER.fullmatch(one)
    ]
    enabled = entry.get("mig-enabled")
    if not isinstance(enabled, bool):
        problems.append(f"{where}.mig-enabled is {kind_of(enabled)}; give true or false.")
    if enabled is True and "mig-devices" not in entry:
        problems.append(f"{where}.mig-devices is missing; give counts by profile, or {{}} for none.")
    counts: Tuple[Tuple[str, int], ...] = ()
    if entry.get("mig-devices") is not None:
        counts, more = read_counts(f"{where}.mig-devices", entry["mig-devices"])
        problems += more
    if enabled is False and counts:
        problems.append(f"{where} asks for MIG devices with mig-enabled false; drop one of the two.")
    return problems


def _check_devices(where: str, devices: Any) -> List[str]:
    if devices == "all":
        return []
    if not isinstance(devices, (list, tuple)) or not devices:
        return [f"{where} is {kind_of(devices)}; give all, or a list of indices."]
    return [
        f"{where}: {one!r} is no index; give all, or a list of whole numbers."
        for one in devices
        if isinstance(one, bool) or not isinstance(one, int) or one < 0
    ]


def _filters(entry: Mapping[str, Any]) -> Sequence[Any]:
    """The entry's device filters; none means every GPU."""
    given = entry.get("device-filter")
    if given is None or given in ("", []):
        return ()
    return given if isinstance(given, (list, tuple)) else (given,)


def _claim(where: str, entries: Sequence[Mapping[str, Any]], gpus: Sequence[Gpu], wishes: Wishes) -> None:
    """Give every GPU the entry that it matches."""
    for number, entry in enumerate(entries):
        place = f"{where}[{number}]"
        devices = entry["devices"]
        named, problems = select_gpus(f"{place}.devices", devices if devices == "all" else list(devices), gpus)
        wishes.problems += problems
        filters = _filters(entry)
        matching = [gpu for gpu in named if not filters or any(_passes(gpu, one) for one in filters)]
        wishes.problems += [
            f"{place}.device-filter: the PCI device id of {gpu} is not known, so that it cannot be compared; take the filter out."
            for gpu in named
            if filters and gpu.pci_device_id is None
        ]
        counts, _checked = read_counts(place, entry.get("mig-devices") or {})
        wishes.claim(matching, Wish(place, entry["mig-enabled"], counts))
    if not wishes.by_gpu and not wishes.problems:
        listed = ", ".join(f"{gpu} {_show_id(gpu.pci_device_id)}" for gpu in gpus) or "no GPU"
        wishes.problems.append(f"{where} matches no GPU of this host, which has {listed}; select another config.")


def _passes(gpu: Gpu, device_filter: str) -> bool:
    found = _FILTER.fullmatch(device_filter)
    if found is None or gpu.pci_device_id is None:
        return False
    device, subsystem = found.groups()
    return int(device, 16) == gpu.pci_device_id and (subsystem is None or int(subsystem, 16) == gpu.pci_subsystem_id)


def _show_id(number: Optional[int]) -> str:
    return "of unknown PCI device id" if number is None else f"0x{number:08X}"

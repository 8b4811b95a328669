# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word mig of a sharing config, as far as it can be judged without a card. PRIVATE to the collection.

mig: {strategy: mixed, devices: {1g.12gb: 7}}
mig: {strategy: single, devices: [{gpus: NVIDIA H20, devices: {1g.12gb: 7}}]}
mig: {strategy: none}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import parse_name, resource_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import read_counts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean, kind_of, unknown_words

NONE, SINGLE, MIXED = "none", "single", "mixed"
STRATEGIES = (NONE, SINGLE, MIXED)


@dataclass(frozen=True)
class MigWords:
    """What is wanted of the GPUs.

    :param devices: counts by profile for every GPU, or a list of {gpus, devices}; names and numbers made canonical. None with the
        strategy none, which switches MIG off.
    """

    strategy: str
    devices: Any = None

    @property
    def profiles(self) -> Tuple[str, ...]:
        """All profiles that are named."""
        return tuple(sorted({name for _where, counts in _parts("", self.devices) for name in counts}))

    @property
    def resources(self) -> Tuple[str, ...]:
        """What may be advertised: of MIG devices under their own names, GPUs without MIG can be beside them."""
        if self.strategy != MIXED:
            return (GPU_RESOURCE,)
        return (*map(resource_name, self.profiles), GPU_RESOURCE)


def read_mig(where: str, mig: Any) -> tuple[MigWords | None, list[str]]:
    """The word, and what is wrong with it; None if it was not said, or with problems."""
    if mig is None:
        return None, []
    where = f"{where}.mig"
    if not isinstance(mig, Mapping):
        return None, [f"{where} is {kind_of(mig)}; give a mapping with strategy and devices."]
    problems = unknown_words(where, mig, ("strategy", "devices"))
    strategy, devices = mig.get("strategy", MIXED), mig.get("devices")
    if strategy not in STRATEGIES:
        hint = did_you_mean(strategy, STRATEGIES)
        problems.append(f"{where}.strategy is {strategy!r}; give one of {', '.join(STRATEGIES)}.{hint}")
    if strategy == NONE and devices:
        problems.append(
            f"{where} has devices, but strategy none switches MIG off; take devices out, or give strategy mixed or single."
        )
    elif strategy in (SINGLE, MIXED) and "devices" not in mig and not problems:
        problems.append(
            f"{where}.devices is missing; give counts by profile, such as {{1g.12gb: 7}}, or strategy: none to switch MIG off."
        )
    if strategy == NONE or "devices" not in mig:
        return (None if problems else MigWords(NONE)), problems
    canonical, more = _read_devices(f"{where}.devices", devices)
    problems += more
    words = MigWords(str(strategy), canonical)
    if not more:
        problems += _check_strategy(where, words)
    return (None if problems else words), problems


def _read_devices(where: str, devices: Any) -> tuple[Any, list[str]]:
    """Devices in one form, whatever GPUs there are."""
    if isinstance(devices, (list, tuple)) and any(isinstance(one, Mapping) for one in devices):
        entries, problems = [], []
        for number, entry in enumerate(devices):
            read, more = _read_entry(f"{where}[{number}]", entry)
            entries.append(read)
            problems += more
        return entries, problems
    counts, problems = read_counts(where, devices)
    if not counts and not problems:
        problems = [f"{where} names no MIG device; give counts by profile, such as {{1g.12gb: 7}}."]
    return dict(counts), problems


def _read_entry(where: str, entry: Any) -> tuple[dict[str, Any], list[str]]:
    """Devices for some of a node's GPUs."""
    if not isinstance(entry, Mapping):
        return {}, [f"{where} is {kind_of(entry)}; give a mapping with gpus and devices."]
    problems = unknown_words(where, entry, ("gpus", "devices"))
    gpus = entry.get("gpus")
    selectors = gpus if isinstance(gpus, (list, tuple)) else [gpus]
    if not selectors or any(isinstance(one, bool) or not isinstance(one, (int, str)) for one in selectors):
        problems.append(
            f"{where}.gpus is {kind_of(gpus)} ({gpus!r}); give all, or indices, UUIDs, PCI addresses or products."
        )
    counts, more = read_counts(f"{where}.devices", entry.get("devices"))
    if not counts and not more:
        more = [f"{where}.devices names no MIG device; give counts by profile, such as {{1g.12gb: 7}}."]
    return {"gpus": gpus, "devices": dict(counts)}, problems + more


def _parts(where: str, devices: Any) -> Iterator[tuple[str, Mapping[str, int]]]:
    if isinstance(devices, Mapping):
        yield where, devices
    for number, entry in enumerate(devices if isinstance(devices, Sequence) else ()):
        yield f"{where}[{number}].devices", entry["devices"]


def _check_strategy(where: str, words: MigWords) -> list[str]:
    """What the device plugin makes of the devices: it ends itself where it is given what its strategy does not know."""
    if words.strategy == SINGLE and len(words.profiles) > 1:
        return [
            f"{where}: strategy single advertises every MIG device as {GPU_RESOURCE}, so that all of a node must be alike, and this "
            f"names {', '.join(words.profiles)}; give one profile, or strategy: mixed."
        ]
    return [
        f"{place}.{name} is a part of a GPU instance, which the device plugin does not advertise under strategy mixed (it ends); "
        f"give {parse_name(name).gpu_instance}, or strategy: single."
        for place, counts in _parts(f"{where}.devices", words.devices)
        for name in counts
        if words.strategy == MIXED and not parse_name(name).is_whole
    ]

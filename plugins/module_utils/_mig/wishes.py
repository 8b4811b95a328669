# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator wants of each GPU, from the words of mig_devices. PRIVATE to the collection.

Counts by profile, or a list of names, for all GPUs; or a list of {gpus, devices}, each for some of them:

    {1g.12gb: 7}      ["3g.48gb", "1g.12gb"]      [{gpus: [0, 1], devices: {1g.12gb: 7}}, {gpus: NVIDIA A30, devices: [4g.24gb]}]

GPUs that nothing names are left alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import parse_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.selection import select_gpus
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import kind_of, unknown_words
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import read_whole


@dataclass(frozen=True)
class Wish:
    """What one GPU shall be.

    :param where: which words say so.
    :param enabled: MIG mode.
    :param counts: MIG devices by profile; names as the operator wrote them, made canonical (3c.3g.20gb is 3g.20gb).
    """

    where: str
    enabled: bool = True
    counts: Tuple[Tuple[str, int], ...] = ()


class Wishes:
    """Wishes by index of the GPU, and all that is wrong with them."""

    def __init__(self) -> None:
        self.by_gpu: Dict[int, Wish] = {}
        self.problems: List[str] = []

    def claim(self, gpus: Sequence[Gpu], wish: Wish) -> None:
        """Note a wish for some GPUs; each can be claimed once."""
        for gpu in gpus:
            other = self.by_gpu.get(gpu.index)
            if other is None:
                self.by_gpu[gpu.index] = wish
            else:
                self.problems.append(f"{gpu} is claimed by {other.where} and by {wish.where}; name it in one of them.")


def read_wishes(where: str, devices: Any, gpus: Sequence[Gpu]) -> Wishes:
    """Wishes from mig_devices, for the GPUs of one host.

    :param where: what the words are called, for messages.
    """
    wishes = Wishes()
    entries: List[Tuple[str, Any, str, Any]] = [(where, "all", where, devices)]
    if isinstance(devices, (list, tuple)) and any(isinstance(one, Mapping) for one in devices):
        entries = []
        for number, entry in enumerate(devices):
            place = f"{where}[{number}]"
            if not isinstance(entry, Mapping):
                wishes.problems.append(f"{place} is {kind_of(entry)}; give a mapping with gpus and devices.")
                continue
            wishes.problems += unknown_words(place, entry, ("gpus", "devices"))
            entries.append((place, entry.get("gpus"), f"{place}.devices", entry.get("devices")))
    for place, selectors, words, value in entries:
        selected, problems = select_gpus(f"{place}.gpus" if words != place else place, selectors, gpus)
        counts, more = read_counts(words, value)
        wishes.problems += [*problems, *more]
        if not counts and not more:
            wishes.problems.append(
                f"{words} names no MIG device; give counts by profile, such as {{1g.12gb: 7}}, "
                "or use state absent to take MIG off."
            )
        wishes.claim(selected, Wish(place, True, counts))
    return wishes


def wish_absent(where: str, selectors: Any, gpus: Sequence[Gpu]) -> Wishes:
    """No instances, and the mode off."""
    wishes = Wishes()
    selected, wishes.problems = select_gpus(where, selectors, gpus)
    wishes.claim(selected, Wish(where, False))
    return wishes


def read_counts(where: str, value: Any) -> Tuple[Tuple[Tuple[str, int], ...], List[str]]:
    """Counts by canonical name, and what is wrong with them.

    :param value: counts by name, or names, each as often as it is wanted.
    """
    if isinstance(value, (list, tuple)):
        return _count_names(where, value)
    if not isinstance(value, Mapping):
        return (), [
            f"{where} is {kind_of(value)}; give counts by profile, such as {{1g.12gb: 7}}, or a list of profiles."
        ]
    counts: Dict[str, int] = {}
    problems = []
    for given, number in value.items():
        try:
            name = str(parse_name(given))
            count = read_whole(number)
        except ValueError as error:
            problems.append(f"{where}.{given}: {error}.")
            continue
        if count < 1:
            problems.append(f"{where}.{given} is {count}; give at least 1, or leave the profile out.")
        elif name in counts:
            problems.append(f"{where} names {name} twice, the second time as {given}; name it once.")
        else:
            counts[name] = count
    return tuple(sorted(counts.items())), problems


def _count_names(where: str, names: Sequence[Any]) -> Tuple[Tuple[Tuple[str, int], ...], List[str]]:
    counts: Dict[str, int] = {}
    problems = []
    for number, given in enumerate(names):
        try:
            name = str(parse_name(given))
            counts[name] = counts.get(name, 0) + 1
        except ValueError as error:
            problems.append(f"{where}[{number}]: {error}.")
    return tuple(sorted(counts.items())), problems

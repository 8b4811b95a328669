# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The word mig of a sharing config: its form is checked, and it is not supported yet. PRIVATE to the collection."""

from __future__ import annotations

import re
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import kind_of, unknown_words
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import read_whole

_STRATEGIES = ("none", "single", "mixed")
# [compute slices.]gpu slices.memory[+or-attribute]: 1g.12gb, 1c.3g.40gb, 1g.10gb+me.
_PROFILE = re.compile(r"(?:[1-9]c\.)?[1-9]g\.[0-9]+gb(?:[+-][a-z]+(?:\.[a-z]+)?)?")


def check_mig(where: str, mig: Any) -> list[str]:
    """Problems of the form, or else that it is not supported yet; none if nothing is asked for."""
    if mig is None:
        return []
    where = f"{where}.mig"
    if not isinstance(mig, Mapping):
        return [f"{where} is {kind_of(mig)}; give a mapping with strategy and devices."]
    problems = unknown_words(where, mig, ("strategy", "devices"))
    strategy, devices = mig.get("strategy", "mixed"), mig.get("devices", {})
    if strategy not in _STRATEGIES:
        problems.append(f"{where}.strategy is {strategy!r}; give one of {', '.join(_STRATEGIES)}.")
    if isinstance(devices, (list, tuple)):
        for number, part in enumerate(devices):
            problems += _check_part(f"{where}.devices[{number}]", part)
    else:
        problems += _check_devices(f"{where}.devices", devices)
    if not problems and (strategy != "none" or devices):
        problems.append(f"{where} is not supported yet; take it out, and GPUs with MIG enabled are left to you.")
    return problems


def _check_part(where: str, part: Any) -> list[str]:
    """Devices for some of a node's GPUs."""
    if not isinstance(part, Mapping):
        return [f"{where} is {kind_of(part)}; give a mapping with gpus and devices."]
    gpus = part.get("gpus")
    problems = unknown_words(where, part, ("gpus", "devices"))
    if not isinstance(gpus, (list, tuple)) or not gpus:
        problems.append(f"{where}.gpus is {kind_of(gpus)} ({gpus!r}); give a list of GPU indices.")
    return problems + _check_devices(f"{where}.devices", part.get("devices"))


def _check_devices(where: str, devices: Any) -> list[str]:
    """Counts by profile."""
    if not isinstance(devices, Mapping):
        return [
            f"{where} is {kind_of(devices)}; give counts by profile, such as {{1g.12gb: 7}}, or a list of {{gpus, devices}}."
        ]
    problems = []
    for profile, count in devices.items():
        if not isinstance(profile, str) or not _PROFILE.fullmatch(profile):
            problems.append(f"{where}: {profile!r} is no MIG profile; give a name such as 1g.12gb.")
        try:
            if read_whole(count) < 1:
                raise ValueError(f"{count!r} is less than 1")
        except ValueError as error:
            problems.append(f"{where}.{profile}: {error}; give the number of devices on each GPU.")
    return problems

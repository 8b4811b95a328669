# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's words, checked as a whole: kubegpu_sharing_configs, kubegpu_default_config, kubegpu_sizing.
PRIVATE to the collection.

Every problem says where, which value, and the cure; reading goes on after a problem, so that all are told at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import (
    WHERE,
    SharingConfig,
    read_config,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import is_label_value
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import Version
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean, kind_of, unknown_words
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.arithmetic import Margins
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import read_decimal, read_whole


@dataclass(frozen=True)
class Vocabulary:
    """What is wanted.

    :param configs: by key, only those without a problem.
    :param default_key: config of the GPUs that no other config matches; None if they are left alone.
    """

    configs: Mapping[str, SharingConfig] = field(default_factory=dict)
    default_key: str | None = None
    margins: Margins = field(default_factory=Margins)


def read_vocabulary(configs: Any, default: Any, sizing: Any, version: Version) -> tuple[Vocabulary, list[str]]:
    """The vocabulary, and what is wrong with it.

    :param version: of the device plugin that will read the configs.
    """
    margins, problems = _read_sizing(sizing)
    default_key, default_problems = _read_default(default, configs)
    found: dict[str, SharingConfig] = {}
    if not isinstance(configs, Mapping):
        problems.append(
            f"{WHERE} is {kind_of(configs)}; give a mapping of configs by key, such as "
            "{t4: {match: {product: Tesla T4}, sharing: time_slicing, process_memory_mib: 4401}}."
        )
        configs = {}
    elif not configs:
        problems.append(f"{WHERE} is empty, so there is nothing to share; name at least one config.")
    for key in sorted(configs, key=str):
        config, config_problems = _read_one(key, configs[key], key == default_key, version)
        problems += config_problems
        if config and not config_problems:
            found[config.key] = config
    return Vocabulary(found, default_key, margins), problems + default_problems


def _read_one(key: Any, given: Any, is_default: bool, version: Version) -> tuple[SharingConfig | None, list[str]]:
    if not isinstance(key, str):
        return None, [f"{WHERE}: key {key!r} is {kind_of(key)}, but it becomes a node label; put it in quotes."]
    if not is_label_value(key):
        return None, [
            f"{WHERE}: key {key!r} is no valid label value, but it becomes the node label nvidia.com/device-plugin.config; "
            "use at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends."
        ]
    return read_config(key, given, is_default, version)


def _read_default(default: Any, configs: Any) -> tuple[str | None, list[str]]:
    if default is None or default == "":
        return None, []
    if not isinstance(default, str):
        return None, [f"kubegpu_default_config is {kind_of(default)} ({default!r}); give the key of a config."]
    keys = [key for key in configs if isinstance(key, str)] if isinstance(configs, Mapping) else []
    if default not in keys:
        hint = did_you_mean(default, keys) or f" Configs: {', '.join(sorted(keys)) or 'none'}."
        return None, [
            f"kubegpu_default_config is {default!r}, but {WHERE} has no such config.{hint} Leave it empty for no default."
        ]
    return default, []


def _read_sizing(sizing: Any) -> tuple[Margins, list[str]]:
    where = "kubegpu_sizing"
    if sizing is None:
        sizing = {}
    if not isinstance(sizing, Mapping):
        return Margins(), [f"{where} is {kind_of(sizing)}; give a mapping such as {{max_memory_utilization: 0.9}}."]
    problems = unknown_words(where, sizing, ("max_memory_utilization", "min_headroom_mib"))
    utilization, headroom = Margins().max_memory_utilization, Margins().min_headroom_mib
    try:
        utilization = _utilization(sizing.get("max_memory_utilization", utilization))
    except ValueError as error:
        problems.append(
            f"{where}.max_memory_utilization: {error}; give a part of the card above 0 and at most 1, such as 0.9."
        )
    try:
        headroom = _headroom(sizing.get("min_headroom_mib", headroom))
    except ValueError as error:
        problems.append(f"{where}.min_headroom_mib: {error}; give MiB as a whole number, 0 or more.")
    return Margins(utilization, headroom), problems


def _utilization(value: Any) -> Decimal:
    number = read_decimal(value)
    if not 0 < number <= 1:
        raise ValueError(f"{value!r} is out of range")
    return number


def _headroom(value: Any) -> int:
    number = read_whole(value)
    if number < 0:
        raise ValueError(f"{value!r} is negative")
    return number

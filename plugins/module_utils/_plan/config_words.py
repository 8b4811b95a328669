# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One sharing config as the operator writes it. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import NONE, MigWords, read_mig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.query import Query
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.flags import check_flags
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE, MIG_PREFIX
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import Version
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean, kind_of, unknown_words
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import read_whole

WHERE = "kubegpu_sharing_configs"
SHARINGS = ("none", "time_slicing", "mps")
_WORDS = (
    "match",
    "sharing",
    "process_memory_mib",
    "replicas",
    "rename",
    "fail_requests_greater_than_one",
    "plugin_flags",
    "mig",
)


@dataclass(frozen=True)
class SharingConfig:
    """One key's config, as wanted.

    :param product: the model it is for, xor
    :param query: which GPUs it is for; both None only for the default config.
    :param sharing: none or time_slicing.
    :param process_memory_mib: what one process was measured to use, xor
    :param replicas: as stated; both None if nothing is shared.
    :param by_resource: the same by resource, where it was said so; what it does not name is not shared.
    :param plugin_flags: in the shape of the ``flags`` of the plugin's config file.
    :param mig: None: GPUs with MIG enabled are none of it.
    """

    key: str
    product: str | None = None
    query: Query | None = None
    sharing: str = "none"
    process_memory_mib: int | None = None
    replicas: int | None = None
    by_resource: Mapping[str, int] = field(default_factory=dict)
    rename: bool = False
    fail_requests_greater_than_one: bool = True
    plugin_flags: Mapping[str, Any] = field(default_factory=dict)
    mig: MigWords | None = None

    @property
    def mig_strategy(self) -> str:
        """As the device plugin is told."""
        return self.mig.strategy if self.mig else NONE

    def process_of(self, resource: str) -> int | None:
        """What one process on a device of a resource was measured to use."""
        if self.process_memory_mib is None:
            return None
        return self.by_resource.get(resource) if self.by_resource else self.process_memory_mib

    def replicas_of(self, resource: str) -> int | None:
        """The replicas of a resource as stated."""
        if self.replicas is None:
            return None
        return self.by_resource.get(resource) if self.by_resource else self.replicas


def read_config(key: str, given: Any, is_default: bool, version: Version) -> tuple[SharingConfig | None, list[str]]:
    """A config, and what is wrong with it."""
    where = f"{WHERE}.{key}"
    if not isinstance(given, Mapping):
        return None, [f"{where} is {kind_of(given)}; give a mapping with match and sharing."]
    problems = unknown_words(where, given, _WORDS)
    product, query, match_problems = _read_match(where, given.get("match"), is_default)
    mig, mig_problems = read_mig(where, given.get("mig"))
    problems += match_problems + _check_sharing(where, given) + mig_problems
    resources = mig.resources if mig else (GPU_RESOURCE,)
    # Of a mig that is misspelt it is not known what it advertises, and one slip is told once.
    process = _read_number(f"{where}.process_memory_mib", given.get("process_memory_mib"), _process_memory, resources)
    replicas = _read_number(f"{where}.replicas", given.get("replicas"), _replicas, resources)
    if not mig_problems:
        problems += process.problems + replicas.problems
    flags = given.get("plugin_flags") or {}
    problems += check_flags(f"{where}.plugin_flags", flags, version) + _check_strategy(where, flags, mig)
    switches = {}
    for word, default in (("rename", False), ("fail_requests_greater_than_one", True)):
        switches[word] = given.get(word, default)
        if not isinstance(switches[word], bool):
            problems.append(f"{where}.{word} is {switches[word]!r}; give true or false.")
    config = SharingConfig(
        key,
        product,
        query,
        given.get("sharing", "none"),
        process.number,
        replicas.number,
        {**process.by_resource, **replicas.by_resource},
        plugin_flags=flags,
        mig=mig,
        **switches,
    )
    return config, problems


def _check_strategy(where: str, flags: Any, mig: MigWords | None) -> list[str]:
    """A strategy among the flags that is another one than mig says."""
    strategy = flags.get("migStrategy") if isinstance(flags, Mapping) else None
    if strategy is None or not mig or strategy == mig.strategy:
        return []
    return [f"{where}.plugin_flags has migStrategy {strategy}, but mig.strategy is {mig.strategy}; take the flag out."]


def _check_sharing(where: str, given: Mapping[str, Any]) -> list[str]:
    sharing = given.get("sharing", "none")
    if not isinstance(sharing, str) or sharing not in SHARINGS:
        hint = did_you_mean(sharing, SHARINGS)
        return [f"{where}.sharing is {sharing!r}; give one of {', '.join(SHARINGS)}.{hint}"]
    has_process, has_replicas = given.get("process_memory_mib") is not None, given.get("replicas") is not None
    problems = []
    if has_process and has_replicas:
        problems.append(f"{where} has both replicas and process_memory_mib; keep one, since each decides the other.")
    if sharing == "none" and (has_process or has_replicas):
        word = "process_memory_mib" if has_process else "replicas"
        problems.append(f"{where} has {word}, but sharing is none; set sharing: time_slicing, or take {word} out.")
    if sharing != "none" and not (has_process or has_replicas):
        problems.append(
            f"{where} has sharing: {sharing}, but neither process_memory_mib nor replicas; give the memory that one "
            "process was measured to use, or the number."
        )
    if sharing == "mps" and isinstance(given.get("mig"), Mapping) and given["mig"].get("strategy") != NONE:
        problems.append(f"{where}.sharing: mps does not work on GPUs with MIG enabled; use time_slicing or none.")
    elif sharing == "mps":
        problems.append(f"{where}.sharing: mps is not supported yet; use time_slicing or none.")
    return problems


def _read_match(where: str, match: Any, is_default: bool) -> tuple[str | None, Query | None, list[str]]:
    if match is None:
        if is_default:
            return None, None, []
        return (
            None,
            None,
            [
                f"{where} has no match, so no GPU would ever get it; add match: {{product: …}} or match: {{query: …}}, "
                "or make it kubegpu_default_config."
            ],
        )
    if not isinstance(match, Mapping):
        return None, None, [f"{where}.match is {kind_of(match)} ({match!r}); give {{product: …}} or {{query: …}}."]
    problems = unknown_words(f"{where}.match", match, ("product", "query"))
    if len({"product", "query"} & set(match)) != 1:
        problems.append(f"{where}.match must have exactly one of product and query, and has {_listed(match)}.")
        return None, None, problems
    word = "product" if "product" in match else "query"
    text = match[word]
    if not isinstance(text, str) or not text.strip():
        return None, None, [*problems, f"{where}.match.{word} is {kind_of(text)} ({text!r}); give a string."]
    if word == "product":
        return text, None, problems
    try:
        return None, Query(text), problems
    except ValueError as error:
        return None, None, [*problems, f"{where}.match.query {text!r} does not parse as JMESPath: {error}."]


def _listed(words: Mapping[str, Any]) -> str:
    return " and ".join(sorted(str(word) for word in words)) or "neither"


@dataclass(frozen=True)
class _Number:
    """:param number: None if there is none; the least of several."""

    number: int | None = None
    by_resource: Mapping[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def _read_number(where: str, value: Any, read: Callable[[Any], int], resources: Sequence[str]) -> _Number:
    """A number, stated as such or by resource name.

    :param resources: that the config advertises.
    """
    if value is None:
        return _Number()
    if not isinstance(value, Mapping):
        try:
            return _Number(read(value))
        except ValueError as error:
            return _Number(problems=[f"{where}: {error}."])
    problems = [] if value else [f"{where} names no resource; give a number, or {{{resources[0]}: number}}."]
    numbers = {}
    for resource, one in value.items():
        if resource not in resources:
            hint = did_you_mean(resource, resources)
            if str(resource).startswith(MIG_PREFIX) and len(resources) == 1:
                hint = " MIG devices go by such names with mig: {strategy: mixed, devices: …}."
            problems.append(
                f"{where}: no GPU of this config is advertised as {resource!r}; give {', '.join(resources)}.{hint}"
            )
            continue
        try:
            numbers[str(resource)] = read(one)
        except ValueError as error:
            problems.append(f"{where}.{resource}: {error}.")
    # Where there is but one resource, its number is the config's.
    several = numbers if len(resources) > 1 else {}
    return _Number(min(numbers.values(), default=None), several, problems)


def _process_memory(value: Any) -> int:
    number = read_whole(value)
    if number < 1:
        raise ValueError(f"{value!r} is no memory that a process can use; give the MiB that one was measured to use")
    return number


def _replicas(value: Any) -> int:
    number = read_whole(value)
    if number < 2:
        raise ValueError(
            f"{value!r} replicas share nothing, and the device plugin refuses them; give 2 or more, or sharing: none"
        )
    return number

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One sharing config as the operator writes it. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import check_mig
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
    :param plugin_flags: in the shape of the ``flags`` of the plugin's config file.
    """

    key: str
    product: str | None = None
    query: Query | None = None
    sharing: str = "none"
    process_memory_mib: int | None = None
    replicas: int | None = None
    rename: bool = False
    fail_requests_greater_than_one: bool = True
    plugin_flags: Mapping[str, Any] = field(default_factory=dict)


def read_config(key: str, given: Any, is_default: bool, version: Version) -> tuple[SharingConfig | None, list[str]]:
    """A config, and what is wrong with it."""
    where = f"{WHERE}.{key}"
    if not isinstance(given, Mapping):
        return None, [f"{where} is {kind_of(given)}; give a mapping with match and sharing."]
    problems = unknown_words(where, given, _WORDS)
    product, query, match_problems = _read_match(where, given.get("match"), is_default)
    problems += match_problems + _check_sharing(where, given) + check_mig(where, given.get("mig"))
    process, process_problems = _read_number(where, given, "process_memory_mib", _process_memory)
    replicas, replicas_problems = _read_number(where, given, "replicas", _replicas)
    problems += process_problems + replicas_problems
    flags = given.get("plugin_flags") or {}
    problems += check_flags(f"{where}.plugin_flags", flags, version)
    switches = {}
    for word, default in (("rename", False), ("fail_requests_greater_than_one", True)):
        switches[word] = given.get(word, default)
        if not isinstance(switches[word], bool):
            problems.append(f"{where}.{word} is {switches[word]!r}; give true or false.")
    sharing = given.get("sharing", "none")
    return SharingConfig(key, product, query, sharing, process, replicas, plugin_flags=flags, **switches), problems


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
    if sharing == "mps":
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


def _read_number(
    where: str, given: Mapping[str, Any], word: str, read: Callable[[Any], int]
) -> tuple[int | None, list[str]]:
    """A number, stated as such or by resource name."""
    value = given.get(word)
    if value is None:
        return None, []
    where = f"{where}.{word}"
    if not isinstance(value, Mapping):
        try:
            return read(value), []
        except ValueError as error:
            return None, [f"{where}: {error}."]
    problems = [] if value else [f"{where} names no resource; give a number, or {{{GPU_RESOURCE}: number}}."]
    number = None
    for resource, one in value.items():
        if resource == GPU_RESOURCE:
            number, more = _read_number(where, {resource: one}, resource, read)
            problems += more
        elif str(resource).startswith(MIG_PREFIX):
            problems.append(f"{where}.{resource}: MIG is not supported yet; only {GPU_RESOURCE} can be shared.")
        else:
            hint = did_you_mean(resource, (GPU_RESOURCE,))
            problems.append(f"{where}: no GPU is advertised as {resource!r}; give {GPU_RESOURCE}.{hint}")
    return number, problems


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

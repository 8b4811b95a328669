# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags of the device plugin that the operator hands through, checked. PRIVATE to the collection.

The plugin itself ignores a field that it does not know or that stands in the wrong place, without a word.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.config_fields import FIELDS, Field
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import Version, show_version
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean, kind_of

_BY_PATH = {field.path: field for field in FIELDS}
_LAST_WORDS = {path.rpartition(".")[2]: path for path in _BY_PATH}
# Known to the plugin, but not to be set here; each with what to do instead.
_ELSEWHERE = {
    "flags.gfd": "configures GPU Feature Discovery, which these DaemonSets do not run; set it where that is deployed",
    "flags.mpsRoot": "belongs to sharing: mps, which is not supported yet",
    "flags.useNodeFeatureAPI": "is for GPU Feature Discovery, which these DaemonSets do not run",
}


def check_flags(where: str, flags: Any, version: Version) -> list[str]:
    """Problems of a ``plugin_flags`` mapping, which has the shape of the file's own ``flags``.

    :param where: what to call the mapping in a problem.
    :param version: the plugin that will read the flags.
    """
    if not isinstance(flags, Mapping):
        return [f"{where} is {kind_of(flags)}; give a mapping such as {{plugin: {{deviceIDStrategy: index}}}}."]
    problems: list[str] = []
    for word, value in flags.items():
        if word == "plugin" and isinstance(value, Mapping):
            for inner, inner_value in value.items():
                problems += _check(where, f"flags.plugin.{inner}", inner_value, version)
        else:
            problems += _check(where, f"flags.{word}", value, version)
    return problems


def _check(where: str, path: str, value: Any, version: Version) -> list[str]:
    word = path[len("flags.") :]
    if path in _ELSEWHERE:
        return [f"{where}: {word} {_ELSEWHERE[path]}."]
    field = _BY_PATH.get(path)
    if field is None:
        return [f"{where}: unknown flag {word!r}.{_hint(path)}"]
    if version < field.since:
        return [
            f"{where}: {word} is known to the device plugin from {show_version(field.since)} on, and {show_version(version)} "
            "would ignore it. Choose a newer version, or leave the flag out."
        ]
    return [f"{where}: {word} is {value!r}; {wanted}." for wanted in _mismatch(field, value)]


def _hint(path: str) -> str:
    right_place = _LAST_WORDS.get(path.rpartition(".")[2])
    if right_place:
        return f" It belongs at {right_place[len('flags.') :]}."
    known = [name[len("flags.") :] for name in _BY_PATH]
    return did_you_mean(path[len("flags.") :], known) or f" Known flags: {', '.join(known)}."


def _mismatch(field: Field, value: Any) -> list[str]:
    """What the field wants instead of ``value``; empty if it fits."""
    if field.path == "flags.migStrategy":
        hint = f" ({{strategy: {value}, devices: …}})" if value in field.choices else ""
        return (
            [] if value == "none" else [f"say it with the config's word mig{hint}, which lays out the devices as well"]
        )
    if field.type == "bool":
        return [] if isinstance(value, bool) else ["give true or false"]
    if field.type == "text":
        return [] if isinstance(value, str) and value else ["give a string"]
    values = value if field.type == "choices" and isinstance(value, (list, tuple)) and value else [value]
    if all(isinstance(one, str) and one in field.choices for one in values):
        return []
    form = "give one or a list of" if field.type == "choices" else "give one of"
    return [f"{form} {', '.join(field.choices)}"]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A proposal laid over the operator's configs, so that a plan shows what it would change. PRIVATE to the collection.

The configs as they are written stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError


@dataclass(frozen=True)
class Overlay:
    """Configs with a proposal laid over.

    :param applied: process_memory_mib from and to, by key.
    :param told: why the proposal for a key was not applied.
    """

    configs: Any
    applied: Dict[str, Dict[str, Any]] = field(default_factory=dict)
    told: Dict[str, str] = field(default_factory=dict)


def lay_over(configs: Any, proposal: Mapping[str, Any], where: str) -> Overlay:
    """Replace process_memory_mib of the configs that share by it, or lack a number; of others, say why not.

    :param configs: as the operator wrote them; what is wrong with them is found when they are planned with.
    :param where: the proposal's file.
    :raises KubeGpuError: it is no proposal.
    """
    proposed = proposal.get("configs")
    if proposal.get("kind") != "proposal" or not isinstance(proposed, Mapping):
        raise KubeGpuError(
            f"{where} is no proposal, but {proposal.get('kind') or 'of unknown kind'}. Name the file that sizing_proposal has written.",
            path=where,
        )
    given = {} if configs is None else configs
    if not isinstance(given, Mapping):
        return Overlay(configs)
    result, applied, told = dict(given), {}, {}
    for key, entry in proposed.items():
        words = given.get(key)
        if words is None and entry.get("suggested"):
            words = entry.get("words")
        number = entry.get("process_memory_mib")
        reason = _why_not(words, number, entry)
        if reason or not isinstance(words, Mapping):
            told[key] = reason
            if isinstance(words, Mapping) and _lacks_number(words):
                # With the number still open there would be no plan at all, also of the configs that have one.
                result[key] = {**words, "sharing": "none"}
                told[key] = f"{reason} It is planned as not shared, since its number is still open."
            continue
        result[key] = {**words, "process_memory_mib": number}
        applied[key] = {"from": words.get("process_memory_mib"), "to": number}
    return Overlay(result, applied, told)


def _lacks_number(words: Mapping[str, Any]) -> bool:
    return (
        words.get("sharing") == "time_slicing"
        and words.get("process_memory_mib") is None
        and words.get("replicas") is None
    )


def _why_not(words: Any, number: Any, entry: Mapping[str, Any]) -> str:
    if not isinstance(words, Mapping):
        return "there is no such config any more"
    if words.get("replicas") is not None:
        return "it states replicas"
    if words.get("sharing", "none") == "none":
        return "it shares nothing"
    return "" if number is not None else str(entry.get("why") or "Nothing was measured for it.")

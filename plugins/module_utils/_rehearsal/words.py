# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal in a few sentences. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

#: What the figures are worth.
APPROXIMATION = (
    "Reckoned with GPU resources, node selectors, required node affinity and taints, as the cluster was read; not with CPU, "
    "memory, affinity between pods, topology spread or preemption."
)
UNKNOWN_BUDGETS = "Disruption budgets may not be listed by this user, so which of them will refuse is not known."
_STEPS = {"in_maintenance": ("pod is evicted", "pods are evicted"), "in_service": ("stale pod is", "stale pods are")}
_LISTED = 5
_ALONE = {
    "no controller that makes them anew": "no controller makes it anew",
    "no GPU, so that other nodes may take them": "it has no GPU, so that other nodes may take it",
}


def summarize(waves: Sequence[Mapping[str, Any]], budgets_known: bool) -> list[str]:
    """Sentences, the most important ones first. None for a plan without waves."""
    if not waves:
        return []
    evictions = [eviction for wave in waves for eviction in wave["evictions"]]
    told = [*_tell_blocking(waves), *_tell_pods(evictions), _tell_slots(waves)]
    if not evictions:
        return told
    return [*told, *([] if budgets_known else [UNKNOWN_BUDGETS]), APPROXIMATION]


def _tell_blocking(waves: Sequence[Mapping[str, Any]]) -> list[str]:
    names = sorted({f"{one['namespace']}/{one['name']}" for wave in waves for one in wave["blocking_budgets"]})
    if not names:
        return []
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    budgets = "1 disruption budget" if len(names) == 1 else f"{len(names)} disruption budgets"
    return [f"{budgets} will refuse evictions until the deadline: {listed}."]


def _tell_pods(evictions: Sequence[Mapping[str, Any]]) -> list[str]:
    told = []
    for step, (one, many) in _STEPS.items():
        found = [eviction for eviction in evictions if eviction["step"] == step]
        if found:
            words = one if len(found) == 1 else many
            done = " recreated" if step == "in_service" else ""
            told.append(f"{len(found)} {words}{done}: {describe_fates(found)}.")
    return told or ["No pod is evicted."]


def describe_fates(evictions: Sequence[Mapping[str, Any]]) -> str:
    """Such as "2 have a place at once, 1 has a place only later, 1 has no place"."""
    counts = {
        "a place at once": sum(one["verdict"] == "placed" for one in evictions),
        "a place only later": sum(one["later"] is not None for one in evictions),
        "no place": sum(one["verdict"] == "no_place" and one["later"] is None for one in evictions),
        "no GPU, so that other nodes may take them": sum(one["verdict"] == "no_gpu" for one in evictions),
        "no controller that makes them anew": sum(one["verdict"] == "not_replaced" for one in evictions),
    }
    if len(evictions) == 1:
        (what,) = [words for words, count in counts.items() if count]
        return _ALONE.get(what, f"it has {what}")
    return ", ".join(f"{count} {'has' if count == 1 else 'have'} {what}" for what, count in counts.items() if count)


def _tell_slots(waves: Sequence[Mapping[str, Any]]) -> str:
    out = max(waves, key=lambda wave: wave["slots_out"])
    sentence = f"At most {out['slots_out']} of {out['gpu_slots_in_cluster']} GPU slots are out of service at once (wave {out['wave']})"
    missing = max(waves, key=lambda wave: wave["slots_missing_at_worst"])
    if not missing["slots_missing_at_worst"]:
        return f"{sentence}."
    after = waves[-1]["slots_missing"]
    return (
        f"{sentence}; evicted pods lack {missing['slots_missing_at_worst']} at the worst moment (wave {missing['wave']}) and "
        f"{after or 'none'} in the end."
    )

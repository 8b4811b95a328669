# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which sizes a measurement proposes, and by what. PRIVATE to the collection."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Iterator, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Row,
    Section,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    NOTHING,
    describe_share,
    describe_value,
    in_order,
)

_CONFIDENCE = {
    "ok": "measured",
    "short": "measured too briefly",
    "idle": "measured while idle",
    "untold": "NVML does not tell",
    "none": "nothing measured",
}


def sizes_section(figures: Mapping[str, Any], limit: int) -> Section:
    """The configs.

    :param figures: content of a measurement's report.json.
    :param limit: rows at most.
    """
    configs = figures.get("configs") or {}
    rows = [row for key in in_order(configs) for row in _config_rows(key, configs[key])]
    columns = [
        Column("Config"),
        *(Column(title, right=True) for title in ("Now", "Peak", "Proposed", "Samples")),
        Column("Confidence", wrap=True),
        Column("Decided by", wrap=True),
    ]
    if not rows:
        return Section("Proposed sizes", "No config was measured.")
    text = (
        "MiB for each process: what the config says now, the highest that was measured, and what is proposed for process_memory_mib, "
        f"{_describe_margin(figures.get('margin'))}. Samples are counted for each container that was seen. What must stay free of a GPU beside "
        "that is the ceiling's (kubegpu_sizing)."
    )
    items = [line for key in in_order(configs) for line in _config_lines(key, configs[key])]
    return Section("Proposed sizes", text, capped_table(columns, rows, limit), capped_items(items, limit))


def _describe_margin(margin: Any) -> str:
    share = Decimal(str(margin or 0))
    return f"with a margin of {describe_share(share)} on top" if share else "without a margin on top"


def _parts(key: str, config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What a config says of each resource, by the name to show: the key alone for whole GPUs, which most have."""
    parts = config.get("by_resource") or {}
    if not parts:
        yield key, config
    for resource, part in sorted(parts.items()):
        name = key if set(parts) == {GPU_RESOURCE} else f"{key}: {resource.replace('nvidia.com/', '')}"
        current = config.get("current")
        if isinstance(current, Mapping):
            current = current.get(resource)
        why = config.get("why") if len(parts) == 1 else None
        yield name, {**config, "why": why, **part, "current": current}


def _config_rows(key: str, config: Mapping[str, Any]) -> Iterator[Row]:
    for name, part in _parts(key, config):
        yield (
            name,
            _describe_current(part),
            describe_value(part.get("measured_peak_mib")),
            describe_value(part.get("process_memory_mib")),
            describe_value(part.get("samples")),
            _CONFIDENCE.get(str(part.get("confidence")), describe_value(part.get("confidence"))),
            _describe_decider(part.get("decided_by")),
        )


def _describe_current(part: Mapping[str, Any]) -> str:
    if part.get("suggested"):
        return "no config"
    if part.get("replicas_stated"):
        return f"{part['replicas']} replicas" if isinstance(part.get("replicas"), int) else "replicas"
    return describe_value(part.get("current"))


def _describe_decider(decider: Optional[Mapping[str, Any]]) -> str:
    """The workload whose peak is the highest; which of its pods that was is told below."""
    if not decider:
        return NOTHING
    return f"{decider.get('namespace')}/{str(decider.get('workload')).partition('/')[2] or decider.get('pod')}"


def _config_lines(key: str, config: Mapping[str, Any]) -> Iterator[str]:
    for name, part in _parts(key, config):
        told = [str(part[word]) for word in ("arithmetic", "why") if part.get(word)]
        if told:
            yield f"Config {name}: {'. '.join(words.rstrip('.') for words in told)}."

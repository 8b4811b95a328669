# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement in words: what it proposes, what that would change, and what it does not know. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Document,
    Section,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measured_sizes_view import sizes_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.usage_view import usage_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    UNKNOWN,
    describe_count,
    describe_duration,
    describe_time,
    describe_value,
    in_order,
    join_some,
)

Figures = Mapping[str, Any]
# Of a fragment on the screen.
_MAX_LINES = 60


def show_measurement(figures: Figures, limit: int) -> Document:
    """The measurement.

    :param figures: content of its report.json.
    :param limit: rows of a table at most.
    """
    sections = [
        sizes_section(figures, limit),
        _changes_section(figures, limit),
        _refusal(figures),
        usage_section(figures.get("workloads") or [], limit),
        _outside_section(figures, limit),
        _never_ran_section(figures, limit),
        _warnings_section(figures, limit),
        _fragment_section(figures),
    ]
    return Document(
        describe_samplings(figures), describe_proposal(figures), [section for section in sections if section]
    )


def describe_samplings(figures: Figures) -> str:
    """What is shown: the measurement of this run, and how many earlier ones count with it; or that nothing was sampled."""
    samplings, this = list(figures.get("samplings") or ()), figures.get("this_run") or {}
    if this.get("id"):
        earlier = len([name for name in samplings if name != this["id"]])
        with_it = f", with {describe_count(earlier, 'earlier one')}" if earlier else ""
        missing = "" if this["id"] in samplings else ", of which nothing has come"
        return f"Measurement {this['id']}{missing}{with_it}"
    count = describe_count(len(samplings), "measurement") if len(samplings) != 1 else f"measurement {samplings[0]}"
    if this:
        return f"Nothing sampled in this run; {count} of before" if samplings else "Nothing sampled in this run"
    return f"{count[0].upper()}{count[1:]}" if samplings else "Measurement"


def describe_proposal(figures: Figures) -> str:
    """What would change, in a sentence; and of how many samples that is."""
    return f"{describe_change(figures)}. {describe_extent(figures)}.{_describe_limit(figures)}"


def _describe_limit(figures: Figures) -> str:
    """Slots of a limited run are of its nodes alone, while whatever was measured counts."""
    this = figures.get("this_run") or {}
    if not this.get("limited"):
        return ""
    hosts = describe_count(int(this.get("hosts") or 0), "host")
    return f" This run is limited to {hosts}: slots are those of {'its node' if hosts.startswith('1 ') else 'their nodes'} alone."


def describe_change(figures: Figures) -> str:
    """The most important thing."""
    now, configured, proposed = (figures.get(f"slots_{word}") for word in ("now", "configured", "proposed"))
    changing = [key for key, config in (figures.get("configs") or {}).items() if changes_size(config)]
    if figures.get("proposal_problems"):
        return f"The proposal for {_configs(changing)} would be refused, see below"
    if now is None or proposed is None:
        return (
            f"A size is proposed for {_configs(changing)}" if changing else "No other size is proposed for any config"
        )
    as_configured = "" if configured in (None, now) else f", {configured} as configured"
    if not changing and configured == proposed:
        return f"{describe_count(now, 'GPU slot')} now{as_configured}; no other size is proposed for any config"
    return f"{describe_count(now, 'GPU slot')} now{as_configured}, {proposed} with the proposal"


def _configs(keys: list[str]) -> str:
    return f"config {keys[0]}" if len(keys) == 1 else f"configs {join_some(in_order(keys), 8)}"


def changes_size(config: Mapping[str, Any]) -> bool:
    """Whether a config would be given another size."""
    if "changed" in config:
        return bool(config["changed"])
    parts = list((config.get("by_resource") or {}).values()) or [config]
    return any(
        part.get("process_memory_mib") is not None and part.get("process_memory_mib") != part.get("current")
        for part in parts
    )


def describe_extent(figures: Figures) -> str:
    """How much was measured."""
    workloads = describe_count(len(figures.get("workloads") or ()), "workload")
    hosts = describe_count(int(figures.get("hosts") or 0), "host")
    samplings = len(figures.get("samplings") or ())
    of = f" in {samplings} measurements" if samplings > 1 else ""
    seconds = describe_duration(figures.get("seconds") or 0)
    return f"{workloads} on {hosts}, {seconds} of samples{of}{_describe_span(figures)}"


def _describe_span(figures: Figures) -> str:
    if not figures.get("measured_from"):
        return ""
    begin, end = (describe_time(str(figures.get(f"measured_{word}"))) for word in ("from", "to"))
    return f" at {begin}" if begin == end else f" between {begin} and {end}"


def _changes_section(figures: Figures, limit: int) -> Optional[Section]:
    nodes = figures.get("nodes") or {}
    if not nodes:
        return None
    # without sizes, as in most first runs, the configuration leads to no slots
    told = [
        word
        for word in ("now", "configured", "proposed")
        if word != "configured" or figures.get(f"slots_{word}") is not None
    ]
    columns = [
        Column("Node"),
        Column("GPUs", wrap=True),
        Column("Config"),
        *(Column(word.capitalize(), right=True) for word in told),
        Column("Arithmetic", wrap=True),
    ]
    rows = [
        (
            name,
            f"{node['gpu_count']} × {node['product']}"
            if node.get("gpu_count")
            else describe_value(node.get("product")),
            describe_value(node.get("key")),
            *(describe_value(node.get(f"slots_{word}")) for word in told),
            describe_value(node.get("arithmetic")),
        )
        for name, node in nodes.items()
    ]
    sums = (describe_value(figures.get(f"slots_{word}")) for word in told)
    text = "GPU slots as they are now, as the configuration would make them, and with the proposed sizes."
    if len(told) < 3:
        text = "GPU slots as they are now, and with the proposed sizes."
    return Section("What it would change", text, capped_table(columns, rows, limit, ("Total", "", "", *sums, "")))


def _refusal(figures: Figures) -> Optional[Section]:
    problems = figures.get("proposal_problems") or []
    return Section("A plan with the proposal would be refused", items=problems) if problems else None


def _outside_section(figures: Figures, limit: int) -> Optional[Section]:
    items = [
        f"{one.get('node')}, GPU {one.get('gpu')}: {one.get('who')}, "
        + (f"{one['peak_mib']} MiB at most" if one.get("peak_mib") is not None else f"memory {UNKNOWN}")
        for one in figures.get("outside") or ()
    ]
    text = "It takes memory of the card, and no slot is sized by it."
    return Section("Memory that no slot accounts for", text, items=capped_items(items, limit)) if items else None


def _never_ran_section(figures: Figures, limit: int) -> Optional[Section]:
    items = [
        f"{one.get('namespace')}/{one.get('name')}: {one.get('why') or 'no reason given'}"
        for one in figures.get("never_ran") or ()
    ]
    text = (
        "Pods that ask for GPUs and of which there is no sample: what they need, the proposal does not know. Those that wait for a slot can run "
        "once there are more of them: measure again then."
    )
    return Section("Not measured", text, items=capped_items(items, limit)) if items else None


def other_warnings(figures: Figures) -> list[Mapping[str, Any]]:
    """Warnings but those of pods that never ran, which stand in a list of their own."""
    return [
        one for one in figures.get("warnings") or () if one.get("code") != "never_ran" or not figures.get("never_ran")
    ]


def _warnings_section(figures: Figures, limit: int) -> Optional[Section]:
    found = sorted(other_warnings(figures), key=lambda one: one.get("severity") != "warning")
    items = [_describe_warning(one) for one in found]
    return Section("Warnings", items=capped_items(items, limit)) if items else None


def _describe_warning(found: Mapping[str, Any]) -> str:
    """By its code, which the guide explains, and of what it warns, unless the message says that itself."""
    about, message = str(found.get("object") or ""), str(found.get("message"))
    code = f"{found['code']}: " if found.get("code") else ""
    return f"{code}{about}: {message}" if about and about not in message else f"{code}{message}"


def _fragment_section(figures: Figures) -> Optional[Section]:
    if not figures.get("fragment_path") or not any(map(changes_size, (figures.get("configs") or {}).values())):
        return None
    text = "Nothing was changed. Look at the fragment, and copy what you agree with into the inventory."
    lines = str(figures.get("fragment") or "").splitlines()
    return Section("To take it over", text, items=[f"Fragment: {figures['fragment_path']}"], lines=_cut(lines))


def _cut(lines: list[str]) -> list[str]:
    """The fragment as it is; of one for many configs the beginning."""
    return lines if len(lines) <= _MAX_LINES else [*lines[:_MAX_LINES], "# and more, in the file"]

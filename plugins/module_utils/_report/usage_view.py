# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses how much GPU memory, by workload. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Column, Section, Table
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count, describe_value

Workload = Mapping[str, Any]
_TEXT = "MiB that a container used of one GPU: of all its pods the highest. p95 is what it did not exceed in 95 % of the samples"
_TEXT_OF_GROWTH = ", MiB/h how fast it grew"


def usage_section(workloads: Sequence[Workload], limit: int) -> Optional[Section]:
    """What each workload used; None if there is none. Columns in which nothing stands out are left out.

    :param workloads: as in a proposal.
    :param limit: workloads at most.
    """
    if not workloads:
        return None
    shown = sorted(workloads, key=lambda one: -(one.get("peak_mib") or 0))[:limit]
    lines = [line for workload in shown for line in _lines(workload)]
    columns = [(column, read) for column, read, needed in _COLUMNS if not needed or any(map(needed, lines))]
    rows = [tuple(read(line) for _column, read in columns) for line in lines]
    table = Table([column for column, _read in columns], rows, left_out=max(0, len(workloads) - limit))
    grew = any(column.title == "MiB/h" for column in table.columns)
    return Section("Memory by workload", f"{_TEXT}{_TEXT_OF_GROWTH if grew else ''}.", table)


def name_workload(workload: Workload) -> str:
    """Such as "ml/nlp (Deployment)"."""
    return f"{workload.get('namespace')}/{workload.get('name')} ({workload.get('kind')})"


def _lines(workload: Workload) -> list[Workload]:
    """The workload with its only container in one line, or with each of several in a line of its own."""
    containers = list(workload.get("containers") or ())
    if len(containers) == 1:
        return [{**containers[0], "title": name_workload(workload), "of": workload}]
    below = any(container.get("config") for container in containers)
    head = {"title": name_workload(workload), "of": workload, "peak_mib": workload.get("peak_mib"), "below": below}
    return [head, *({**container, "title": f"· {container.get('name')}"} for container in containers)]


def _of(word: str) -> Callable[[Workload], str]:
    return lambda line: ",\n".join(map(str, (line.get("of") or {}).get(word) or ()))


def _configs(line: Workload) -> str:
    """The config of a container's figures; of a workload, all of them, unless its containers stand below with theirs."""
    if line.get("config"):
        return str(line["config"])
    return "" if line.get("below") else _of("configs")(line)


def _describe_run(line: Workload) -> str:
    workload = line.get("of")
    if not workload:
        return ""
    pods, nodes = describe_count(int(workload.get("pods") or 0), "pod"), workload.get("nodes") or []
    return f"{pods} on {nodes[0] if len(nodes) == 1 else describe_count(len(nodes), 'node')}"


def _figure(word: str, sign: bool = False) -> Callable[[Workload], str]:
    """A whole number where that is near enough; what is not known is a dash, what does not apply is left free."""

    def read(line: Workload) -> str:
        amount = line.get(word)
        if not isinstance(amount, (int, float)):
            return "" if word not in line else describe_value(amount)
        text = f"{amount:.0f}" if abs(amount) >= 10 or float(amount).is_integer() else f"{amount:.1f}"
        return f"+{text}" if sign and amount > 0 else text

    return read


def _is_several(word: str) -> Callable[[Workload], bool]:
    return lambda line: (line.get(word) or 0) > 1


_Read = Callable[[Workload], str]
# Column, what stands in it, and which line needs it (None: it always is there).
_COLUMNS: Sequence[tuple[Column, _Read, Optional[Callable[[Workload], Any]]]] = (
    (Column("Workload", wrap=True), lambda line: str(line["title"]), None),
    (Column("Config"), _configs, None),
    (Column("Runs as", wrap=True), _describe_run, None),
    (Column("Peak", right=True), _figure("peak_mib"), None),
    (Column("p95", right=True), _figure("p95_mib"), None),
    (Column("Mean", right=True), _figure("mean_mib"), None),
    (Column("Slots", right=True), _figure("slots"), _is_several("slots")),
    (Column("Processes", right=True), _figure("processes"), _is_several("processes")),
    (
        Column("MiB/h", right=True),
        _figure("trend_mib_per_hour", sign=True),
        lambda line: line.get("trend_mib_per_hour"),
    ),
    (Column("Warnings"), _of("warnings"), _of("warnings")),
)

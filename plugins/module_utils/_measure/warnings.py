# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a measurement cannot show, and what stands against relying on it. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, Iterator, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.frameworks import GROWS
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.pods import NeverRan, Workload
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.request import Checked
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.uses import Attributed
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.workloads import WorkloadUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, some

INFO, WARNING = "info", "warning"
# So many of a hundred samples may be missing before it is worth a word.
_MISSED_PERCENT = 5
_MOST_NOTES = 8


@dataclass(frozen=True)
class Told:
    """One warning.

    :param object: what it is about: a workload, a node, a config.
    """

    severity: str
    code: str
    object: str
    message: str

    def to_dict(self) -> dict[str, str]:
        """As it stands in the proposal."""
        return {"severity": self.severity, "code": self.code, "object": self.object, "message": self.message}


def all_warnings(
    checked: Checked, found: Attributed, workloads: Sequence[WorkloadUse], idle: Sequence[NeverRan], seconds: float
) -> list[Told]:
    """Everything, the most serious first.

    :param seconds: how long was measured in all.
    """
    told = [*_of_nodes(checked), *_of_sampling(checked, workloads, seconds)]
    for workload in workloads:
        for one in _of_workload(workload, checked):
            workload.warnings.add(one.code)
            told.append(one)
    told += _of_pods_that_never_ran(idle, {one.workload for one in workloads})
    told += _of_others(found)
    unique = list(dict.fromkeys(told))
    return sorted(unique, key=lambda one: (one.severity != WARNING, one.code, one.object, one.message))


def _of_nodes(checked: Checked) -> Iterator[Told]:
    for node in checked.nodes:
        document, where = node.document, f"node {node.node}"
        if not document["nvml_available"]:
            reason = document.get("reason") or "no reason given"
            yield Told(WARNING, "unmeasured", where, f"{where} was not measured: {reason}")
        elif not document["complete"]:
            lasted = f"{document['duration_seconds']:g} s and {document['samples']} samples"
            yield Told(WARNING, "interrupted", where, f"The sampling of {where} ended before its time, after {lasted}.")
        # What the sampling itself had to say, such as allocations that could not be read.
        for note in document["notes"][:_MOST_NOTES]:
            yield Told(INFO, "note", where, f"{where}: {note}")
        missed, samples = document["missed"], document["samples"]
        if missed and missed * 100 >= _MISSED_PERCENT * (missed + samples):
            yield Told(
                WARNING,
                "missed",
                where,
                f"{missed} of {missed + samples} samples of {where} are missing: a peak may be, too.",
            )
    for name, reason in sorted(checked.unmatched.items()):
        yield Told(WARNING, "unmatched", f"node {name}", f"No size follows from what runs on node {name}: {reason}.")
    yield from _of_unmeasured_nodes(checked)


def _of_unmeasured_nodes(checked: Checked) -> Iterator[Told]:
    measured = {node.node for node in checked.nodes}
    nodes = checked.request.clusters[-1].get("nodes") or {} if checked.request.clusters else {}
    without = [name for name in sorted(nodes) if name not in measured and NodeState(name, nodes[name]).has_gpu()]
    if without:
        several = f"nodes {some(without)} were" if without[1:] else f"node {without[0]} was"
        yield Told(
            INFO,
            "unmeasured",
            some(without),
            f"GPU {several} not measured. What runs there alone may need more than what was seen elsewhere.",
        )


def _of_sampling(checked: Checked, workloads: Sequence[WorkloadUse], seconds: float) -> Iterator[Told]:
    least = checked.request.min_seconds
    if seconds < least:
        yield Told(
            WARNING,
            "short",
            "the measurement",
            f"It was measured for {seconds:g} s in all, less than {least} s: peaks that come later are not in it. Measure again while "
            "there is load; runs count together.",
        )
        return
    for workload in workloads:
        if workload.seconds < least:
            workload.warnings.add("short")
            yield Told(
                WARNING,
                "short",
                str(workload.workload),
                f"{workload.workload} was seen for {workload.seconds:g} s, less than {least} s: it may need more than {workload.peak} MiB.",
            )


def _of_workload(found: WorkloadUse, checked: Checked) -> Iterator[Told]:
    workload = found.workload
    yield from _of_growth(found, checked)
    for pod in {use.pod.uid: use.pod for use in found.uses}.values():
        for framework in pod.frameworks:
            if framework["effect"] != GROWS:
                yield Told(
                    WARNING,
                    "grabs_all",
                    str(workload),
                    f"{workload} runs {framework['framework']}, which takes what it is told to and not what it needs "
                    f"({framework['evidence']}). {framework['advice']}",
                )
    yield from _of_cards(found)
    untold = sum(use.untold for use in found.uses)
    if untold:
        samples = sum(use.samples for use in found.uses)
        yield Told(
            WARNING if any(use.is_untold for use in found.uses) else INFO,
            "untold",
            str(workload),
            f"NVML did not tell the memory of {workload} in {untold} of {samples} samples; these count as unknown, not as 0.",
        )
    gone = sorted({str(use.pod) for use in found.uses if not use.pod.known})
    if gone:
        yield Told(
            INFO,
            "gone",
            str(workload),
            f"{some(gone)} ran only between the reads of the cluster: which workload this was is not known.",
        )
    yield from _of_slots(found)


def _of_cards(found: WorkloadUse) -> Iterator[Told]:
    """What the cards were like is a reason for a peak that is lower than by day, or elsewhere."""
    workload = found.workload
    if all(use.is_idle for use in found.uses):
        yield Told(
            WARNING,
            "idle",
            str(workload),
            f"{workload} was idle: its GPUs computed nothing in any sample. What it takes under load is not in its {found.peak or 0} MiB. "
            "Measure again while it works; runs count together.",
        )
    full = sorted({f"GPU {use.index} of {use.source.node}" for use in found.uses if use.was_full})
    if full:
        yield Told(
            WARNING,
            "full",
            str(workload),
            f"{some(full)} had no memory left at times: {workload} may need more than it was given there. Measure with fewer pods on a card.",
        )


def _of_growth(found: WorkloadUse, checked: Checked) -> Iterator[Told]:
    growing = max(found.uses, key=lambda use: use.growth_mib)
    least = max(checked.request.growth_mib, growing.figures.peak * checked.request.growth_percent / 100)
    if growing.growth_mib and growing.growth_mib >= least:
        yield Told(
            WARNING,
            "growing",
            str(found.workload),
            f"The memory of {growing} became more all the time: {growing.trend:g} MiB an hour over {growing.trend_span:g} s. "
            "Its peak is still to come; measure until it does not grow any more.",
        )


def _of_slots(found: WorkloadUse) -> Iterator[Told]:
    """Of many pods alike, the one that uses most is named."""
    uneven = [use for use in found.uses if use.slots > 1 and use.per_slot is not None]
    if uneven:
        use = max(uneven, key=lambda one: one.figures.peak)
        yield Told(
            INFO,
            "uneven",
            str(found.workload),
            f"{use} holds {use.slots} slots of one device. {use.figures.peak} MiB count as {-(-use.figures.peak // use.slots)} MiB each, "
            "though nothing divides its memory among them.",
        )
    with_guests = [use for use in found.uses if use.beside]
    if with_guests:
        use = max(with_guests, key=lambda one: one.beside)
        yield Told(
            INFO,
            "beside",
            str(found.workload),
            f"Containers of {use.pod} that ask for no GPU used up to {use.beside} MiB beside {use}: they count for its slot.",
        )


def _of_pods_that_never_ran(idle: Sequence[NeverRan], seen: Collection[Workload]) -> Iterator[Told]:
    """Of a workload of which other pods were seen, the needs are known."""
    by_workload: dict[Workload, list[NeverRan]] = {}
    for pod in idle:
        by_workload.setdefault(pod.workload, []).append(pod)
    for workload, pods in by_workload.items():
        names = some([pod.name for pod in pods], 3)
        yield Told(
            INFO if workload in seen else WARNING,
            "never_ran",
            str(workload),
            f"{workload}: {names} asked for GPUs and used none while it was measured ({pods[0].why}).",
        )


def _of_others(found: Attributed) -> Iterator[Told]:
    for one in found.outside:
        if one.peak_mib is None:
            where = f"node {one.node}"
            yield Told(INFO, "untold", where, f"NVML did not tell the memory of {one.who} on {where}, GPU {one.gpu}.")

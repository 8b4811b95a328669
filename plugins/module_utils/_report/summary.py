# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a rollout in tables: before, after, and what it cost. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.disturbance import describe_pod
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Document,
    Section,
    capped_items,
    capped_table,
    list_left_alone,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.ending import describe_stop, stop_sections
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.holds import (
    Hold,
    describe_holds,
    holds_section,
    left_for_other_reasons,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.runtime_view import done_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.verification import describe_verdicts
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    NOTHING,
    describe_amounts,
    describe_count,
    describe_duration,
    describe_left_alone,
    describe_seconds,
    describe_share,
    describe_value,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import ROLLBACK

Figures = Mapping[str, Any]


def show_summary(figures: Figures, limit: int) -> Document:
    """The summary.

    :param figures: content of report.json.
    :param limit: rows of a table at most.
    """
    everywhere = " in the whole cluster" if figures["other_gpu_nodes"] else ""
    slots = f"GPU slots {figures['slots_before']} → {figures['slots_after']}{everywhere}"
    pending = f"pending GPU pods {figures['pending_before']} → {figures['pending_after']}"
    subtitle = f"{describe_stop(figures)}{slots}; {pending}; {describe_verdict(figures)}."
    sections = [
        *stop_sections(figures, limit),
        _nodes_section(figures, limit),
        _figures_section(figures),
        done_section(figures.get("runtimes") or [], limit),
        *_pods_sections(figures, limit),
        _differences_section(figures, limit),
        holds_section(_holds(figures), limit, figures.get("kind")),
        list_left_alone(left_for_other_reasons(figures["skipped"]), limit),
        _resumed_section(figures),
    ]
    return Document(
        f"{describe_title(figures)} {figures['plan_id']}", subtitle, [section for section in sections if section]
    )


def describe_title(figures: Figures) -> str:
    """What is reported on, without its id."""
    return "Report on the rollback of plan" if figures.get("kind") == ROLLBACK else "Report on plan"


def describe_end(figures: Figures) -> str:
    """What the duration measures. Nodes that have not come back must not read as if they had."""
    left = len(figures.get("left_out_of_service") or [])
    if left:
        return f"First cordon to the stop, {describe_count(left, 'node')} not back in service"
    return "First cordon to last node in service"


def describe_verdict(figures: Figures) -> str:
    """The verdict on all nodes, how many were left alone, and who is held."""
    verdict = describe_verdicts(
        len(figures["nodes"]), sum(1 for node in figures["nodes"].values() if node["differences"])
    )
    left_alone = describe_left_alone(len(left_for_other_reasons(figures["skipped"])))
    return f"{verdict[0].lower()}{verdict[1:]}{left_alone}{describe_holds(_holds(figures))}"


def _holds(figures: Figures) -> list[Hold]:
    return [Hold(**held) for held in figures.get("held") or []]


def count_resources(resources: Mapping[str, int]) -> int:
    """Slots of a node."""
    return sum(resources.values())


def _nodes_section(figures: Figures, limit: int) -> Section:
    columns = [
        Column("Node"),
        Column("GPUs", wrap=True),
        Column("Config"),
        *(Column(title, right=True) for title in ("Before", "After", "Slot", "Headroom", "Use", "Out")),
    ]
    rows = [_node_row(name, node) for name, node in figures["nodes"].items()]
    shown = [
        sum(count_resources(node[f"resources_{when}"]) for node in figures["nodes"].values())
        for when in ("before", "after")
    ]
    others = [figures[f"slots_{when}"] - count for when, count in zip(("before", "after"), shown)]
    if any(others):
        rows.append(("other nodes", *[NOTHING] * 2, *map(str, others), *[NOTHING] * 4))
    total = ("Total", "", "", str(figures["slots_before"]), str(figures["slots_after"]), "", "", "", "")
    return Section(
        "Slots before and after",
        "Slot and headroom are MiB for each process; out is the time out of service."
        if rows
        else "The plan had no nodes.",
        capped_table(columns, rows, limit, total) if rows else None,
    )


def _node_row(name: str, node: Mapping[str, Any]) -> tuple[str, ...]:
    seconds = node.get("seconds_out_of_service")
    still_out = ["still out"] if node.get("left_out_of_service") else []
    return (
        name,
        f"{node['gpu_count']} × {node.get('product')}" if node.get("gpu_count") else NOTHING,
        describe_value(node.get("key")),
        describe_amounts(node["resources_before"]),
        describe_amounts(node["resources_after"]),
        describe_value(node.get("slot_mib")),
        describe_value(node.get("headroom_mib")),
        describe_share(node.get("utilization")),
        ",\n".join([describe_seconds(seconds) if seconds else NOTHING, *still_out]),
    )


def figure_rows(figures: Figures) -> Iterator[tuple[str, str]]:
    """Name and value of each figure that stands for the whole rollout."""
    duration = figures.get("duration_seconds")
    yield "GPU slots", f"{figures['slots_before']} → {figures['slots_after']}"
    yield "Pending GPU pods", f"{figures['pending_before']} → {figures['pending_after']}"
    yield "Pods evicted", str(figures["evicted_pods"])
    if figures["pods_recreated"]:
        yield "Stale pods recreated", str(figures["pods_recreated"])
    yield "Pods refused by a kubelet", str(figures["admission_errors"])
    yield "Pods restarted", str(figures["pods_restarted"])
    yield "Pods still on device ids from before", str(len(figures["pods"]["stale"]))
    yield describe_end(figures), NOTHING if duration is None else describe_seconds(duration)
    if figures.get("watch_seconds") is not None:
        yield (
            "Watched afterwards, until the verdict on the health of a node",
            describe_seconds(figures["watch_seconds"]),
        )
    if figures.get("second_run_writes") is not None:
        yield "Writes of a second run", str(figures["second_run_writes"])


def _figures_section(figures: Figures) -> Section:
    from_table = capped_table([Column("Figure"), Column("Value", right=True)], list(figure_rows(figures)), 20)
    return Section("In figures", table=from_table)


def _pods_sections(figures: Figures, limit: int) -> Iterator[Section]:
    pods = figures["pods"]
    for heading, name in (
        ("Pods that were evicted", "evicted"),
        ("Stale pods that were recreated, with devices that are there", "recreated"),
        ("Pods that a kubelet refused", "admission_errors"),
        ("Pods that were restarted", "restarted"),
        ("Pods still on device ids from before: a reboot of their node would fail them", "stale"),
        ("Pods that their own controller replaced meanwhile", "rolled_by_their_controller"),
        ("Pods that were paused, since they keep the driver open", "paused"),
    ):
        if pods.get(name):
            yield Section(heading, items=capped_items([describe_pod(entry) for entry in pods[name]], limit))
    solved = _no_longer_pending(pods)
    if solved:
        yield Section("No longer pending", items=capped_items(solved, limit))
    if pods["pending_after"]:
        items = [
            f"{pod['namespace']}/{pod['name']}: {pod.get('message') or 'no reason given'}"
            for pod in pods["pending_after"]
        ]
        yield Section("Still pending", items=capped_items(items, limit))


def _no_longer_pending(pods: Mapping[str, Any]) -> list[str]:
    left = {pod["uid"] for pod in pods["pending_after"]}
    return [
        f"{pod['namespace']}/{pod['name']}, which had waited for {describe_duration(pod.get('seconds'))}"
        for pod in pods["pending_before"]
        if pod["uid"] not in left
    ]


def _differences_section(figures: Figures, limit: int) -> Optional[Section]:
    items = [difference for node in figures["nodes"].values() for difference in node["differences"]]
    return Section("Not as planned", items=capped_items(items, limit)) if items else None


def _resumed_section(figures: Figures) -> Optional[Section]:
    if not figures.get("resumed_from"):
        return None
    text = (
        f"This run went on with {figures['resumed_from']}, which had not finished. What is called before here is the state that this "
        "run found, not the one that the first run found."
    )
    return Section("A resumed rollout", text)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a rollout has ended: a cluster that is as planned says nothing of pods that crash on it. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document, Section, capped_items

FINISHED, FAILED, INTERRUPTED = "finished", "failed", "interrupted"
#: States of a node in the journal for which a rollout stops.
_BAD = ("failed", "unhealthy")
_NEVER_ENDED = "This rollout has not come to its end: it was interrupted, or still goes on."
_STOPPED = "This rollout has stopped."


Facts = Mapping[str, Mapping[str, Any]]


def read_ending(
    recorded: Optional[Mapping[str, Any]],
    journal: Sequence[Mapping[str, Any]],
    plan: Mapping[str, Any],
    facts: Facts,
) -> dict[str, Any]:
    """``outcome``, ``failures`` (reason by node) and ``stop`` (headline, hints at the cause, and what comes next) of report.json.

    :param recorded: what the rollout has written about its end, an empty one if it came to none; None if nobody looked for it, so that
        the journal alone tells.
    """
    if recorded and recorded.get("outcome"):
        stop = None
        if recorded["outcome"] != FINISHED:
            hints = list(compare_use(recorded.get("unwell") or (), plan, facts))
            stop = {"headline": _headline(recorded), "hints": hints, "next": list(recorded.get("next") or [])}
        return {"outcome": recorded["outcome"], "failures": dict(recorded.get("failures") or {}), "stop": stop}
    failures = {
        str(entry["node"]): str(entry.get("message") or "no reason given")
        for entry in journal
        if entry.get("state") in _BAD and entry.get("node")
    }
    if failures:
        return {"outcome": FAILED, "failures": failures, "stop": {"headline": _STOPPED, "hints": [], "next": []}}
    if recorded is None:
        return {"outcome": None, "failures": {}, "stop": None}
    return {"outcome": INTERRUPTED, "failures": {}, "stop": {"headline": _NEVER_ENDED, "hints": [], "next": []}}


def describe_stop(figures: Mapping[str, Any]) -> str:
    """What a report begins with of a rollout that did not come to its end; "" of one that did."""
    stop = figures.get("stop")
    return f"{stop['headline']} " if stop else ""


def compare_use(nodes: Sequence[str], plan: Mapping[str, Any], facts: Facts) -> Iterator[str]:
    """A sentence for each of the nodes whose pods held more before than a slot is now: a number that was too large."""
    for node in nodes:
        sizing = ((plan.get("nodes") or {}).get(node) or {}).get("sizing") or {}
        slot, (most, gpu) = sizing.get("slot_mib"), _most_held(facts.get(node) or {})
        if slot and most > slot:
            yield (
                f"{node}: pods there used up to {most} MiB of GPU {gpu} for each slot before, and a slot is {slot} MiB now: not all of the "
                "slots can be used at the same time."
            )


def _most_held(facts: Mapping[str, Any]) -> tuple[int, Any]:
    """What a pod holds of a GPU for each of its slots there, at most, and the GPU."""
    slots: dict[tuple[str, str], int] = {}
    for one in facts.get("allocations") or ():
        for device in one.get("device_ids") or ():
            place = (str(one.get("pod_uid")), str(device).partition("::")[0])
            slots[place] = slots.get(place, 0) + 1
    most: tuple[int, Any] = (0, None)
    for gpu in facts.get("gpus") or ():
        held: dict[str, int] = {}
        for process in gpu.get("processes") or ():
            if process.get("pod_uid") and process.get("mig_device") is None:
                pod = str(process["pod_uid"])
                held[pod] = held.get(pod, 0) + int(process.get("used_memory_mib") or 0)
        for pod, mib in held.items():
            most = max(
                most, (mib // slots.get((pod, str(gpu.get("uuid"))), 1), gpu.get("index")), key=lambda one: one[0]
            )
    return most


def list_failures(figures: Mapping[str, Any]) -> list[str]:
    """A line for each node that failed, and what hints at the cause."""
    failures = [f"{node}: {reason}" for node, reason in (figures.get("failures") or {}).items()]
    return [*failures, *(figures.get("stop") or {}).get("hints", ())]


def show_stop(recorded: Mapping[str, Any], plan: Mapping[str, Any], facts: Facts, limit: int) -> Document:
    """The end of a rollout that stops."""
    ending = read_ending(recorded, (), plan, facts)
    return Document("The rollout stops", ending["stop"]["headline"], list(stop_sections(ending, limit)))


def stop_sections(figures: Mapping[str, Any], limit: int) -> Iterator[Section]:
    """Why it stopped, and what to type."""
    failures = list_failures(figures)
    if failures:
        yield Section("Why it stopped", items=capped_items(failures, limit))
    for step in (figures.get("stop") or {}).get("next") or ():
        yield Section(step["words"], commands=step["commands"])


def _headline(recorded: Mapping[str, Any]) -> str:
    where = f"Stopped at wave {recorded['wave']} of {recorded['waves']}: " if recorded.get("wave") else ""
    return f"{where}{recorded.get('headline') or _STOPPED}"

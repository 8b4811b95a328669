# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a config becomes for the cards that it matches: replicas, config file, objects. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import WHERE, SharingConfig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import Card
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.config_file import ConfigFile, TimeSlicing
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.objects import KeyObjects, build_objects
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.options import PluginOptions
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.arithmetic import (
    Choice,
    Margins,
    choose_replicas,
    divide,
    leave_whole,
    state_replicas,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import show_decimal


@dataclass(frozen=True)
class Part:
    """What one resource of a config gets.

    :param what: the device, in words.
    :param total_mib: memory of the smallest device, which decides for all; None if it is not known.
    :param process_mib: what one process was measured to use.
    """

    what: str
    choice: Choice
    total_mib: int | None
    process_mib: int | None

    def figures(self) -> dict[str, Any]:
        """As they stand in the plan."""
        total = self.total_mib
        shares = divide(total, self.choice.replicas, self.process_mib).to_dict() if total else dict(_UNKNOWN)
        return {
            "process_memory_mib": self.process_mib,
            "memory_total_mib": total,
            "memory_usable_mib": None,
            "replicas_by_utilization": self.choice.by_utilization,
            "replicas_by_headroom": self.choice.by_headroom,
            **shares,
            "arithmetic": self.choice.arithmetic,
        }


_UNKNOWN = {"slot_mib": None, "headroom_mib": None, "utilization": None}


@dataclass(frozen=True)
class KeyPlan:
    """A config, decided.

    :param parts: by resource, as it is called when nothing is shared.
    """

    config: SharingConfig
    parts: Mapping[str, Part]
    margins: Margins
    models: Tuple[str, ...]
    config_file: ConfigFile
    objects: KeyObjects

    @property
    def choice(self) -> Choice:
        """Of whole GPUs."""
        return self.parts[GPU_RESOURCE].choice if GPU_RESOURCE in self.parts else leave_whole()

    @property
    def total_mib(self) -> int | None:
        """Memory of the smallest device."""
        known = [part.total_mib for part in self.parts.values() if part.total_mib is not None]
        return min(known, default=None)

    @property
    def sharing(self) -> str:
        """What is really done: a config that comes out at one replica shares nothing."""
        return "time_slicing" if self.config_file.time_slicing else "none"

    @property
    def replicas(self) -> int | dict[str, int]:
        """Of each GPU; with MIG devices by resource."""
        if not self.config_file.serves_mig:
            return self.choice.replicas
        return {resource: self.parts[resource].choice.replicas for resource in sorted(self.parts)}

    @property
    def arithmetic(self) -> str:
        """How the replicas come about, of all resources."""
        if len(self.parts) == 1:
            return next(iter(self.parts.values())).choice.arithmetic
        return "; ".join(f"{resource} {self.parts[resource].choice.arithmetic}" for resource in sorted(self.parts))

    def sizing_of(self, card: Card, devices: Mapping[str, int] | None = None) -> dict[str, Any]:
        """The figures for one card of this key, as they stand in the plan.

        :param devices: with MIG, what the node has.
        """
        margins = {
            "max_memory_utilization": show_decimal(self.margins.max_memory_utilization),
            "min_headroom_mib": self.margins.min_headroom_mib,
        }
        if self.config_file.serves_mig:
            parts = {resource: self.parts[resource].figures() for resource in sorted(devices or ())}
            first = next(iter(parts.values())) if len(parts) == 1 else dict.fromkeys(next(iter(parts.values()), {}))
            return {**first, **margins, "arithmetic": self.arithmetic, "resources": parts}
        process = self.config.process_of(GPU_RESOURCE)
        arithmetic = self.choice.arithmetic
        if card.total_mib != self.total_mib and self.choice.by_utilization is not None:
            arithmetic += f" (decided by the smallest card, {self.total_mib} MiB)"
        return {
            "process_memory_mib": process,
            "memory_total_mib": card.total_mib,
            "memory_usable_mib": card.usable_mib,
            **margins,
            "replicas_by_utilization": self.choice.by_utilization,
            "replicas_by_headroom": self.choice.by_headroom,
            **divide(card.total_mib, self.choice.replicas, process).to_dict(),
            "arithmetic": arithmetic,
        }


@dataclass(frozen=True)
class Decided:
    """Outcome for one key: a plan, or problems; warnings beside it."""

    plan: KeyPlan | None = None
    problems: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()


def decide_key(
    config: SharingConfig,
    cards: Sequence[Card],
    margins: Margins,
    options: PluginOptions,
    memory: Mapping[str, int | None] | None = None,
) -> Decided:
    """Decide a config for the cards that it matches (at least one).

    :param memory: MiB of the smallest device by resource; with MIG these are no cards.
    """
    parts, problems, warnings = _decide_parts(config, cards, margins, memory)
    if problems:
        return Decided(problems=tuple(problems))
    replicas = {resource: part.choice.replicas for resource, part in parts.items() if part.choice.replicas > 1}
    time_slicing = None
    if replicas:
        time_slicing = TimeSlicing(replicas, config.rename, config.fail_requests_greater_than_one)
    config_file = ConfigFile(config.plugin_flags, time_slicing, config.mig_strategy)
    if config_file.to_document()["flags"]["failOnInitError"] is False:
        warnings.append(
            f"{WHERE}.{config.key}.plugin_flags: with failOnInitError false a broken GPU node shows as a running plugin with 0 GPUs."
        )
    objects = build_objects(config.key, config_file, options)
    models = tuple(sorted({card.name for card in cards}))
    return Decided(KeyPlan(config, parts, margins, models, config_file, objects), warnings=tuple(warnings))


def _decide_parts(
    config: SharingConfig, cards: Sequence[Card], margins: Margins, memory: Mapping[str, int | None] | None
) -> tuple[dict[str, Part], list[str], list[str]]:
    """(parts, problems, warnings)."""
    smallest = min(cards, key=lambda card: card.total_mib)
    warnings = []
    sizes = sorted({card.total_mib for card in cards})
    if memory is None and sizes[1:] and config.sharing != "none":
        warnings.append(
            f"{WHERE}.{config.key} matches cards of different memory ({', '.join(str(size) for size in sizes)} MiB); the "
            f"smallest decides, so that larger ones are used less. Give each model a config of its own."
        )
    devices: Mapping[str, int | None] = {GPU_RESOURCE: smallest.total_mib} if memory is None else memory
    parts, problems = {}, []
    for resource in sorted(devices):
        what = "card" if memory is None else resource
        part = Part(what, leave_whole(), devices[resource], config.process_of(resource))
        choice, problem = _choose(config, resource, part, smallest.name if memory is None else f"a {resource}", margins)
        parts[resource] = replace(part, choice=choice)
        problems += [problem] if problem else []
        if choice.replicas == 1 and config.sharing != "none" and part.process_mib is not None:
            warnings.append(
                f"{WHERE}.{config.key}: {choice.arithmetic}, so only one process of {part.process_mib} MiB fits on a {what} of "
                f"{part.total_mib} MiB, and these {what}s are not shared."
            )
    return parts, problems, warnings


def _choose(config: SharingConfig, resource: str, part: Part, named: str, margins: Margins) -> tuple[Choice, str]:
    """The replicas for the smallest device of a resource, or what is wrong.

    :param named: the device, as a person knows it.
    """
    stated = config.replicas_of(resource)
    if stated is not None:
        return state_replicas(stated), ""
    process, total = part.process_mib, part.total_mib
    if config.sharing == "none" or process is None:
        return leave_whole(), ""
    where = f"{WHERE}.{config.key}.process_memory_mib is {process}"
    if total is None:
        return part.choice, f"{where}, but how much memory {named} has is not known; state replicas instead."
    choice = choose_replicas(total, process, margins)
    if process > total:
        return choice, (
            f"{where}, more than the {total} MiB of {named}: such a process does not fit on the {_kind(part)}. Correct the "
            f"measurement, or {'match larger cards' if part.what == 'card' else 'lay out larger devices'}."
        )
    if not choice.replicas:
        return choice, (
            f"{where}, but on {named} the margins leave no room for a single process: {choice.arithmetic}. Raise "
            "kubegpu_sizing.max_memory_utilization, lower min_headroom_mib, or set sharing: none."
        )
    return choice, ""


def _kind(part: Part) -> str:
    return "card" if part.what == "card" else "device"


def describe_key(config: SharingConfig, plan: KeyPlan | None, nodes: Sequence[str]) -> Mapping[str, Any]:
    """A config as it stands in the plan."""
    described: dict[str, Any] = {
        "revision": plan.objects.revision if plan else None,
        "sharing": plan.sharing if plan else config.sharing,
        "replicas": {},
        "config_file": plan.objects.config_file if plan else None,
        "objects": plan.objects.manifests if plan else [],
        "match": _match_of(config),
        "products": list(plan.models) if plan else [],
        "nodes": list(nodes),
        "sizing": None,
    }
    if plan:
        slicing = plan.config_file.time_slicing
        described["replicas"] = dict(slicing.replicas) if slicing else {}
        described["sizing"] = {
            "process_memory_mib": config.process_memory_mib,
            "memory_total_mib": plan.total_mib,
            "arithmetic": plan.arithmetic,
        }
    return described


def _match_of(config: SharingConfig) -> dict[str, str] | None:
    if config.query:
        return {"query": config.query.text}
    return {"product": config.product} if config.product else None

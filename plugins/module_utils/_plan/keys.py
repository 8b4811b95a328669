# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a config becomes for the cards that it matches: replicas, config file, objects. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
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
class KeyPlan:
    """A config, decided.

    :param total_mib: memory of the smallest card that it matches, which decides for all.
    """

    config: SharingConfig
    choice: Choice
    margins: Margins
    total_mib: int
    models: Tuple[str, ...]
    config_file: ConfigFile
    objects: KeyObjects

    @property
    def sharing(self) -> str:
        """What is really done: a config that comes out at one replica shares nothing."""
        return "time_slicing" if self.config_file.time_slicing else "none"

    def sizing_of(self, card: Card) -> dict[str, Any]:
        """The figures for one card of this key, as they stand in the plan."""
        process = self.config.process_memory_mib
        arithmetic = self.choice.arithmetic
        if card.total_mib != self.total_mib and self.choice.by_utilization is not None:
            arithmetic += f" (decided by the smallest card, {self.total_mib} MiB)"
        return {
            "process_memory_mib": process,
            "memory_total_mib": card.total_mib,
            "memory_usable_mib": card.usable_mib,
            "max_memory_utilization": show_decimal(self.margins.max_memory_utilization),
            "min_headroom_mib": self.margins.min_headroom_mib,
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


def decide_key(config: SharingConfig, cards: Sequence[Card], margins: Margins, options: PluginOptions) -> Decided:
    """Decide a config for the cards that it matches (at least one)."""
    smallest = min(cards, key=lambda card: card.total_mib)
    models = tuple(sorted({card.name for card in cards}))
    choice, problem = _choose(config, smallest, margins)
    if problem:
        return Decided(problems=(problem,))
    warnings = []
    sizes = sorted({card.total_mib for card in cards})
    if sizes[1:] and config.sharing != "none":
        warnings.append(
            f"{WHERE}.{config.key} matches cards of different memory ({', '.join(str(size) for size in sizes)} MiB); the "
            f"smallest decides, so that larger ones are used less. Give each model a config of its own."
        )
    time_slicing = None
    if choice.replicas > 1:
        time_slicing = TimeSlicing(
            {GPU_RESOURCE: choice.replicas}, config.rename, config.fail_requests_greater_than_one
        )
    elif config.sharing != "none":
        warnings.append(
            f"{WHERE}.{config.key}: {choice.arithmetic}, so only one process of {config.process_memory_mib} MiB fits on a card of "
            f"{smallest.total_mib} MiB, and these cards are not shared."
        )
    config_file = ConfigFile(config.plugin_flags, time_slicing)
    if config_file.to_document()["flags"]["failOnInitError"] is False:
        warnings.append(
            f"{WHERE}.{config.key}.plugin_flags: with failOnInitError false a broken GPU node shows as a running plugin with 0 GPUs."
        )
    objects = build_objects(config.key, config_file, options)
    plan = KeyPlan(config, choice, margins, smallest.total_mib, models, config_file, objects)
    return Decided(plan, warnings=tuple(warnings))


def _choose(config: SharingConfig, card: Card, margins: Margins) -> tuple[Choice, str]:
    """The replicas for the smallest card, or what is wrong."""
    process = config.process_memory_mib
    if config.replicas is not None:
        return state_replicas(config.replicas), ""
    if config.sharing == "none" or process is None:
        return leave_whole(), ""
    choice = choose_replicas(card.total_mib, process, margins)
    where = f"{WHERE}.{config.key}.process_memory_mib is {process}"
    if process > card.total_mib:
        return choice, (
            f"{where}, more than the {card.total_mib} MiB of {card.name}: such a process does not fit on the card. Correct the "
            "measurement, or match larger cards."
        )
    if not choice.replicas:
        return choice, (
            f"{where}, but on {card.name} the margins leave no room for a single process: {choice.arithmetic}. Raise "
            "kubegpu_sizing.max_memory_utilization, lower min_headroom_mib, or set sharing: none."
        )
    return choice, ""


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
            "arithmetic": plan.choice.arithmetic,
        }
    return described


def _match_of(config: SharingConfig) -> dict[str, str] | None:
    if config.query:
        return {"query": config.query.text}
    return {"product": config.product} if config.product else None

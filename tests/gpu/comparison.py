# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MIG profiles that a card reports beside those that the table has for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from tabulate import tabulate

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.facts import read_gpu, read_profiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.geometry import compute_slices
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu, Profile
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.profiles import Model
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.tables import find_model

HEADERS = ["profile", "id", "slices", "size", "starts", "most", "MiB", "the table says"]


@dataclass(frozen=True)
class Comparison:
    """One GPU.

    :param rows: as HEADERS; empty where the card did not tell.
    :param differences: how many profiles differ in what planning relies on. Memory is not counted: it varies by driver.
    """

    title: str
    rows: tuple[tuple[str, ...], ...] = ()
    differences: int = 0

    def show(self) -> str:
        """The comparison for a person."""
        if not self.rows:
            return self.title
        return f"{self.title}\n\n{tabulate(self.rows, headers=HEADERS, disable_numparse=True)}\n"


def compare(facts: Mapping[str, Any]) -> Comparison:
    """Compare one GPU, of gpu_info's ``gpus``."""
    if facts.get("state") != "ok":
        return Comparison(f"GPU {facts['index']} does not answer: {facts.get('reason')}")
    gpu = read_gpu(facts)
    if not gpu.capable:
        return Comparison(f"{gpu} has no MIG.")
    if not gpu.profiles:
        return Comparison(
            f"{gpu} tells no profiles while its MIG mode is {gpu.mode}; drivers before 550 tell them with the mode on only."
        )
    model = find_model(gpu.product, gpu.memory_total_mib, gpu.pci_device_id)
    known = {profile.name: profile for profile in model.profiles} if model else {}
    # As the card says it: what it is known to say wrongly is mended for plans, and is what this is to show.
    told = read_profiles(facts["mig"]["profiles"]) or gpu.profiles
    reported = {profile.name: profile for profile in told}
    rows = [_row(reported.get(name), known.get(name)) for name in {**reported, **known}]
    return Comparison(_title(gpu, model), tuple(rows), sum(row[-1].startswith("!") for row in rows))


def _title(gpu: Gpu, model: Optional[Model]) -> str:
    if model is None:
        entry = "the table has no entry for it"
    else:
        entry = f"the table's entry is {model.key} ({model.confidence})"
    return f"{gpu}, {gpu.memory_total_mib} MiB, MIG mode {gpu.mode}: {entry}"


def _row(card: Optional[Profile], table: Optional[Profile]) -> tuple[str, ...]:
    """What the card says, and last what the table says otherwise; ! marks what planning relies on."""
    if card is None:
        assert table is not None
        return (table.name, *["-"] * 6, f"! {', '.join(_cells(table)[:5])}: the card does not have it")
    cells = _cells(card)
    if table is None:
        return (card.name, *cells, "! nothing")
    pairs = zip(HEADERS[1:], cells, _cells(table))
    wrong = [(name, theirs) for name, ours, theirs in pairs if ours != theirs and theirs != "?"]
    wrong += [("compute slices", text) for text in _wrong_compute(card, table)]
    if not wrong:
        return (card.name, *cells, "the same")
    mark = "! " if any(name != "MiB" for name, _theirs in wrong) else ""
    return (card.name, *cells, mark + ", ".join(f"{name} {theirs}" for name, theirs in wrong))


def _cells(profile: Profile) -> tuple[str, ...]:
    """As in HEADERS, from id to MiB."""
    return (
        "?" if profile.id is None else str(profile.id),
        str(profile.slices),
        str(profile.places[0].size) if profile.places else "?",
        ",".join(str(place.start) for place in profile.places) or "?",
        str(profile.max_instances),
        "?" if profile.memory_mib is None else str(profile.memory_mib),
    )


def _wrong_compute(card: Profile, table: Profile) -> list[str]:
    """Sizes of compute instances that planning without the card assumes, where the card told others."""
    assumed = compute_slices(table)
    if not card.compute or compute_slices(card) == assumed:
        return []
    return [f"{','.join(map(str, assumed))} for {','.join(map(str, compute_slices(card)))}"]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a node's GPUs, from NVML on the node or from GPU Feature Discovery's labels. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.label_facts import read_labels
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.products import normalise_product

NVML = "nvml"
LABELS = "labels"
MODES = ("auto", "nodes", "labels")

_CONFIDENCE = {
    NVML: "read on the node",
    LABELS: (
        "from labels of GPU Feature Discovery: model, number and total memory, every card of the node taken as alike; "
        "what runs on the cards is unknown"
    ),
}

# Facts that a query may ask for: those that do not change with what runs on the card, so that a plan stays the same.
_STATIC = (
    "product",
    "architecture",
    "compute_capability",
    "memory_total_mib",
    "memory_reserved_mib",
    "compute_mode",
    "mig",
)
_MIG_CONTENT = ("instances", "instances_reason")


class NoFactsError(Exception):
    """Nothing can be planned for a node. The message says why."""


@dataclass(frozen=True, eq=False)
class Card:
    """One kind of GPU. Alike GPUs of all nodes share one object, so that each kind is looked at once.

    :param facts: what a query is asked on.
    :param product: normalised name.
    """

    facts: Mapping[str, Any]
    product: str
    name: str
    total_mib: int
    reserved_mib: int | None
    mig_enabled: bool

    @property
    def usable_mib(self) -> int | None:
        """Memory without what the driver keeps for itself; None if that is not known."""
        return None if self.reserved_mib is None else self.total_mib - self.reserved_mib


@dataclass(frozen=True)
class NodeFacts:
    """The GPUs of a node.

    :param source: NVML or LABELS.
    :param cards: one for each GPU.
    :param gpus: as gpu_info told them, in the same order; empty with labels.
    :param allocations: which pod holds which devices; None if not known.
    """

    source: str
    cards: Tuple[Card, ...]
    gpus: Sequence[Mapping[str, Any]] = ()
    allocations: Sequence[Mapping[str, Any]] | None = None

    @property
    def confidence(self) -> str:
        """How sure the facts are, in words."""
        return _CONFIDENCE[self.source]

    @property
    def smallest(self) -> Card:
        """The card with the least memory."""
        return min(self.cards, key=lambda card: card.total_mib)


@dataclass
class FactReader:
    """Reads the facts of nodes.

    :param mode: auto (NVML where a host was reached, else labels), nodes (NVML alone) or labels (labels alone).
    """

    mode: str
    _cards: Dict[Tuple[Any, ...], List[Card]] = field(default_factory=dict)

    def read(self, node: Mapping[str, Any], host_facts: Mapping[str, Any] | None) -> NodeFacts:
        """Facts of one node.

        :param node: as in the cluster file.
        :param host_facts: gpu_info's result of the host that is this node; None if there is none.
        :raises NoFactsError: there are none to plan with.
        """
        if self.mode == LABELS:
            return self._from_labels(node)
        if host_facts and host_facts.get("nvml_available"):
            return self._from_nvml(host_facts)
        if host_facts and (self.mode == "nodes" or host_facts.get("reason_code") != "library_not_found"):
            # The node was reached and is not well; what its labels remember would only hide that.
            raise NoFactsError(f"NVML does not work on the node: {host_facts.get('reason') or 'no reason given'}")
        if self.mode == "nodes":
            raise NoFactsError("the node was not read, and kubegpu_facts is nodes; add its host to the inventory")
        try:
            return self._from_labels(node)
        except NoFactsError as error:
            read = f"NVML was not found on the node ({host_facts['reason']})" if host_facts else "the node was not read"
            raise NoFactsError(f"{read}, and {error}") from None

    def _from_labels(self, node: Mapping[str, Any]) -> NodeFacts:
        try:
            facts, count = read_labels(node.get("labels") or {})
        except ValueError as error:
            raise NoFactsError(str(error)) from None
        return NodeFacts(LABELS, (self._card(facts),) * count)

    def _from_nvml(self, host_facts: Mapping[str, Any]) -> NodeFacts:
        gpus = host_facts.get("gpus") or []
        ill = [gpu for gpu in gpus if gpu.get("state", "ok") != "ok" or not gpu.get("memory_total_mib")]
        if ill:
            raise NoFactsError(
                f"GPU {ill[0].get('index')} does not answer: {ill[0].get('reason') or ill[0].get('memory_reason') or ill[0].get('state')}"
                + (f" (and {len(ill) - 1} more)" if ill[1:] else "")
            )
        if not gpus:
            raise NoFactsError("NVML knows no GPU on the node")
        return NodeFacts(NVML, tuple(self._card(gpu) for gpu in gpus), gpus, host_facts.get("allocations"))

    def _card(self, gpu: Mapping[str, Any]) -> Card:
        mig = gpu.get("mig") or {}
        key = (gpu.get("product"), gpu["memory_total_mib"], gpu.get("memory_reserved_mib"), mig.get("mode"))
        alike = self._cards.setdefault(key, [])
        facts = {**{word: gpu.get(word) for word in _STATIC}, "mig": _static_mig(gpu.get("mig"))}
        for card in alike:
            if card.facts == facts:
                return card
        name = gpu.get("product") or "unknown"
        card = Card(
            facts=facts,
            product=normalise_product(name),
            name=name,
            total_mib=gpu["memory_total_mib"],
            reserved_mib=gpu.get("memory_reserved_mib"),
            mig_enabled="enabled" in (mig.get("mode"), mig.get("pending")),
        )
        alike.append(card)
        return card


def _static_mig(mig: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """Without what differs from one GPU to the next that is laid out alike."""
    if not mig or "devices" not in mig:
        return mig
    devices = [{word: one.get(word) for word in ("profile", "memory_total_mib")} for one in mig.get("devices") or ()]
    return {**{word: value for word, value in mig.items() if word not in _MIG_CONTENT}, "devices": devices}

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a proposal is made of, and which config is for which measured node. PRIVATE to the collection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.uses import MeasuredNode
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import SharingConfig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import FactReader, NodeFacts, NoFactsError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.matching import Matcher
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.vocabulary import Vocabulary, read_vocabulary
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.options import read_options
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.versions import parse_version
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import read_decimal
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.products import normalise_product
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.document import read_measurement

_LARGEST_MARGIN = 10
_PLACEHOLDER = 1
_NOT_IN_A_KEY = re.compile(r"[^a-z0-9]+")
_MAKERS = ("nvidia ", "tesla ")


@dataclass(frozen=True)
class ProposalRequest:
    """Input of a proposal, of plain types, unchecked.

    :param measurements: by the file that each is from.
    :param clusters: cluster files of before and after the sampling; the last is the newest.
    :param earlier: cluster files of other runs, the oldest first.
    :param configs: as the operator wrote it; likewise default_config, sizing, device_plugin.
    :param host_facts: gpu_info's result by host.
    :param margin: a part of the peak that is added to it, as a decimal number.
    """

    measurements: Mapping[str, Any]
    clusters: Sequence[Mapping[str, Any]]
    configs: Any
    earlier: Sequence[Mapping[str, Any]] = ()
    host_facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    default_config: Any = None
    sizing: Any = None
    device_plugin: Any = None
    facts: str = "auto"
    margin: Any = "0.00"
    min_seconds: int = 600
    growth_mib: int = 64
    growth_percent: int = 5


@dataclass(frozen=True)
class Checked:
    """The request, checked.

    :param words: every config as it was written, and what was made up where none was.
    :param made_up: there was no config at all.
    :param unmatched: why no config is for a measured node's GPUs, by node.
    """

    request: ProposalRequest
    vocabulary: Vocabulary
    words: Mapping[str, Mapping[str, Any]]
    margin: Decimal
    nodes: Tuple[MeasuredNode, ...]
    made_up: bool = False
    unmatched: Mapping[str, str] = field(default_factory=dict)


def check(request: ProposalRequest) -> Checked:
    """The request, if nothing is wrong with it.

    :raises InputError: with all that is.
    """
    problems: List[str] = []
    documents = []
    for where in sorted(request.measurements):
        try:
            documents.append(read_measurement(where, request.measurements[where]))
        except InputError as error:
            problems += [f"{problem} Take the file away, or name other runs." for problem in error.problems]
    if not request.measurements:
        problems.append("there is no measurement; measure first, or name runs that are there.")
    margin = Decimal(0)
    try:
        margin = _read_margin(request.margin)
    except ValueError as error:
        problems.append(f"margin: {error}; give a part of the peak from 0 to {_LARGEST_MARGIN}, such as 0.15.")
    problems += [
        f"{name} is {number}; give 0 or more."
        for name in ("min_seconds", "growth_mib", "growth_percent")
        if (number := getattr(request, name)) < 0
    ]
    made_up = request.configs == {} or request.configs is None
    words = _make_up(documents) if made_up else request.configs
    options, more = read_options(request.device_plugin)
    problems += more
    version = parse_version(options.version)
    given = _with_placeholders(words) if words or not made_up else _ANYTHING
    vocabulary, more = read_vocabulary(given, request.default_config, request.sizing, version)
    problems += more
    if problems:
        raise InputError("The proposal was refused", problems)
    if not words:
        words, vocabulary = {}, Vocabulary(margins=vocabulary.margins)
    nodes, unmatched = _match(documents, vocabulary, request)
    return Checked(request, vocabulary, words, margin, tuple(nodes), made_up, unmatched)


# What the words are checked with if no GPU was measured and no config is given.
_ANYTHING = {"any": {"match": {"product": "any"}}}


def _read_margin(value: Any) -> Decimal:
    margin = read_decimal(value)
    if not 0 <= margin <= _LARGEST_MARGIN:
        raise ValueError(f"{value!r} is out of range")
    return margin


def _with_placeholders(configs: Any) -> Any:
    """A config that shares may be without the number that the proposal is to find."""
    if not isinstance(configs, Mapping):
        return configs
    return {key: _with_placeholder(given) for key, given in configs.items()}


def _with_placeholder(given: Any) -> Any:
    if not isinstance(given, Mapping) or given.get("sharing", "none") == "none":
        return given
    if given.get("process_memory_mib") is not None or given.get("replicas") is not None:
        return given
    return {**given, "process_memory_mib": _PLACEHOLDER}


def _make_up(documents: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """A config for each model of whole GPUs that somebody used, called by the model."""
    products: Dict[str, str] = {}
    for document in documents:
        used = {user["gpu"] for user in document["users"]}
        for gpu in document["gpus"]:
            if gpu["uuid"] in used and gpu.get("product") and not gpu.get("mig_devices"):
                products.setdefault(normalise_product(gpu["product"]), str(gpu["product"]))
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(products):
        short = name
        for maker in _MAKERS:
            short = short[len(maker) :] if short.startswith(maker) else short
        key = _NOT_IN_A_KEY.sub("-", short).strip("-")[:50].strip("-") or "gpu"
        while key in found:
            key += "-2"
        found[key] = {"match": {"product": products[name]}, "sharing": "time_slicing"}
    return found


def _match(
    documents: Sequence[Mapping[str, Any]], vocabulary: Vocabulary, request: ProposalRequest
) -> tuple[list[MeasuredNode], dict[str, str]]:
    reader, matcher = FactReader(request.facts), Matcher(vocabulary)
    nodes, unmatched = [], {}
    for document in documents:
        name = str(document.get("node") or document.get("host") or "unknown")
        config: SharingConfig | None = None
        if document["gpus"]:
            try:
                facts = _read_facts(document, name, reader, request)
            except NoFactsError as error:
                unmatched[name] = str(error)
            else:
                match = matcher.match(facts)
                config = vocabulary.configs.get(match.key) if match.key else None
                if config is None:
                    models = ", ".join(sorted({card.name for card in facts.cards}))
                    unmatched[name] = "; ".join(match.problems) or f"no config matches {models}"
        nodes.append(MeasuredNode(document, name, config))
    return nodes, unmatched


def _read_facts(document: Mapping[str, Any], name: str, reader: FactReader, request: ProposalRequest) -> NodeFacts:
    """As a plan reads them; else as the measurement has them, for one where the node had other cards than it has now.

    :raises NoFactsError: nothing tells what GPUs these are.
    """
    entry: Mapping[str, Any] = {}
    for cluster in request.clusters:
        entry = (cluster.get("nodes") or {}).get(name) or entry
    host_facts = request.host_facts.get(str(document.get("host") or name))
    measured = {normalise_product(gpu["product"]) for gpu in document["gpus"] if gpu.get("product")}
    try:
        facts = reader.read(entry, host_facts)
        if not measured or measured & {card.product for card in facts.cards}:
            return facts
    except NoFactsError:
        pass
    gpus = [
        {**gpu, "state": "ok", "mig": {"mode": "enabled" if gpu.get("mig_devices") else None}}
        for gpu in document["gpus"]
    ]
    return FactReader("nodes").read(entry, {"nvml_available": True, "gpus": gpus})

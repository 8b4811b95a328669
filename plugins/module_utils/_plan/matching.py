# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which config is for which GPU, and so for which node. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Mapping, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import WHERE, SharingConfig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import Card, NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.vocabulary import Vocabulary
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.products import normalise_product


@dataclass(frozen=True)
class Match:
    """What the configs say to a node.

    :param key: the node's config; None if nothing matches it, or with problems.
    :param problems: sentences without the node, which may be the same for many nodes.
    """

    key: str | None = None
    problems: Tuple[str, ...] = ()


@dataclass(frozen=True)
class _Answer:
    keys: Tuple[str, ...]
    errors: Tuple[str, ...]


@dataclass
class Matcher:
    """Asks the configs, each kind of card once.

    :param complete: no config was left out for its own problems; else a card without a match may have one.
    """

    vocabulary: Vocabulary
    complete: bool = True
    _answers: Dict[int, _Answer] = field(default_factory=dict)

    def match(self, facts: NodeFacts) -> Match:
        """The config of a node: the one of all its GPUs."""
        by_key: dict[str, list[Card]] = {}
        problems: list[str] = []
        for card in dict.fromkeys(facts.cards):
            answer = self._ask(card)
            problems += answer.errors
            if answer.keys[1:]:
                problems.append(
                    f"GPUs of model {card.name} match {len(answer.keys)} configs ({', '.join(answer.keys)}). Make the matches of "
                    f"{WHERE} exclude each other."
                )
            by_key.setdefault(answer.keys[0] if answer.keys else "", []).append(card)
        if problems:
            return Match(problems=tuple(problems))
        if not by_key.keys() - {""} or (not self.complete and "" in by_key):
            return Match()
        if len(by_key) > 1:
            return Match(problems=(_mixed(by_key, facts),))
        return Match(next(iter(by_key)))

    def _ask(self, card: Card) -> _Answer:
        answer = self._answers.get(id(card))
        if answer is None:
            answer = self._answers[id(card)] = _ask(card, self.vocabulary)
        return answer


def _ask(card: Card, vocabulary: Vocabulary) -> _Answer:
    keys, errors = [], []
    for key, config in vocabulary.configs.items():
        try:
            if _matches(config, card):
                keys.append(key)
        except ValueError as error:
            errors.append(
                f"{WHERE}.{key}.match.query {error}, for a GPU of model {card.name}. "
                f"The facts to ask for are {', '.join(sorted(card.facts))}."
            )
    if not keys and vocabulary.default_key in vocabulary.configs:
        keys.append(str(vocabulary.default_key))
    return _Answer(tuple(keys), tuple(errors))


def _matches(config: SharingConfig, card: Card) -> bool:
    if config.query:
        return config.query.ask(card.facts)
    return config.product is not None and normalise_product(config.product) == card.product


def _mixed(by_key: Mapping[str, list[Card]], facts: NodeFacts) -> str:
    """A node whose GPUs would need several configs, though a node has one."""
    parts = []
    for key in sorted(by_key, key=lambda key: (not key, key)):
        indices = [str(index) for index, card in enumerate(facts.cards) if card in by_key[key]]
        models = ", ".join(sorted({card.name for card in by_key[key]}))
        parts.append(f"GPU {', '.join(indices)} ({models}) under {key or 'none'}")
    return (
        f"its GPUs fall under different configs, but a node has one: {'; '.join(parts)}. Write one config whose query matches "
        "all of them, name a kubegpu_default_config if some match none, or put the node on hold (annotation "
        "kubegpu.sharing/hold)."
    )

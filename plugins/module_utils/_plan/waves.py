# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes are changed together, and in which order. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import Share, read_share


@dataclass(frozen=True)
class WaveLimits:
    """How much at once.

    :param wave: nodes in a wave, of those that change.
    :param max_unavailable: GPU nodes out of service at once, of all GPU nodes, by whomever.
    """

    wave: Share
    max_unavailable: Share


def read_limits(wave: Any, max_unavailable: Any) -> tuple[WaveLimits, list[str]]:
    """The limits as the operator wrote them, "25%" or a number, and what is wrong with them."""
    shares, problems = {}, []
    for word, given in (("wave", wave), ("max_unavailable", max_unavailable)):
        shares[word] = Share(count=1)
        try:
            shares[word] = read_share(given)
        except ValueError as error:
            problems.append(f'kubegpu_{word}: {error}; give a number of nodes, or a percentage such as "25%".')
    return WaveLimits(**shares), problems


def allowed_at_once(limits: WaveLimits, gpu_nodes: int, out_of_service: int) -> int:
    """Nodes that may be taken out of service together: what others have out counts, and one is always allowed."""
    return max(1, limits.max_unavailable.of(gpu_nodes) - out_of_service)


def plan_waves(
    key_of: Mapping[str, str],
    already_out: frozenset[str],
    limits: WaveLimits,
    at_once: int,
    apart: frozenset[str] = frozenset(),
) -> list[list[str]]:
    """The waves: first one canary of each key, then the rest.

    Nodes that are out of service already, as a run that was stopped may have left them, come first and go together: taking
    them costs nothing. They never share a wave with nodes in service, or all of these would be out together.

    :param key_of: key of each node that changes.
    :param already_out: nodes that are out of service now.
    :param at_once: from ``allowed_at_once``.
    :param apart: nodes no two of which may be out of service together, such as servers of a control plane that keeps a quorum.
    """
    ordered = sorted(key_of, key=lambda node: (node not in already_out, node))
    first_of_key: dict[str, str] = {}
    for node in ordered:
        first_of_key.setdefault(key_of[node], node)
    canaries = [first_of_key[key] for key in sorted(first_of_key)]
    rest = [node for node in ordered if first_of_key[key_of[node]] != node]
    size = limits.wave.of(len(ordered)) if ordered else 1
    cut = [
        wave
        for nodes, most in ((canaries, max(1, len(canaries))), (rest, size))
        for wave in (
            *_cut([node for node in nodes if node in already_out], most),
            *_cut([node for node in nodes if node not in already_out], min(most, at_once)),
        )
    ]
    return [part for wave in cut for part in _keep_apart(wave, apart)]


def _keep_apart(wave: list[str], apart: frozenset[str]) -> list[list[str]]:
    """The wave with the first of those nodes alone, and then a wave for each other one."""
    surplus = [node for node in wave if node in apart][1:]
    return [[node for node in wave if node not in surplus], *([node] for node in surplus)]


def _cut(nodes: Sequence[str], size: int) -> list[list[str]]:
    """The nodes in waves of at most ``size``."""
    return [list(nodes[begin : begin + size]) for begin in range(0, len(nodes), size)]

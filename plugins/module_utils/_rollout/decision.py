# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step is to do on a node. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodePatch

#: Nothing to write, the step is done on this node.
DONE = "done"
#: One PATCH is to be written.
PATCH = "patch"
#: The step must not be done on this node.
REFUSED = "refused"
#: A person holds the node: it stays as it is, and that is no failure.
HELD = "held"


@dataclass(frozen=True)
class Decision:
    """The next thing to do on a node, made from what was just observed of it.

    :param reason: why it is refused or held; for a patch, what is special about it (a takeover).
    :param actions: one line per change, for the result.
    :param settled: the node bears its target and is in nobody's maintenance: no later step has anything to do, nor to wait for.
    """

    verdict: str
    reason: str = ""
    patch: NodePatch = field(default_factory=NodePatch)
    actions: tuple[str, ...] = ()
    settled: bool = False


def done(reason: str = "", settled: bool = False) -> Decision:
    """Nothing is to be written."""
    return Decision(DONE, reason, settled=settled)


def refuse(reason: str) -> Decision:
    """The step must not be done."""
    return Decision(REFUSED, reason)

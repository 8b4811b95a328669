# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is worth a word about a node's MIG devices, as sentences without the node. PRIVATE to the collection."""

from __future__ import annotations

from typing import Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_node import NodeMig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import NONE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import some

#: By which GPU Feature Discovery tells the strategy that it was started with.
GFD_STRATEGY_LABEL = "nvidia.com/mig.strategy"


def warn_of_mig(mig: NodeMig, labels: Mapping[str, str]) -> list[str]:
    """The warnings.

    :param labels: of the node.
    """
    return [*_foreign_strategy(mig, labels), *_resets(mig), *_unsure(mig)]


def warn_of_reboot(mig: NodeMig, leaving: Sequence[str]) -> str:
    """Why a node is emptied.

    :param leaving: namespace/name of the pods that are expected to go.
    """
    gpus = ", ".join(map(str, mig.may_reboot))
    who = (
        f"all its pods but those of DaemonSets will be evicted: {some(leaving, 10)}"
        if leaving
        else "no pod is to stay on it"
    )
    return f"it may have to be rebooted to change the MIG mode of GPU {gpus} (kubegpu_mig_allow_reboot), so {who}."


def _foreign_strategy(mig: NodeMig, labels: Mapping[str, str]) -> list[str]:
    """GPU Feature Discovery beside us describes devices by its own strategy."""
    theirs, ours = labels.get(GFD_STRATEGY_LABEL), mig.words.strategy
    if not theirs or theirs == ours or (ours == NONE and not mig.changing):
        return []
    return [
        f"GPU Feature Discovery runs with MIG strategy {theirs} ({GFD_STRATEGY_LABEL}), and this config has {ours}: its labels will not "
        f"tell what the node advertises. Start it with --mig-strategy={ours}, and take MIG_STRATEGY out of its environment."
    ]


def _resets(mig: NodeMig) -> list[str]:
    if not mig.reset:
        return []
    index_of = {gpu.uuid: gpu.index for gpu in mig.gpus}
    gpus = ", ".join(str(number) for number in sorted(index_of[uuid] for uuid in mig.reset))
    if mig.reset_along:
        return [
            f"switching MIG mode needs a reset, and NVLink couples the GPUs: {gpus} are reset together, so that the pods of all of them "
            "leave, and MIG devices on those that do not change are made anew at their places."
        ]
    together = " together, since NVLink couples them" if mig.reset_coupled else ""
    return [f"switching MIG mode needs a reset of GPU {gpus}{together}, or a reboot where the host does not allow one."]


def _unsure(mig: NodeMig) -> list[str]:
    """Plans made from a table, because the card does not tell."""
    told: dict[str, list[str]] = {}
    for plan in mig.plans:
        if plan.create and plan.origin != "card":
            told.setdefault(plan.confidence, []).append(str(plan.gpu))
    return [
        f"{' and '.join(gpus)} {'do' if gpus[1:] else 'does'} not tell all about MIG profiles while its mode is off; they were planned "
        f"by a table ({confidence})."
        for confidence, gpus in told.items()
    ]

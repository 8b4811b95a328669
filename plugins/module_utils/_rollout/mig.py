# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host of a node does about its MIG instances, and layouts side by side. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Tuple

#: What stands on a GPU: its mode, and (profile, start, sizes of the compute instances) of each instance.
Standing = Tuple[str, List[Tuple[str, int, Tuple[int, ...]]]]


@dataclass(frozen=True)
class MigStep:
    """The MIG part of a node's entry in a plan.

    :param changes: the layout was to change when the plan was made. If not, the step only confirms it.
    :param request: arguments of the module mig_config.
    :param before: layout that was found, a layout document.
    :param after: the one that is to be.
    :param holders: what keeps the driver open, as the plan found it; None: it did not look.
    """

    changes: bool
    request: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    holders: Mapping[str, Any] | None = None


def read_step(entry: Mapping[str, Any] | None) -> MigStep | None:
    """From a plan. None for a node of which MIG is left alone."""
    if not entry:
        return None
    return MigStep(
        changes=entry.get("changes") is not False,
        request=dict(entry["request"]),
        before=entry.get("before"),
        after=entry.get("after"),
        holders=entry.get("holders"),
    )


def same_devices(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Both have the same devices on the same GPUs. Where these stand is not looked at: a plan chooses it by what it finds."""
    return _unplaced(one) == _unplaced(other)


def same_layout(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    """Both have the same devices at the same places."""
    return read_standing(one) == read_standing(other)


def is_whole(layout: Mapping[str, Any]) -> bool:
    """No GPU of it is in MIG mode."""
    return all(mode == "disabled" for mode, _instances in read_standing(layout).values())


def read_standing(layout: Mapping[str, Any] | None) -> Dict[str, Standing]:
    """What stands, by UUID. A GPU that is not in MIG mode has nothing, whatever is written there."""
    return {str(gpu["uuid"]): _standing(gpu) for gpu in (layout or {}).get("gpus") or ()}


def _standing(gpu: Mapping[str, Any]) -> Standing:
    mode = str(gpu.get("mode") or "disabled")
    if mode != "enabled":
        return mode, []
    return mode, sorted(
        (
            str(one["profile"]),
            int(one["start"]),
            tuple(sorted(int(compute["slices"]) for compute in one.get("compute") or ())),
        )
        for one in gpu.get("instances") or ()
    )


def _unplaced(layout: Mapping[str, Any] | None) -> Dict[str, Tuple[str, List[Tuple[str, Tuple[int, ...]]]]]:
    return {
        uuid: (mode, sorted((profile, compute) for profile, _start, compute in instances))
        for uuid, (mode, instances) in read_standing(layout).items()
    }

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host shall restore at boot, and whether the marker may speak of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict

import pytest
from unit.plugins.module_utils._mig.cards import H20, gpu

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.boot import BootRecord
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import layout_of, record_gpu

pytestmark = pytest.mark.node_side

WHOLE = (("7g.96gb", 0),)
HALVES = (("3g.48gb", 0), ("3g.48gb", 4))
# as they are found when NVML does not tell even who they are
SILENT = replace(gpu(H20), index=1, uuid="", pci_bus_id="", product="unknown product", capable=False)


def one(index: int, *standing: Any, **changes: Any) -> Gpu:
    return gpu(H20, standing, index=index, uuid=f"GPU-{index}", pci_bus_id=f"00000000:{index:02}:00.0", **changes)


FIRST, SECOND = one(0, *WHOLE), one(1, *HALVES)
BOTH = layout_of([FIRST, SECOND])


def test_recorded_layouts_that_stand_may_be_spoken_of() -> None:
    boot = BootRecord(BOTH, [FIRST, SECOND]).follow({})
    assert (boot.layout, boot.standing, boot.not_ready, boot.forgotten) == (BOTH, BOTH, {}, [])


def test_gpu_that_changes_is_recorded_as_it_will_stand() -> None:
    changed = one(1, *WHOLE)
    boot = BootRecord(BOTH, [FIRST, SECOND]).follow({"GPU-1": record_gpu(changed)})
    assert boot.standing == layout_of([FIRST, changed])
    off = record_gpu(one(1, mode="disabled", pending="disabled"))
    assert BootRecord(BOTH, [FIRST, SECOND]).follow({"GPU-1": off}).standing == layout_of([FIRST])
    assert BootRecord(layout_of([SECOND]), [FIRST, SECOND]).follow({"GPU-1": off}).standing is None


@pytest.mark.parametrize(
    "second",
    [
        one(1),
        one(1, *HALVES[:1]),
        one(1, *WHOLE),
        one(1, *HALVES, pending="disabled"),
        one(1, mode="disabled", pending="disabled"),
    ],
    ids=["empty", "less", "other", "mode-that-waits", "off"],
)
def test_gpu_that_nobody_changed_and_that_is_not_as_recorded_keeps_the_marker_away(second: Gpu) -> None:
    boot = BootRecord(BOTH, [FIRST, second]).follow({"GPU-0": record_gpu(FIRST)})
    assert (boot.layout, boot.standing, list(boot.not_ready)) == (BOTH, None, ["GPU 1"])
    assert "recorded is MIG enabled with 3g.48gb at 0, 3g.48gb at 4" in boot.not_ready["GPU 1"]


def test_gpu_that_is_not_read_stays_recorded() -> None:
    boot = BootRecord(BOTH, [FIRST, SILENT], {1: "Reading GPU 1 failed: GPU is lost."}).follow({})
    assert (boot.layout, boot.standing) == (BOTH, None)
    assert "Reading GPU 1 failed: GPU is lost." in boot.not_ready["GPU GPU-1"]
    doubtful = BootRecord(BOTH, [FIRST, SECOND], {1: "GPU 1: NVML contradicts itself."}).follow({})
    assert (doubtful.layout, doubtful.standing) == (BOTH, None)
    assert "NVML contradicts itself." in doubtful.not_ready["GPU 1"]


def test_gpu_that_is_gone_is_forgotten_unless_all_is_kept() -> None:
    boot = BootRecord(BOTH, [FIRST]).follow({})
    assert (boot.standing, boot.forgotten) == (layout_of([FIRST]), ["GPU GPU-1 (NVIDIA H20)"])
    kept = BootRecord(BOTH, [FIRST], keeps_all=True).follow({})
    assert (kept.layout, kept.standing, kept.forgotten) == (BOTH, None, [])
    assert "this host has no GPU GPU-1 (NVIDIA H20)" in kept.not_ready["GPU GPU-1"]


@pytest.mark.parametrize(
    "recorded",
    [None, {}, {"gpus": {}}, {"gpus": [{"uuid": ["GPU-1"]}, "GPU-0"]}],
    ids=["none", "empty", "map", "broken"],
)
def test_record_that_cannot_be_read_counts_for_nothing(recorded: Any) -> None:
    boot = BootRecord(recorded, [FIRST, SECOND]).follow({})
    assert (boot.layout, boot.standing) == (None, None)


def test_order_follows_the_cards_and_not_who_is_there() -> None:
    document: Dict[str, Any] = {**BOTH, "gpus": BOTH["gpus"][::-1]}
    silent = BootRecord(document, [SILENT, SECOND], {0: "lost"}).follow({"GPU-1": record_gpu(SECOND)})
    assert silent.layout == BOTH

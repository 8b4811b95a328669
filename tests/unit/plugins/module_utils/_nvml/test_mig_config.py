# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG of a host whose driver does what none should: it is found out, and taken back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Tuple

import pytest
from unit.plugins.fakes.mig_driver import MigCard, MigDriver

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    INSUFFICIENT_RESOURCES,
    RESET_REQUIRED,
    NvmlError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_config import configure
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_files import MigFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import MigRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import PlacedCompute, PlacedInstance

pytestmark = pytest.mark.node_side

TWO = {"3g.48gb": 1, "1g.12gb": 1}


def run(tmp_path: Path, driver: MigDriver, **options: Any) -> Dict[str, Any]:
    request = MigRequest(
        lock_path=str(tmp_path / "lock"),
        state_dir=str(tmp_path / "state"),
        ready_path=str(tmp_path / "ready"),
        **options,
    )
    return configure(request, driver, NodeFiles(str(tmp_path / "proc"), str(tmp_path / "kubelet")))


def allocate(tmp_path: Path, *devices: str) -> None:
    """What the kubelet notes of a pod that was given devices."""
    entry = {"PodUID": "u1", "ContainerName": "c", "ResourceName": "nvidia.com/gpu", "DeviceIDs": list(devices)}
    write_checkpoint(tmp_path, json.dumps({"Data": {"PodDeviceEntries": [entry]}}))


def write_checkpoint(tmp_path: Path, text: str) -> None:
    (tmp_path / "kubelet/device-plugins").mkdir(parents=True, exist_ok=True)
    (tmp_path / "kubelet/pods/u1").mkdir(parents=True, exist_ok=True)
    (tmp_path / "kubelet/device-plugins/kubelet_internal_checkpoint").write_text(text, encoding="utf-8")


def places(card: MigCard) -> Tuple[Tuple[int, int, int], ...]:
    return tuple(sorted((one.start, one.size, len(one.compute)) for one in card.placed))


def test_configure_makes_keeps_and_takes_away(tmp_path: Path) -> None:
    card = MigCard()
    driver = MigDriver([card])
    assert run(tmp_path, driver, mig_devices=TWO)["changed"]
    standing = places(card)
    assert sorted(size for _start, size, _compute in standing) == [1, 4]
    assert not run(tmp_path, driver, mig_devices=TWO)["changed"]
    kept = run(tmp_path, driver, mig_devices={"1g.12gb": 2})
    assert len(kept["kept"]) == len(kept["created"]) == len(kept["destroyed"]) == 1
    assert run(tmp_path, driver, state="absent")["changed"]
    assert (card.placed, card.mode) == ([], (0, 0))


def test_instance_that_the_driver_puts_elsewhere_is_found_when_it_is_read_back(tmp_path: Path) -> None:
    card = MigCard(mode=(1, 1), on_create=lambda one: replace(one, start=one.start ^ 4))
    with pytest.raises(KubeGpuError) as caught:
        run(tmp_path, MigDriver([card]), mig_devices={"3g.48gb": 1})
    assert "read back, it is not what was made of it. There is MIG enabled with 3g.48gb at " in caught.value.msg
    assert caught.value.facts["restored"] is True
    assert card.placed == []


def test_failure_on_the_second_gpu_takes_back_the_first(tmp_path: Path) -> None:
    def refuse(_one: PlacedInstance) -> PlacedInstance:
        raise NvmlError(INSUFFICIENT_RESOURCES, "Insufficient Resources")

    first, second = MigCard(), MigCard(number=1, on_create=refuse)
    with pytest.raises(KubeGpuError) as caught:
        run(tmp_path, MigDriver([first, second]), mig_devices=TWO)
    assert caught.value.msg.startswith("GPU 1 (NVIDIA H20): create 3g.48gb at ")
    assert caught.value.facts == {"restored": True, "nvml_error": INSUFFICIENT_RESOURCES}
    assert [(card.placed, card.mode) for card in (first, second)] == [([], (0, 0))] * 2


@pytest.mark.parametrize(
    ("checkpoint", "words"),
    [
        pytest.param("allocated", "because pod ml/trainer-0 holds it", id="allocated"),
        pytest.param("rubbish", "which of them pods were given is not known", id="unknown"),
    ],
)
def test_what_pods_were_given_while_another_gpu_was_changed_stays(tmp_path: Path, checkpoint: str, words: str) -> None:
    def meanwhile(one: PlacedInstance) -> PlacedInstance:
        if checkpoint == "allocated":
            allocate(tmp_path, "MIG-71-0")
        else:
            write_checkpoint(tmp_path, checkpoint)
        return one

    standing = PlacedInstance(71, 19, 4, 1, (PlacedCompute(0, 1, 0),))
    first, second = MigCard(on_create=meanwhile), MigCard(number=1, mode=(1, 1), placed=[standing])
    with pytest.raises(KubeGpuError) as caught:
        run(tmp_path, MigDriver([first, second]), mig_devices={"3g.48gb": 2}, pods={"u1": "ml/trainer-0"})
    assert words in caught.value.msg
    assert caught.value.facts["restored"] is True
    assert second.placed == [standing]
    assert (first.placed, first.mode) == ([], (0, 0))


def test_plan_that_does_not_fit_any_more_when_its_turn_comes_is_not_carried_out(tmp_path: Path) -> None:
    def meanwhile(one: PlacedInstance) -> PlacedInstance:
        second.placed.append(PlacedInstance(71, 19, 0, 1))
        return one

    first, second = MigCard(mode=(1, 1), on_create=meanwhile), MigCard(number=1, mode=(1, 1))
    with pytest.raises(KubeGpuError, match="GPU 1 .* is not as it was when the change was planned"):
        run(tmp_path, MigDriver([first, second]), mig_devices={"7g.96gb": 1})
    assert second.placed[0] == PlacedInstance(71, 19, 0, 1)


def test_way_back_crosses_all_gpus_that_a_killed_run_had_begun(tmp_path: Path) -> None:
    def refuse(one: PlacedInstance) -> PlacedInstance:
        if one.size == 4:
            raise NvmlError(INSUFFICIENT_RESOURCES, "Insufficient Resources")
        return one

    first, second = MigCard(), MigCard(number=1)
    driver = MigDriver([first, second])
    before = run(tmp_path, driver, mig_devices={"1g.12gb": 2})["after"]
    standing = places(first)
    wanted = run(tmp_path, driver, mig_devices={"3g.48gb": 1}, check_mode=True)["after"]
    MigFiles(str(tmp_path / "state"), str(tmp_path / "ready")).begin("killed", before, wanted)
    first.placed.clear()
    second.placed.clear()
    first.on_create = refuse
    with pytest.raises(KubeGpuError) as caught:
        run(tmp_path, driver, mig_devices={"3g.48gb": 1})
    assert caught.value.msg.endswith("The layout from before stands again.")
    assert [places(first), places(second)] == [standing, standing]
    assert not (tmp_path / "state/change.json").exists()


def test_way_back_of_the_third_run_crosses_what_the_first_that_was_killed_had_done(tmp_path: Path) -> None:
    def refuse(one: PlacedInstance) -> PlacedInstance:
        if one.size == 4:
            raise NvmlError(INSUFFICIENT_RESOURCES, "Insufficient Resources")
        return one

    def die(_one: PlacedInstance) -> PlacedInstance:
        raise MemoryError

    first, second = MigCard(), MigCard(number=1, on_create=lambda one: one)
    driver = MigDriver([first, second])
    run(tmp_path, driver, mig_devices={"1g.12gb": 2})
    standing = places(first)
    for _run in ("first", "second"):
        second.on_create = die
        with pytest.raises(MemoryError):
            run(tmp_path, driver, mig_devices={"3g.48gb": 1})
        assert places(first) != standing
    second.on_create = refuse
    with pytest.raises(KubeGpuError) as caught:
        run(tmp_path, driver, mig_devices={"3g.48gb": 1})
    assert caught.value.msg.endswith("The layout from before stands again.")
    assert [places(first), places(second)] == [standing, standing]


def test_gpu_that_waits_for_a_reset_keeps_no_other_from_being_laid_out(tmp_path: Path) -> None:
    first, second = MigCard(activation=RESET_REQUIRED), MigCard(number=1)
    result = run(tmp_path, MigDriver([first, second]), mig_devices=TWO)
    assert (result["reset_required"], result["reboot_required"]) == (["GPU-0"], False)
    assert (first.mode, len(first.placed), len(second.placed)) == ((0, 1), 0, 2)
    assert not (tmp_path / "ready").exists()
    assert json.loads((tmp_path / "state/change.json").read_text())["waiting"] == ["GPU-0"]
    # should it become a reboot, what is recorded is what was asked for
    recorded = json.loads((tmp_path / "state/layout.json").read_text())["gpus"]
    assert [(one["uuid"], len(one["instances"])) for one in recorded] == [("GPU-0", 2), ("GPU-1", 2)]


def test_gpu_that_was_passed_through_needs_a_reboot(tmp_path: Path) -> None:
    card = MigCard(activation=RESET_REQUIRED, passed_through=True)
    assert run(tmp_path, MigDriver([card]), mig_devices=TWO)["reboot_required"]


def test_card_that_shows_other_profiles_with_its_mode_on_is_switched_back(tmp_path: Path) -> None:
    def become(card: MigCard) -> None:
        card.key = "A30-24GB" if card.mode[0] else "H20-96GB"

    card = MigCard(on_mode=become)
    with pytest.raises(KubeGpuError) as caught:
        run(tmp_path, MigDriver([card]), mig_devices=TWO)
    assert "with its MIG mode changed, the card offers something else" in caught.value.msg
    assert caught.value.facts["restored"] is True
    assert (card.mode, card.placed) == ((0, 0), [])


def test_mode_that_does_not_stay_ends_in_an_error_and_not_in_a_loop(tmp_path: Path) -> None:
    card = MigCard(on_mode=lambda card: setattr(card, "mode", (card.mode[0], 1 - card.mode[0])))
    with pytest.raises(KubeGpuError) as caught:
        run(tmp_path, MigDriver([card]), mig_devices=TWO)
    assert "its MIG mode does not stay as it is set: enabled, pending disabled." in caught.value.msg
    assert caught.value.facts["restored"] is False


def test_gpus_that_are_counted_in_another_order_are_not_written_to(tmp_path: Path) -> None:
    first, second = MigCard(), MigCard(number=1)
    driver = MigDriver([first, second])
    first.on_mode = lambda _card: driver.cards.reverse()
    with pytest.raises(KubeGpuError) as caught:
        run(tmp_path, driver, mig_devices=TWO, gpus=0)
    assert caught.value.facts["restored"] is False
    assert (second.mode, second.placed) == ((0, 0), [])


def test_step_is_never_taken_on_the_gpu_that_has_another_ones_number(tmp_path: Path) -> None:
    first, second = MigCard(mode=(1, 1)), MigCard(number=1, mode=(1, 1), placed=[PlacedInstance(1, 19, 0, 1)])
    driver = MigDriver([first, second])

    def reorder(one: PlacedInstance) -> PlacedInstance:
        driver.cards.reverse()
        return one

    first.on_create = reorder
    with pytest.raises(KubeGpuError, match="NVML counts its GPUs in another order now"):
        run(tmp_path, driver, mig_devices=TWO, gpus=0)
    assert second.placed == [PlacedInstance(1, 19, 0, 1)]


def test_check_mode_leaves_no_trace(tmp_path: Path) -> None:
    card = MigCard()
    result = run(tmp_path, MigDriver([card]), mig_devices=TWO, check_mode=True)
    assert result["changed"]
    assert (card.mode, card.placed, list(tmp_path.iterdir())) == ((0, 0), [], [])

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Switching MIG on and off; what a reset and a boot do to it; the nvidia-smi that resets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from unit.simulator.nvml.migs import Migs

from simulator.nvml.mig_state import MigState, changing
from simulator.nvml.state import NodeGpus, NvmlError, Process, gpu_uuid, install, pci_bus_id

RESET_REQUIRED, IN_USE = NvmlError.RESET_REQUIRED, NvmlError.IN_USE


def smi(node: Any, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(node.directory / "nvidia-smi"), *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def mode(node: Any, index: int = 0) -> list[int]:
    found: list[int] = node.nvml.nvmlDeviceGetMigMode(node.handle(index))
    return found


@pytest.mark.parametrize("key", ["H20", "B200", "RTX-PRO-6000"])
def test_hopper_and_later_switch_at_once(key: str, make_node: Any) -> None:
    node = make_node([key])
    nvml, handle = node.nvml, node.handle()
    assert nvml.nvmlDeviceSetMigMode(handle, 1) == 0
    assert mode(node) == [1, 1]
    assert nvml.nvmlDeviceSetMigMode(handle, 0) == 0
    assert mode(node) == [0, 0]
    (field,) = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED])
    assert field.value.uiVal == 1


def test_ampere_waits_for_a_reset(make_node: Any) -> None:
    node = make_node(["A30", "A30"])
    nvml = node.nvml
    assert nvml.nvmlDeviceSetMigMode(node.handle(1), 1) == RESET_REQUIRED
    assert mode(node, 1) == [0, 1]
    with pytest.raises(nvml.NVMLError_NotSupported):
        Migs(node, 1, on=False).create("1g.6gb")
    assert smi(node, "--gpu-reset", "-i", gpu_uuid("node-0", 1)) == (
        0,
        f"GPU {pci_bus_id(1)} was successfully reset.\nAll done.\n",
    )
    assert (mode(node, 1), mode(node, 0)) == ([1, 1], [0, 0])
    assert nvml.nvmlDeviceSetMigMode(node.handle(1), 0) == RESET_REQUIRED
    assert nvml.nvmlDeviceSetMigMode(node.handle(1), 1) == 0, "back to what it still is"
    assert mode(node, 1) == [1, 1]
    (field,) = nvml.nvmlDeviceGetFieldValues(node.handle(), [nvml.NVML_FI_DEV_IS_RESETLESS_MIG_SUPPORTED])
    assert field.value.uiVal == 0


def test_ampere_on_bare_metal_is_reset_by_nvml(make_node: Any) -> None:
    node = make_node(["A100-40"])
    node.gpus.reset = "nvml"
    node.write()
    assert node.nvml.nvmlDeviceSetMigMode(node.handle(), 1) == 0
    assert mode(node) == [1, 1]


@pytest.mark.parametrize("key", ["H20", "A30"])
@pytest.mark.parametrize("who", ["process", "holder"])
def test_mode_stays_pending_while_somebody_has_the_gpu_open(who: str, key: str, make_node: Any) -> None:
    node = make_node([key, "T4"])
    node.gpus.reset = "nvml"
    if who == "process":
        node.gpus.gpus[0].processes.append(Process(4242, 100))
    else:
        node.gpus.holders.append(4242)
    node.write()
    assert node.nvml.nvmlDeviceSetMigMode(node.handle(), 1) == IN_USE
    assert mode(node) == [0, 1]
    code, text = smi(node, "--gpu-reset", "-i", "0")
    assert (code, "In use by another client" in text) == (IN_USE, True)
    assert mode(node) == [0, 1]
    node.gpus.gpus[0].processes.clear()
    node.gpus.holders.clear()
    node.write()
    assert node.nvml.nvmlDeviceSetMigMode(node.handle(), 1) == 0
    assert mode(node) == [1, 1]


def test_mode_change_destroys_no_instance(make_node: Any) -> None:
    migs = Migs(make_node(["H20"]))
    migs.create("3g.48gb")
    assert migs.nvml.nvmlDeviceSetMigMode(migs.gpu, 0) == IN_USE
    assert mode(migs.node) == [1, 0]
    assert migs.layout() == {("3g.48gb", 4)}
    assert smi(migs.node, "-r")[0] == 0
    assert mode(migs.node) == [0, 0]


def test_mode_of_a_card_without_mig_is_not_supported(node: Any) -> None:
    with pytest.raises(node.nvml.NVMLError_NotSupported):
        node.nvml.nvmlDeviceSetMigMode(node.handle(), 1)


def test_mode_that_is_none_is_invalid(make_node: Any) -> None:
    node = make_node(["H20"])
    with pytest.raises(node.nvml.NVMLError_InvalidArgument):
        node.nvml.nvmlDeviceSetMigMode(node.handle(), 2)


def test_machine_without_reset_needs_a_reboot(make_node: Any) -> None:
    node = make_node(["A30"])
    node.gpus.reset = "reboot"
    node.write()
    assert node.nvml.nvmlDeviceSetMigMode(node.handle(), 1) == RESET_REQUIRED
    assert smi(node, "--gpu-reset")[0] == NvmlError.NOT_SUPPORTED
    assert mode(node) == [0, 1]
    assert smi(node, "--simulate-boot") == (0, "")
    assert mode(node) == [1, 1]


def test_virtual_machine_tells_that_it_was_given_its_gpus(make_node: Any) -> None:
    node = make_node(["A30"])
    ask = node.nvml.nvmlDeviceGetVirtualizationMode
    assert ask(node.handle()) == node.nvml.NVML_GPU_VIRTUALIZATION_MODE_NONE
    node.gpus.passthrough = True
    node.write()
    assert ask(node.handle()) == node.nvml.NVML_GPU_VIRTUALIZATION_MODE_PASSTHROUGH


def test_gpus_coupled_by_nvlink_are_reset_together(make_node: Any) -> None:
    node = make_node(["A100-40", "A30", "A100-40"])
    node.nvml.nvmlDeviceSetMigMode(node.handle(0), 1)
    code, text = smi(node, "--gpu-reset", "-i", "0")
    assert (code, "NVLink couples" in text) == (29, True)
    assert mode(node) == [0, 1]
    buses = f"{pci_bus_id(0)},{pci_bus_id(2)[4:].lower()}"
    assert smi(node, f"--id={buses}", "--gpu-reset")[0] == 0
    assert mode(node) == [1, 1]
    assert smi(node, "--gpu-reset", "-i", "1")[0] == 0


@pytest.mark.parametrize("how", ["command", "python"])
def test_boot_takes_instances_and_the_mode_of_later_cards(how: str, make_node: Any) -> None:
    node = make_node(["H20", "A30", "A30", "T4"])
    for index in (0, 1):
        migs = Migs(node, index)
        migs.compute(migs.create(migs.card.mig.profiles[0].name), 0)
    node.gpus.reset = "reboot"
    node.write()
    node.nvml.nvmlDeviceSetMigMode(node.handle(2), 1)
    if how == "command":
        assert smi(node, "--simulate-boot") == (0, "")
    else:
        with changing(node.directory) as mig:
            mig.reboot()
    assert [mode(node, index) for index in range(3)] == [[0, 0], [1, 1], [1, 1]]
    assert not any(gpu.instances for gpu in MigState.read(node.directory).gpus.values())


@pytest.mark.parametrize("how", ["command", "python"])
def test_reset_takes_instances_and_leaves_the_mode(how: str, make_node: Any) -> None:
    migs = Migs(make_node(["H20"]))
    migs.create("3g.48gb")
    if how == "command":
        assert smi(migs.node, "-r", "-i", "0")[0] == 0
    else:
        with changing(migs.node.directory) as mig:
            mig.reset(gpu_uuid("node-0", 0))
    assert mode(migs.node) == [1, 1]
    assert migs.layout() == set()


def test_list_shows_gpus_and_their_devices(make_node: Any) -> None:
    migs = Migs(make_node(["H20", "T4"]))
    migs.compute(migs.create("3g.48gb"), 1)
    (device,) = migs.devices()
    assert smi(migs.node, "-L") == (
        0,
        f"GPU 0: NVIDIA H20 (UUID: {gpu_uuid('node-0', 0)})\n"
        f"  MIG 2c.3g.48gb  Device  0: (UUID: {migs.nvml.nvmlDeviceGetUUID(device)})\n"
        f"GPU 1: Tesla T4 (UUID: {gpu_uuid('node-0', 1)})\n",
    )
    migs.node.gpus.gpus[1].lost = True
    migs.node.write()
    assert "Unable to determine the device handle for gpu 1: GPU is lost" in smi(migs.node, "-L")[1]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-q"], 2),
        ([], 2),
        (["-L", "-r"], 2),
        (["-L", "-i", "0"], 2),
        (["-r", "-i", "GPU-0"], 6),
        (["-r", "-i", "9"], 6),
    ],
)
def test_what_the_command_cannot_do_has_nvmls_number(arguments: list[str], code: int, make_node: Any) -> None:
    assert smi(make_node(["H20"]), *arguments)[0] == code


def test_command_without_driver_or_library_says_so(tmp_path: Path) -> None:
    install(tmp_path)
    run = [str(tmp_path / "nvidia-smi"), "-L"]
    without_driver = subprocess.run(run, capture_output=True, text=True, timeout=30, check=False)
    assert (without_driver.returncode, without_driver.stdout) == (9, "Failed to initialize NVML: Driver Not Loaded\n")
    (tmp_path / "libnvidia-ml.so.1").unlink()
    assert subprocess.run(run, capture_output=True, timeout=30, check=False).returncode == 12


def test_unprivileged_caller_resets_nothing(make_node: Any) -> None:
    node = make_node(["H20"])
    node.gpus.privileged = False
    node.write()
    assert smi(node, "-r")[0] == NvmlError.NO_PERMISSION


def test_holder_that_asks_itself_is_not_in_its_own_way(make_node: Any) -> None:
    node = make_node(["H20"])
    node.gpus.holders.append(os.getpid())
    node.write()
    assert node.nvml.nvmlDeviceSetMigMode(node.handle(), 1) == 0


def test_more_holders_than_the_library_holds_are_refused() -> None:
    gpus = NodeGpus.of("a", ["T4"])
    gpus.holders = list(range(65))
    with pytest.raises(ValueError, match="64 holders"):
        gpus.text()


def test_unknown_way_of_reset_is_refused() -> None:
    gpus = NodeGpus.of("a", ["T4"])
    gpus.reset = "magic"
    with pytest.raises(ValueError, match="reset 'magic' is none of nvml, command, reboot"):
        gpus.text()

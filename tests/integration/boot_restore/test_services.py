# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of the host that hold GPUs while a layout is to be restored: without them it can be, and they run afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from integration.boot_restore.restoring import LAYOUT, restore, search_path
from integration.mig_config.node import Node

from simulator.nvml.state import KILL, NvmlError

HOLDER = "nvidia-persistenced.service"
OTHER = "nvidia-dcgm.service"
PID = 777

# A service that runs holds the simulated GPUs.
SYSTEMCTL = """#!/bin/sh
cd {directory}
echo "$*" >> systemctl.log
command=$1
shift
for unit; do
    case $command-$unit in
    is-active-*) if [ -e running/$unit ]; then echo active; else echo inactive; fi ;;
    stop-*) rm running/$unit; sed -i /^holder=/d nvml.state ;;
    start---no-block) ;;
    start-*) touch running/$unit; sed -i 1iholder={pid} nvml.state ;;
    esac
done
if [ $command = is-active ] && [ -e starts-late ]; then
    rm starts-late
    touch running/{holder}
    sed -i 1iholder={pid} nvml.state
fi
"""


@dataclass
class Services:
    """The node's systemd, as far as it is asked."""

    node: Node

    @classmethod
    def make(cls, node: Node, runs: bool) -> Services:
        """One of two services runs, or none."""
        directory = node.directory
        for name in ("bin", "running"):
            (directory / name).mkdir()
        command = directory / "bin/systemctl"
        command.write_text(SYSTEMCTL.format(directory=directory, holder=HOLDER, pid=PID), encoding="utf-8")
        command.chmod(0o755)
        if runs:
            (directory / "running" / HOLDER).touch()
            node.gpus.holders = [PID]
            node.write()
        return cls(node)

    def restore(self, program: Path) -> subprocess.CompletedProcess[str]:
        return restore(program, self.node, f"--host-service={HOLDER}", f"--host-service={OTHER}")

    def changes(self) -> list[str]:
        said = (self.node.directory / "systemctl.log").read_text(encoding="utf-8").splitlines()
        return [line for line in said if not line.startswith("is-active")]

    def run(self) -> bool:
        return (self.node.directory / "running" / HOLDER).exists()


def test_service_that_holds_the_gpus_makes_way_and_runs_again(program: Path, node: Node) -> None:
    services = Services.make(node, runs=True)
    done = services.restore(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert node.places() == LAYOUT
    assert services.changes() == [f"stop {HOLDER}", f"start --no-block {HOLDER}"]
    # What stands needs nobody to make way.
    assert services.restore(program).returncode == 0
    assert len(services.changes()) == 2


def test_service_that_starts_meanwhile_makes_way_too(program: Path, node: Node) -> None:
    services = Services.make(node, runs=False)
    (node.directory / "starts-late").touch()
    done = services.restore(program)
    assert (done.returncode, done.stderr) == (0, "")
    assert node.places() == LAYOUT
    assert services.changes() == [f"stop {HOLDER}", f"start --no-block {HOLDER}"]


def test_service_runs_again_after_a_restore_that_failed(program: Path, node: Node) -> None:
    services = Services.make(node, runs=True)
    node.gpus.faults = {"nvmlDeviceCreateGpuInstanceWithPlacement": NvmlError.INSUFFICIENT_RESOURCES}
    node.write()
    assert services.restore(program).returncode == 1
    assert services.changes()[-1] == f"start --no-block {HOLDER}"
    assert services.run()


def test_service_runs_again_after_a_restore_that_was_killed(program: Path, node: Node) -> None:
    services = Services.make(node, runs=True)
    node.gpus.faults = {"nvmlDeviceSetMigMode": KILL}
    node.write()
    assert services.restore(program).returncode == -signal.SIGKILL
    assert not services.run()
    for said in (f"Started again: {HOLDER}.", ""):
        command = [sys.executable, "-I", "-S", str(program), "start-services", f"--ready-path={node.ready}"]
        environment = {"PATH": search_path(node)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
        assert (done.stdout.strip(), services.run()) == (said, True)

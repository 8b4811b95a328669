# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where an act is played: a simulated cluster of its own, an inventory, a folder for reports, and a terminal to look at."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from simulator.cluster import SimulatedCluster

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = REPOSITORY / "build"
SCENARIOS = REPOSITORY / "tests/simulator/scenarios"
WIDTH = 105
# As it is typed in the checkout.
PLAYBOOK = ".venv/bin/ansible-playbook"
# Tasks that read and compare would fill the screen.
QUIET = {"ANSIBLE_DISPLAY_OK_HOSTS": "false", "ANSIBLE_DISPLAY_SKIPPED_HOSTS": "false"}


class DemoError(Exception):
    """An act did not end as it should."""


@dataclass(frozen=True)
class Stage:
    """One act's surroundings.

    :param inventory: as it is typed in the checkout.
    :param reports: the inventory's kubegpu_work_dir.
    """

    cluster: SimulatedCluster
    inventory: str
    reports: Path

    @classmethod
    @contextlib.contextmanager
    def set_up(cls, scenario: Path, directory: Path, inventory: str, reports: Path, *, keep: bool) -> Iterator[Stage]:
        """Start the cluster. Detached, so that it can outlive the demo; whatever happens, it ends here unless it is to be kept."""
        cluster = SimulatedCluster.start(scenario, directory, detached=True)
        try:
            yield cls(cluster, inventory, reports)
        finally:
            if not keep:
                cluster.stop()

    def play(self, name: str, *arguments: str) -> None:
        """Run one playbook of the collection as an operator would, from the checkout.

        :raises DemoError: it failed.
        """
        self.run([PLAYBOOK, f"kubegpu.sharing.{name}", "-i", self.inventory, *arguments])

    def run(self, command: list[str]) -> None:
        """Show a command and run it.

        :raises DemoError: it failed.
        """
        print(f"$ {shlex.join(command)}", flush=True)
        environment = {**os.environ, "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"), **QUIET}
        result = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False)
        if result.returncode != 0:
            raise DemoError(f"{' '.join(command[:2])} ended with {result.returncode}; its output is above")

    def newest_plan(self) -> dict[str, Any]:
        """The plan that was made last."""
        plans = sorted((self.reports / "runs").glob("*/plan.json"), key=lambda path: path.stat().st_mtime)
        if not plans:
            raise DemoError(f"playbook plan left no plan in {self.reports / 'runs'}")
        return json.loads(plans[-1].read_text(encoding="utf-8"))

    def count_writes(self, act: Callable[[], None]) -> int:
        """How many requests that are not GET something made."""
        before = self.cluster.position()
        act()
        return len(self.cluster.writes(before))


def heading(text: str) -> None:
    """A line that divides the scenes."""
    width = min(shutil.get_terminal_size((WIDTH, 24)).columns, WIDTH)
    print(f"\n=== {text} {'=' * max(4, width - len(text) - 5)}\n", flush=True)


def wait_until(done: Callable[[], bool], seconds: float, otherwise: Callable[[], str]) -> None:
    """Wait for something in the cluster.

    :raises DemoError: it has not come about; ``otherwise`` says what there is instead.
    """
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise DemoError(f"{otherwise()} after {seconds:.0f} s")
        time.sleep(0.3)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that is handed to a transient unit, whose programs a test runs when it wants."""

from __future__ import annotations

import os
from typing import Any

from unit.plugins.fakes.runtime_node import CONFIG, RuntimeNode, change, make_plan

from ansible_collections.kubegpu.sharing.plugins.module_utils._boot.program import main
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import detached
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

from .conftest import Step

STATE = "/var/lib/kubegpu-sharing/runtime"
RUN = "r1"


class Unit:
    """The transient unit: systemd-run notes what it was given, and the test runs it when it wants."""

    def __init__(self, node: RuntimeNode, step: Step) -> None:
        self._node = node
        self._step = step
        self.files = detached.Files.of(Root(str(node.root)), STATE, RUN)
        self._noted = node.programs.parent / "systemd-run"
        program = node.programs / "systemd-run"
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {self._noted}\n', encoding="utf-8")
        program.chmod(0o755)
        (node.programs / "program.pyz").touch()

    def start(self, new: str, **options: Any) -> dict[str, Any]:
        return self.hand_over(make_plan(change(self._node, CONFIG, new)), **options)

    def hand_over(self, plan: dict[str, Any], **options: Any) -> dict[str, Any]:
        program = str(self._node.programs / "program.pyz")
        return self._step(plan, detached=True, program=program, **options).facts

    def run(self, command: str = "apply") -> int:
        return main(["runtime", command, "--request", self.files.request], "0")

    @property
    def arguments(self) -> list[str]:
        return self._noted.read_text(encoding="utf-8").splitlines()

    def set_active(self) -> None:
        self._node.set_unit(detached.unit_of(RUN), "active")

    def result(self) -> dict[str, Any]:
        return self._step(None, step="result").facts


def killed_while_it_waits(unit: Unit) -> None:
    """The first program, killed by signal 9 when the runtime serves and nobody has confirmed it yet."""
    pid = os.fork()
    if pid == 0:
        detached.wait_for_word = lambda files, seconds: os.kill(os.getpid(), 9)  # type: ignore[assignment,return-value]  # it ends
        unit.run()
        os._exit(0)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == 9

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node whose runtime may be changed, and calls of the steps as the module makes them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, NoReturn

import pytest
from unit.plugins.fakes.runtime_node import RuntimeNode, params

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import probing
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.steps import take_step
from hosts.packages import are_required

Step = Callable[..., Outcome]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # Services that flap do so at each look here.
    monkeypatch.setattr(probing, "_STABLE_SECONDS", 0.0)
    monkeypatch.setattr(probing, "_POLL_SECONDS", 0.05)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None) -> RuntimeNode:
    there = RuntimeNode(tmp_path)
    monkeypatch.setenv("PATH", f"{there.programs}{os.pathsep}{os.environ['PATH']}")
    return there


def steps_of(node: RuntimeNode) -> Step:
    """Calls of the module on that node."""

    def take(plan: dict[str, Any] | None, check_mode: bool = False, **options: Any) -> Outcome:
        return take_step(params(node, plan, **options), check_mode)

    return take


@pytest.fixture
def step(node: RuntimeNode) -> Step:
    return steps_of(node)


def cannot_be_tested(why: str) -> NoReturn:
    """On this machine, which is broken where it is one that has to be able to."""
    if are_required():
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
def while_restarting(node: RuntimeNode) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Have something done once the new files are in their places, before the runtime reads them."""
    threads: list[threading.Thread] = []

    def have_done(what: Callable[[], None]) -> None:
        pipe = node.hold_restart()

        def wait() -> None:
            with open(pipe, "w", encoding="utf-8") as held:
                node.release()
                what()
                held.write("go\n")

        threads.append(threading.Thread(target=wait))
        threads[-1].start()

    yield have_done
    for thread in threads:
        thread.join(10)

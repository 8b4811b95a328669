# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Observations of nodes for the tests of the engines' planners, and the node after a plan was carried out."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from pathlib import Path
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import (
    Candidate,
    Observation,
    SeenFile,
    Unit,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan, sha256
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

SAMPLES = Path(__file__).parent / "engines"
BINARY = "/usr/bin/nvidia-container-runtime"
TOOLKIT = "/etc/nvidia-container-runtime/config.toml"


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


def seen(path: str, content: str | None) -> SeenFile:
    if content is None:
        return SeenFile(path)
    return SeenFile(path, "file", None, sha256(content), content, "0644", 0, 0, len(content))


def node(
    engine: str, files: dict[str, str | None], *, units: dict[str, tuple[str, ...]] | None = None, **fields: Any
) -> Observation:
    """A node with an engine that runs. `units`: name to the command line of its ExecStart."""
    role = fields.pop("role", None)
    running = tuple(_unit(name, argv) for name, argv in (units or {f"{engine}.service": ()}).items())
    return Observation(
        engine=engine,
        candidates=(Candidate(engine, units=running, active=True, role=role),),
        files={path: seen(path, content) for path, content in files.items()},
        binaries={BINARY: {"exists": True, "executable": True}},
        **fields,
    )


def _unit(name: str, argv: tuple[str, ...]) -> Unit:
    return Unit(name, argv=argv)


def after(observation: Observation, plan: RuntimePlan) -> Observation:
    """The node once the plan was carried out; what the engine makes of it at its start is not played."""
    assert not plan.problems, plan.problems
    files = dict(observation.files)
    for change in plan.files:
        assert sha256((files.get(change.path) or SeenFile(change.path)).content) == change.before
        files[change.path] = seen(change.path, change.content)
    there = [path for path, one in files.items() if one.exists]
    listings = {
        directory: sorted(posixpath.basename(path) for path in there if posixpath.dirname(path) == directory)
        for directory in observation.listings
    }
    return replace(observation, files=files, record=plan.record, listings=listings)


def with_file(observation: Observation, path: str, content: str | None) -> Observation:
    """The node once somebody else wrote a file."""
    return replace(observation, files={**observation.files, path: seen(path, content)})


def texts(observation: Observation) -> dict[str, str]:
    """Every file that is there."""
    return {path: one.content for path, one in observation.files.items() if one.content is not None}


def there_and_back(observation: Observation, wish: Wish) -> tuple[Observation, RuntimePlan]:
    """The node as the wish makes it, held to the laws: twice is once, and absent gives back every byte."""
    plan = plan_runtime(wish, observation)
    configured = after(observation, plan)
    again = plan_runtime(wish, configured)
    assert not again.problems
    assert not again.changed, again.actions
    assert again.record == plan.record
    gone = plan_runtime(replace(wish, state="absent"), configured)
    back = after(configured, gone)
    assert texts(back) == texts(observation)
    assert gone.record is None
    assert not plan_runtime(replace(wish, state="absent"), back).changed
    return configured, plan

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in the making: what an engine's planner says and edits, put together in one way. Pure. PRIVATE to the collection."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import Edited, record_of, recorded_files
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation, SeenFile, Unit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Guard, Ours, Probe, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.record import FileRecord
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

#: Where the GPU Operator's toolkit container puts its executables on a node.
OPERATOR = "/usr/local/nvidia/toolkit/"
#: What every file begins with that is ours as a whole.
HEADER = (
    "# Made by the Ansible collection kubegpu.sharing (role nvidia_container_runtime).\n"
    "# What is changed here is lost at its next run; kubegpu_runtime_state: absent takes the file away."
)


@dataclass
class Step:
    """A file that the plan decides about.

    :param done: what is done to it, if it changes: a sentence without a full stop.
    :param whole: all of it is ours.
    :param restart: the engine reads it at its start only.
    """

    edited: Edited
    done: str
    whole: bool = False
    restart: bool = True


@dataclass
class Draft:
    """Collects; ``plan`` gives the plan. Problems are collected too, so that all of them are told at once."""

    engine: str
    wish: Wish
    observation: Observation
    steps: List[Step] = field(default_factory=list)
    notes: List[str] = field(default_factory=list)
    warnings: List[str] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)
    kept: Dict[str, Any] = field(default_factory=dict)
    #: Why the engine has to start anew though none of its files changes.
    restart_for: str = ""
    recorded: Mapping[str, FileRecord] = field(init=False)

    def __post_init__(self) -> None:
        self.recorded = recorded_files(self.observation, self.problems)

    def recorded_of(self, seen: SeenFile) -> Optional[FileRecord]:
        """What a former run noted of this file."""
        return self.recorded.get(seen.target)

    @property
    def leaving(self) -> Optional[str]:
        """Name of the runtime that goes: when absent that of the record, whatever it is called now, and else one that had another name."""
        former = ((self.observation.record or {}).get("wish") or {}).get("name")
        if not self.wish.present:
            return str(former or self.wish.name)
        return str(former) if former and former != self.wish.name else None

    def add(self, step: Step) -> None:
        """Take a file into the plan; what somebody changed of ours since is told."""
        self.steps.append(step)
        self.warnings.extend(step.edited.told)

    def flag(self, name: str, short: bool = False) -> Optional[str]:
        """The value that a unit of the engine gives on its command line (``--name=value`` or ``--name value``).

        "" for a flag without a value, None without the flag.
        """
        return flag_value(running_units(self.observation), f"-{name}" if short else f"--{name}")

    @property
    def restarts(self) -> bool:
        """Whether the engine has to start anew for what was collected so far."""
        return bool(self.restart_for) or any(step.restart for step in self.steps if step.edited.changed)

    def plan(self, probe: Probe, guards: Sequence[Guard] = (), ours: Optional[Ours] = None) -> RuntimePlan:
        """The plan of all that was collected."""
        changed = [step for step in self.steps if step.edited.changed]
        restart = self.restarts
        pending = self.observation.pending
        owed = pending is not None and pending.get("owed", True)
        units = self.observation.units()
        if restart and not units:
            self.problems.append(
                f"Restarting {self.engine}: no unit of it is loaded on this node, so that nothing would read the new files. "
                f"Install {self.engine} as a service, or set {self.wish.called('engine')} to the one that runs here."
            )
        if self.steps and not self.problems:
            self.problems += _left_elsewhere(self)
        actions = [f"{step.done} ({step.edited.seen.target})" for step in changed]
        if restart:
            actions.append(f"restart {', '.join(units)}" + (f": {self.restart_for}" if self.restart_for else ""))
        return RuntimePlan(
            engine=self.engine,
            files=tuple(step.edited.change() for step in changed),
            restart=restart,
            actions=tuple(actions),
            notes=tuple(self.notes),
            warnings=tuple(self.warnings),
            problems=tuple(self.problems),
            ours=ours or Ours(),
            units=tuple(units) if restart else (),
            probe=probe,
            guards=tuple(guards) if restart or owed else (),
            record=record_of(self.engine, self.wish, [step.edited for step in self.steps]),
            diff=tuple(step.edited.diff() for step in changed),
            version=self.observation.version,
            kept=self.kept,
        )


def _left_elsewhere(draft: Draft) -> List[str]:
    """Files with ours in them that the engine's settings lead to no more: no plan keeps them right or takes ours out."""
    observation, wish, found = draft.observation, draft.wish, []
    decided, seen = {step.edited.seen.target for step in draft.steps}, observation.by_target()
    for path, one in draft.recorded.items():
        there = seen.get(path)
        gone = there is not None and (not there.exists or there.sha256 == one.original_sha256)
        # What was removed for ours has been written anew by its owner, if it is there.
        if path in decided or gone or one.result_sha256 is None:
            continue
        naming = [other.path for other in seen.values() if path in (other.content or "") and other.target != path]
        back = "remove it" if one.original is None else "make it what it was, which that record has as its 'original'"
        named = f", take its name out of {' and '.join(naming)}" if naming and one.original is None else ""
        found.append(
            f"Looking for what was put on this node earlier: {path} has some of it, by the record {wish.state_dir}/record.json, and belongs to "
            f"other settings of {draft.engine} than those of now (its config is {observation.config_path}). It would neither be kept up to "
            f"date nor taken out. Start {draft.engine} with its former settings, run with {wish.called('state', 'absent')}, and change them "
            f"after that. Or, by hand: {back}{named}, restart {draft.engine}, and run again."
        )
    return found


def owner_of(seen: SeenFile) -> str:
    """Who wrote a file about NVIDIA's runtime that is not ours, as far as it can be told."""
    if OPERATOR in (seen.content or ""):
        return "NVIDIA's GPU Operator"
    if posixpath.basename(seen.path).startswith("99-nvidia"):
        return "NVIDIA's container toolkit (nvidia-ctk)"
    return "somebody else"


def default_ends(wish: Wish) -> str:
    """What to say where a file goes that makes the runtime the default one, and ours does not."""
    return (
        f"{wish.name} is the default runtime by the file that is taken over, and will not be any more: pods that name no RuntimeClass get no "
        f"GPU then. Set {wish.called('default', 'true')} where it shall stay so."
    )


def starts_nvidia(wish: Wish, runtime: str, path: str, binary: str) -> str:
    """What to say of a runtime of the engine's own whose executable was replaced by NVIDIA's, and which is not put right from here."""
    return (
        f"The runtime {runtime} in {path} starts {binary}: every container of this node runs through it, not only those of {wish.name}. "
        "Give it its own executable back there."
    )


def still_default(name: str, path: str) -> str:
    """Why a runtime cannot be taken out: an engine whose default one is missing does not start, or starts no pod."""
    return (
        f"Taking {name} out: {path} makes it the default runtime, which was not put in from here and would stay, without a runtime "
        "of that name. Set another default there first."
    )


def running_units(observation: Observation) -> List[Unit]:
    """The units that a restart is for."""
    names = observation.units()
    return [unit for unit in observation.candidate.units if unit.name in names]


def version_of(text: Optional[str]) -> Tuple[int, ...]:
    """The numbers that a version begins with: (1, 30, 4) of "v1.30.4+k3s1"; () if it is not known."""
    found = re.match(r"\D{0,2}(\d+(?:\.\d+)*)", text or "")
    return tuple(int(part) for part in found.group(1).split(".")) if found else ()


def flag_value(units: Sequence[Unit], flag: str) -> Optional[str]:
    """What stands behind a flag on the command line of a unit: the last one counts; None if no unit has it."""
    found: Optional[str] = None
    for unit in units:
        argv = list(unit.argv)
        for at, word in enumerate(argv):
            if word == flag:
                following = argv[at + 1] if at + 1 < len(argv) else ""
                found = "" if following.startswith("-") else following
            elif word.startswith(f"{flag}="):
                found = word.partition("=")[2]
    return found

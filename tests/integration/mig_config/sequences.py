# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes of layouts whose every call can be made to fail, on a node beside whose GPU stands another that nobody names."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator

from integration.mig_config.node import Node, Places

SEVEN: Places = tuple(("1g.12gb", start) for start in range(7))
NEIGHBOUR: Places = (("4g.48gb", 0), ("1g.12gb", 6))
WRITES = ("nvmlDeviceSetMigMode", "Create", "Destroy")
# Asked of the library, not of a GPU.
_OF_THE_NODE = ("nvmlInitWithFlags", "nvmlShutdown", "nvmlDeviceGetCount", "nvmlDeviceGetHandleByIndex")


@dataclass(frozen=True)
class Change:
    """:param options: what GPU 0 is asked to become. :param kept: starts of instances that stay whatever happens.
    :param pod: start of the instance that the kubelet gave to a pod, which runs nothing on it.
    """

    name: str
    before: Places
    after: Places
    options: dict[str, Any] = field(hash=False)
    kept: tuple[int, ...] = ()
    bare: Places = ()
    pod: int | None = None

    def stage(self, directory: Path, *cards: str) -> Stage:
        """A node where the change is due."""
        node = Node.make(directory, *cards)
        if self.before:
            # by ourselves, so that a layout to restore at boot and the marker are there
            listed = [name for name, _start in self.before]
            assert node.configure(mig_devices={name: listed.count(name) for name in listed}, gpus=0)["changed"]
        if self.bare:
            node.lay_out(self.bare, slices=0)
        if len(cards) > 1:
            node.lay_out(NEIGHBOUR, 1)
        if self.pod is not None:
            starts = [start for _name, start in node.places()]
            node.allocate(node.devices()[sorted(node.devices())[starts.index(self.pod)]])
        return Stage(node, self)


REPARTITION = Change(
    "repartition", SEVEN, (*SEVEN[:4], ("3g.48gb", 4)), {"mig_devices": {"3g.48gb": 1, "1g.12gb": 4}}, (0, 1, 2, 3)
)
MODE_ON = Change("mode-on", (), (("1g.12gb", 0), ("3g.48gb", 4)), {"mig_devices": {"3g.48gb": 1, "1g.12gb": 1}})
MODE_OFF = Change("mode-off", (("1g.12gb", 0), ("3g.48gb", 4)), (), {"state": "absent"}, bare=(("1g.12gb", 1),))
# If nobody had the one at 5, it would go: the new one would stand there.
BESIDE_POD = Change(
    "beside-pod", SEVEN, (("3g.48gb", 0), SEVEN[5]), {"mig_devices": {"3g.48gb": 1, "1g.12gb": 1}}, (5,), pod=5
)
CHANGES = (REPARTITION, MODE_ON, MODE_OFF)


@dataclass(frozen=True)
class Call:
    """One call of a sequence: the nth of its function, since NVML was initialised."""

    function: str
    nth: int
    writes: bool

    @property
    def of_the_node(self) -> bool:
        return self.function.startswith(_OF_THE_NODE)

    @property
    def fault(self) -> str:
        return f"{self.function}@{self.nth}"


class Stage:
    """A node that can be put back to where the change is due."""

    def __init__(self, node: Node, change: Change) -> None:
        self.node, self.change = node, change
        self._kept = [node.directory / "mig.state", node.state_dir, node.ready]
        self._copies = node.directory / "copies"
        self._copies.mkdir()
        for path in self._kept:
            _copy(path, self._copies / path.name)
        self.places, self.mode, self.devices = node.places(), node.mode(), node.devices()
        self.neighbour = self._look_beside()

    def reset(self, faults: dict[str, Any] | None = None, of_the_node: dict[str, Any] | None = None) -> None:
        """As in the beginning, and with these faults of GPU 0 and of the library."""
        for path in self._kept:
            _copy(self._copies / path.name, path)
        self.node.gpus.gpus[0].faults = faults or {}
        self.node.gpus.faults = of_the_node or {}
        self.node.write()

    def break_call(self, call: Call, error: Any) -> None:
        broken = {call.fault: error}
        self.reset(*((None, broken) if call.of_the_node else (broken, None)))

    def run(self) -> dict[str, Any]:
        """The change, in a process of its own."""
        return self.node.configure(gpus=0, **self.change.options)

    def run_here(self) -> dict[str, Any]:
        """The change, in this process."""
        return self.node.configure_here(gpus=0, **self.change.options)

    def check_others(self) -> None:
        """GPU 1 is what it was, and so is every MIG device that the change keeps."""
        assert self._look_beside() == self.neighbour, "the GPU that nobody named was touched"
        now = self.node.devices()
        ids = {key for key, start in self._starts().items() if start in self.change.kept}
        assert {key: uuid for key, uuid in now.items() if key in ids} == {
            key: uuid for key, uuid in self.devices.items() if key in ids
        }, "an instance that stays was made anew"

    def _starts(self) -> dict[tuple[int, int], int]:
        return {key: start for key, (_name, start) in zip(sorted(self.devices), sorted(self.places, key=_start))}

    def _look_beside(self) -> Any:
        if len(self.node.gpus.gpus) < 2:
            return None
        return self.node.places(1), self.node.mode(1), self.node.devices(1)

    def shown(self) -> str:
        """GPU 0 as it really stands, in the words of messages."""
        enabled, _pending = self.node.mode()
        if not enabled:
            return "MIG disabled"
        listed = (
            f"{name.rstrip('-')} at {start}{' without compute instance' if name.endswith('-') else ''}"
            for name, start in self.node.places()
        )
        return f"MIG enabled with {', '.join(listed) or 'no instance'}"


def record_calls(stage: Stage) -> tuple[Call, ...]:
    """Every call of the change, in order."""
    trace = stage.node.directory / "nvml.trace"
    trace.touch()
    result = stage.run()
    assert not result.get("failed"), result.get("msg")
    assert stage.node.places() == stage.change.after
    lines = trace.read_text(encoding="utf-8").splitlines()
    trace.unlink()
    return tuple(_number(lines))


def _number(lines: list[str]) -> Iterator[Call]:
    counts: Counter[str] = Counter()
    for line in lines:
        name = line.split()[0].removesuffix("_v2").removesuffix("_v3")
        counts[name] += 1
        yield Call(name, counts[name], any(word in name for word in WRITES))


def _start(place: tuple[str, int]) -> int:
    return place[1]


def _copy(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    elif target.exists():
        target.unlink()
    if source.is_dir():
        shutil.copytree(source, target)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)

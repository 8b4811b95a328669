# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's simulated NVML, and the genuine nvidia-ml-py on it, as often as a test likes in one process."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Callable, Iterator, Sequence

import pytest

from simulator.nvml.state import NodeGpus, install


@dataclass
class Node:
    """A node's directory, its state, and the library loaded from there.

    `nvml` is an nvidia-ml-py of its own: the package keeps one library and its function pointers per module.
    """

    directory: Path
    gpus: NodeGpus
    nvml: Any = field(init=False)
    raw: ctypes.CDLL = field(init=False)

    def __post_init__(self) -> None:
        library = install(self.directory)
        self.gpus.write(self.directory)
        self.raw = ctypes.CDLL(str(library))
        self.nvml = _nvidia_ml_py()
        self.nvml.nvmlLib = self.raw

    def write(self) -> None:
        self.gpus.write(self.directory)

    def handle(self, index: int = 0) -> Any:
        return self.nvml.nvmlDeviceGetHandleByIndex(index)


def _nvidia_ml_py() -> ModuleType:
    spec = importlib.util.find_spec("pynvml")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # It makes its error classes by its own entry there.
    shared = sys.modules.get("pynvml")
    sys.modules["pynvml"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["pynvml"]
        if shared is not None:
            sys.modules["pynvml"] = shared
    return module


MakeNode = Callable[..., Node]


@pytest.fixture
def make_node(tmp_path: Path) -> Iterator[MakeNode]:
    """Makes nodes from card keys; `initialize=False` leaves nvmlInit to the test."""
    nodes: list[Node] = []

    def make(cards: Sequence[str] = ("T4",), *, initialize: bool = True, **options: Any) -> Node:
        name = f"node-{len(nodes)}"
        node = Node(tmp_path / name, NodeGpus.of(name, cards, **options))
        nodes.append(node)
        if initialize:
            node.nvml.nvmlInit()
        return node

    yield make
    for node in nodes:
        while node.raw.nvmlShutdown() == 0:
            pass


@pytest.fixture
def node(make_node: MakeNode) -> Node:
    """A node with one T4, initialised."""
    return make_node()

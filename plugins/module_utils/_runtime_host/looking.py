# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a node concern its container runtime, by the runtime that it has. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
from typing import Any, Dict, List, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import imports
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.engines import Engine, flag_value
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observed_files import (
    list_directory,
    observe_file,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

TOOLKIT_CONFIG = "/etc/nvidia-container-runtime/config.toml"
_RANCHER_NAMES = ("config.toml", "config.toml.tmpl", "config-v3.toml.tmpl")
_RANCHER_DIRECTORIES = ("config.toml.d", "config-v3.toml.d")
_DATA_DIR = re.compile(r"^data-dir:\s*[\"']?([^\s\"']+)", re.MULTILINE)
# Imports that lead through a link to where they begin would never end; no node has as many.
_MOST_FILES = 2000


class Looking:
    """Collects files and listings of one engine.

    :param argv: what its service starts.
    :param recorded: files that earlier runs have put something into, wherever the engine's settings lead now.

    ``problem`` says why not all of them were read, None if they were.
    """

    def __init__(self, root: Root, engine: Engine, argv: Sequence[str], recorded: Sequence[str] = ()) -> None:
        self.files: Dict[str, Dict[str, Any]] = {}
        self.listings: Dict[str, Optional[List[str]]] = {}
        self.problem: Optional[str] = None
        self._root = root
        self._engine = engine
        self._argv = argv
        self._recorded = recorded
        self.config_path = flag_value(argv, engine.config_flags) or engine.config_path

    def look(self) -> None:
        """Read all that concerns the engine."""
        self._add(TOOLKIT_CONFIG)
        for path in self._engine.files:
            self._add(path)
        for directory in self._engine.directories:
            self._add_directory(directory)
        if self._engine.name in ("k3s", "rke2"):
            self._look_at_rancher()
        self._add(self.config_path)
        if self._engine.name == "containerd":
            # Ours is there, whether or not the main file imports it still.
            self._add_directory(os.path.join(os.path.dirname(self.config_path), "conf.d"))
        if self._engine.name in ("containerd", "microk8s"):
            self._follow_imports()
        if self._engine.name == "crio":
            self._look_at_crio()
        for path in self._recorded:
            self._add(path)

    def _look_at_rancher(self) -> None:
        """Their data may lie elsewhere, by one of the files that were just read, or by a flag. What is said last counts."""
        read = [one["content"] or "" for path, one in self.files.items() if path.lower().endswith((".yaml", ".yml"))]
        said = [found.group(1) for text in read for found in _DATA_DIR.finditer(text)]
        said += [flag_value(self._argv, ("--data-dir", "-d")) or ""]
        data = next((one for one in reversed(said) if one), f"/var/lib/rancher/{self._engine.name}")
        base = os.path.join(data, "agent/etc/containerd")
        self.config_path = os.path.join(base, "config.toml")
        for name in _RANCHER_NAMES:
            self._add(os.path.join(base, name))
        for name in _RANCHER_DIRECTORIES:
            self._add_directory(os.path.join(base, name))

    def _look_at_crio(self) -> None:
        given = flag_value(self._argv, ("--config-dir", "-d"))
        if given:
            self._add_directory(given)

    def _follow_imports(self) -> None:
        waiting = [self.config_path]
        followed = set()
        while waiting:
            path = waiting.pop(0)
            if path in followed:
                continue
            if len(self.files) >= _MOST_FILES:
                self.problem = (
                    f"Looking at what {self.config_path} imports came to {_MOST_FILES} files and no end, and the rest was not read, so what counts "
                    "cannot be told. Take out imports that lead in a circle, as through a link, and files that nobody needs."
                )
                return
            followed.add(path)
            self._add(path)
            patterns = imports.find_imports(self.files[path]["content"] or "")
            for directory in {
                os.path.normpath(os.path.join(os.path.dirname(path), os.path.dirname(one))) for one in patterns
            }:
                self.listings.setdefault(directory, list_directory(self._root, directory))
            waiting += imports.expand(self._root, path, patterns)

    def _add_directory(self, directory: str) -> None:
        self.listings[directory] = list_directory(self._root, directory)
        for name in self.listings[directory] or ():
            self._add(os.path.join(directory, name))

    def _add(self, path: str) -> None:
        if path not in self.files:
            self.files[path] = observe_file(self._root, path)

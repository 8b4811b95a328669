# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of replaced files, as many as are wanted. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import Dict, Iterable, List, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import new_file, sync_directory
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.documents import (
    make_directory,
    write_document,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

_NUMBERED = re.compile(r"(\d+)-.+")


class Backups:
    """Those of a node: a directory for each run, by number, since clocks jump."""

    def __init__(self, root: Root, state_dir: str) -> None:
        self._root = root
        self._directory = os.path.join(state_dir, "backups")

    def make(self, run: str, paths: Sequence[str]) -> Dict[str, str]:
        """Copy files that are there.

        :returns: the copy of each, as paths of the node.
        :raises KubeGpuError: they cannot be copied, so nothing may be changed.
        """
        if not paths:
            return {}
        numbers = [int(name.partition("-")[0]) for name in self._names()]
        directory = os.path.join(self._directory, f"{max(numbers, default=0) + 1:05d}-{run}")
        copies = {
            path: os.path.join(directory, f"{count}-{os.path.basename(path)}") for count, path in enumerate(paths, 1)
        }
        try:
            make_directory(self._root.real(directory))
            for path, copy in copies.items():
                self._copy(path, copy)
            write_document(self._root.real(os.path.join(directory, "files.json")), {"run": run, "files": copies})
            sync_directory(self._root.real(self._directory))
        except (OSError, KubeGpuError) as error:
            shutil.rmtree(self._root.real(directory), ignore_errors=True)
            why = f"{error.strerror}." if isinstance(error, OSError) else error.msg
            raise KubeGpuError(
                f"Copying {', '.join(paths)} to {directory} failed: {why} Nothing was changed, since there would be no way back. "
                "See that there is space left and that it can be written to."
            ) from error
        return copies

    def prune(self, keep: int, needed: Iterable[str] = ()) -> None:
        """Remove all but the last ones. What cannot be removed does no harm.

        :param needed: copies that have to stay, whatever their age, as paths of the node.
        """
        spared = {os.path.basename(os.path.dirname(path)) for path in needed}
        for name in self._names()[: -max(1, keep)]:
            if name not in spared:
                shutil.rmtree(os.path.join(self._root.real(self._directory), name), ignore_errors=True)

    def _copy(self, path: str, copy: str) -> None:
        with open(self._root.real(path), "rb") as source, new_file(self._root.real(copy), 0o600) as file:
            shutil.copyfileobj(source, file)

    def _names(self) -> List[str]:
        """The oldest first."""
        names: List[str] = []
        with contextlib.suppress(OSError):
            names = [name for name in os.listdir(self._root.real(self._directory)) if _NUMBERED.fullmatch(name)]
        return sorted(names, key=lambda name: int(name.partition("-")[0]))

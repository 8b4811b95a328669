# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that were made for settings: they go with the last file in them. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import List, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import remove_durably
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.documents import (
    read_document,
    write_document,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

NAME = "directories.json"


@dataclass(frozen=True)
class MadeDirectories:
    """:param path: of the list of them, here."""

    path: str
    root: Root

    @classmethod
    def of(cls, root: Root, state_dir: str) -> MadeDirectories:
        """Of a node."""
        return cls(os.path.join(root.real(state_dir), NAME), root)

    def settle(self, made: Sequence[str]) -> None:
        """Remember those that were made now, and remove what is empty of all that ever were.

        What hinders it does no harm: a directory that stays changes nothing for a runtime.
        """
        known = self._read()
        # The innermost first.
        left = [path for path in sorted({*known, *made}, key=len, reverse=True) if not self._remove(path)]
        if left == known:
            return
        with contextlib.suppress(KubeGpuError, OSError):
            if left:
                write_document(self.path, {"directories": left})
            else:
                remove_durably(self.path)

    def _read(self) -> List[str]:
        found = (read_document(self.path)[0] or {}).get("directories")
        return [path for path in found if isinstance(path, str)] if isinstance(found, list) else []

    def _remove(self, path: str) -> bool:
        """Whether it is gone."""
        real = self.root.real(path)
        with contextlib.suppress(OSError):
            os.rmdir(real)
        return not os.path.lexists(real)

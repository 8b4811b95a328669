# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record of what is ours on a node, as a file. What it means is for the control node to say. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import remove_durably, sync_directory
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.documents import (
    SCHEMA_VERSION,
    make_directory,
    read_document,
    write_document,
    write_durably,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observing import RECORD
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.swap import KEPT


@dataclass(frozen=True)
class RecordFile:
    """:param path: where it is, here."""

    path: str

    @classmethod
    def of(cls, root: Root, state_dir: str) -> RecordFile:
        """Of a node."""
        return cls(os.path.join(root.real(state_dir), RECORD))

    def text(self) -> Optional[str]:
        """As it stands, None if it is not there.

        :raises KubeGpuError: it cannot be read: taken for one that is not there, it would be removed on the way back.
        """
        try:
            return _text(self.path)
        except OSError as error:
            raise KubeGpuError(
                f"Reading {self.path} failed: {error.strerror}. Run with become; if the disk has errors, the kernel log tells of them."
            ) from error

    def write(self, record: Optional[Mapping[str, Any]]) -> None:
        """Make it the new one, or have none.

        :raises KubeGpuError: it cannot be written.
        """
        if record is None:
            self._remove()
        elif read_document(self.path)[0] != {**record, "schema_version": SCHEMA_VERSION}:
            write_document(self.path, record)

    def keep(self, text: Optional[str]) -> None:
        """Have it under a second name before it is replaced, by which it comes back also where the disk has no space left by then.

        :param text: what it is to be on the way back: after a process that was killed, it is another one by now.
        """
        if text is None or _text(self._kept) == text or self.text() != text:
            return
        # Without it there is the text, which takes space.
        with contextlib.suppress(OSError):
            make_directory(os.path.dirname(self._kept))
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._kept)
            os.link(self.path, self._kept)

    def put_back(self, text: Optional[str]) -> Optional[str]:
        """Make it what it was; what hinders that."""
        try:
            if text is None:
                self._remove()
            elif self.text() != text:
                self._bring_back(text)
        except (KubeGpuError, OSError) as error:
            return f"The record {self.path} could not be put back: {error}"
        return None

    @property
    def _kept(self) -> str:
        """Among the second names of settings, which all go when the change is over."""
        return os.path.join(os.path.dirname(self.path), KEPT, RECORD)

    def _bring_back(self, text: str) -> None:
        if _text(self._kept) == text:
            with contextlib.suppress(OSError):
                os.replace(self._kept, self.path)
                sync_directory(os.path.dirname(self.path))
                return
        write_durably(self.path, text.encode("utf-8", "surrogateescape"))

    def _remove(self) -> None:
        try:
            remove_durably(self.path)
        except OSError as error:
            raise KubeGpuError(f"Removing {self.path} failed: {error.strerror}. Run with become.") from error


def _text(path: str) -> Optional[str]:
    """None if there is no such file."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None

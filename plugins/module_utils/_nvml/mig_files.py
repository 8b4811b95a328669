# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host keeps about its MIG: the layout to restore at boot, the change under way, the marker that it stands. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import remove_durably, replace_durably
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import SCHEMA_VERSION, layout_hash

# Nothing in them is secret, and a device plugin looks at the marker.
_MODE = 0o644
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


@dataclass(frozen=True)
class MigFiles:
    """:param state_dir: survives a reboot. :param ready_path: does not: what is there was true since the host started."""

    state_dir: str
    ready_path: str

    @property
    def layout_path(self) -> str:
        """The layout to restore at boot."""
        return os.path.join(self.state_dir, "layout.json")

    @property
    def change_path(self) -> str:
        """The change that is under way, or was when its process ended."""
        return os.path.join(self.state_dir, "change.json")

    def layout(self) -> Optional[Dict[str, Any]]:
        """The recorded layout; None if there is none, or none that can be read: it is only compared with what stands."""
        return _read(self.layout_path)

    def change(self) -> Optional[Dict[str, Any]]:
        """The change that was not finished. One that cannot be read is one all the same."""
        if not os.path.exists(self.change_path):
            return None
        return _read(self.change_path) or {}

    def begin(self, run: str, before: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """Note the change, for good, and take the marker away: from now on the layout may be neither the one nor the other."""
        document = {
            "schema_version": SCHEMA_VERSION,
            "run": run,
            "pid": os.getpid(),
            "since": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
            "boot_id": boot_id(),
            "before": before,
            "wanted": wanted,
        }
        self._write(self.change_path, document)
        self.drop_ready()

    def wait_for_reset(self, uuids: List[str]) -> None:
        """Note that a reset was asked for: should the mode still wait in the next run, the reset did not help."""
        self._write(self.change_path, {**(self.change() or {}), "waiting": uuids})

    def finish(self) -> None:
        """The change is over."""
        self._remove(self.change_path)

    def keep_layout(self, layout: Optional[Mapping[str, Any]]) -> None:
        """What shall be restored at boot; nothing where None."""
        if layout is None:
            self._remove(self.layout_path)
        elif layout != self.layout():
            self._write(self.layout_path, layout)

    def is_ready(self, layout: Optional[Mapping[str, Any]]) -> bool:
        """Whether the marker says of this layout that it stands."""
        if layout is None:
            return not os.path.lexists(self.ready_path)
        return self.ready() == layout_hash(layout)

    def ready(self) -> Optional[str]:
        """What the marker says, None if there is none."""
        try:
            with open(self.ready_path, encoding="utf-8") as file:
                return file.read().strip()
        except OSError:
            return None

    def mark_ready(self, layout: Optional[Mapping[str, Any]]) -> None:
        """Say that this layout stands; nothing where None."""
        if layout is None:
            self.drop_ready()
        else:
            self.put_ready(layout_hash(layout))

    def put_ready(self, said: str) -> None:
        """Say what the marker said before."""
        if self.ready() != said:
            _write(self.ready_path, f"{said}\n")

    def drop_ready(self) -> None:
        """Take the marker away."""
        self._remove(self.ready_path)

    def _write(self, path: str, document: Mapping[str, Any]) -> None:
        _write(path, json.dumps(document, indent=1, sort_keys=True) + "\n")

    def _remove(self, path: str) -> None:
        try:
            _clear_directory(path)
            remove_durably(path)
        except OSError as error:
            raise KubeGpuError(f"Removing {path} failed: {error.strerror}.") from error


def boot_id() -> Optional[str]:
    """What tells this start of the host from others; None if the kernel does not say."""
    try:
        with open(_BOOT_ID, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def _read(path: str) -> Optional[Dict[str, Any]]:
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _write(path: str, text: str) -> None:
    """In one piece, and on the disk when this returns: a power cut leaves the old file or the new one."""
    try:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        _clear_directory(path)
        replace_durably(path, text.encode(), _MODE)
    except OSError as error:
        raise KubeGpuError(
            f"Writing {path} failed: {error.strerror}. Run with become, or set state_dir and ready_path to places that can be "
            "written to."
        ) from error


def _clear_directory(path: str) -> None:
    """Remove an empty directory: container runtimes make one in place of a file that is to be mounted and is missing.

    :raises OSError: there is something in it, so that somebody else has made it.
    """
    if os.path.isdir(path) and not os.path.islink(path):
        os.rmdir(path)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The change that is under way, or was when its process ended. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import remove_durably
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.documents import (
    read_document,
    write_document,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observed_files import digest_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

#: Nothing has been replaced yet.
PREPARING = "preparing"
#: Files are being replaced.
WRITING = "writing"
#: All are replaced, and the runtime has to read them.
RESTARTING = "restarting"
#: It has, and somebody has to confirm that the node can still be reached.
CONFIRMING = "confirming"
#: The old files are being put back, and the runtime has to read those.
ROLLING_BACK = "rolling_back"
NAME = "pending.json"


@dataclass(frozen=True)
class Pending:
    """The marker. It is there from before the first write until the runtime answers.

    :param path: where it is kept, here.
    """

    path: str

    @classmethod
    def of(cls, root: Root, state_dir: str) -> Pending:
        """Of a node."""
        return cls(os.path.join(root.real(state_dir), NAME))

    def read(self) -> Optional[Dict[str, Any]]:
        """The marker; one that cannot be read says no more than that there was a change."""
        document, problem = read_document(self.path)
        if problem is not None:
            return {"run": None, "since": None, "phase": WRITING, "files": {}, "units": [], "problem": problem}
        return document

    def begin(self, run: str, facts: Mapping[str, Any]) -> Dict[str, Any]:
        """Note the change, for good.

        :returns: the marker, for :meth:`advance`.
        :raises KubeGpuError: it cannot be noted, so nothing may be changed.
        """
        document = {
            "run": run,
            "pid": os.getpid(),
            "since": f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}",
            "phase": PREPARING,
            **facts,
        }
        write_document(self.path, document)
        return document

    def advance(self, document: Dict[str, Any], phase: str) -> None:
        """Say how far it has come."""
        document["phase"] = phase
        write_document(self.path, document)

    def finish(self) -> None:
        """The runtime answers: nothing is owed any more."""
        try:
            remove_durably(self.path)
        except OSError as error:
            raise KubeGpuError(
                f"Removing {self.path} failed: {error.strerror}. The container runtime is as it should be; the next run will start it "
                "anew all the same. See that the directory can be written to, then run again."
            ) from error


def is_owed(root: Root, marker: Mapping[str, Any]) -> bool:
    """Whether the runtime has to be restarted: it has not, where nothing was replaced, by the run itself or by one that it took over."""
    if marker.get("phase") != PREPARING or marker.get("restart_owed"):
        return True
    for path, noted in (marker.get("files") or {}).items():
        try:
            if digest_of(root.real(path)) != noted.get("before"):
                return True
        except OSError:
            return True
    return False


def written(noted: Mapping[str, Any]) -> List[Optional[str]]:
    """Checksums of what may be in a file's place by this run, and by those before it that were killed."""
    return [*(noted.get("earlier") or ()), noted.get("after")]


def show(root: Root, marker: Optional[Mapping[str, Any]]) -> Optional[Dict[str, Any]]:
    """What an observation tells of it."""
    if marker is None:
        return None
    files = {
        path: {"before": noted.get("before"), "after": _standing(root, path, noted)}
        for path, noted in (marker.get("files") or {}).items()
    }
    shown = {key: marker.get(key) for key in ("run", "since", "phase", "problem", "failed")}
    return {**shown, "owed": is_owed(root, marker), "files": files, "record": _parsed(marker.get("record"))}


def _standing(root: Root, path: str, noted: Mapping[str, Any]) -> Optional[str]:
    """Of what runs have put there, what is there: the last one may not have come so far."""
    with contextlib.suppress(OSError):
        found = digest_of(root.real(path))
        if found in written(noted):
            return found
    after: Optional[str] = noted.get("after")
    return after


def _parsed(record: Any) -> Optional[Dict[str, Any]]:
    """The record from before the change: of files that were not reached, it alone tells what is ours in them."""
    try:
        found = json.loads(record) if isinstance(record, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None

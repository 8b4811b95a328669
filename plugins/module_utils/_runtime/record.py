# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was put into a node's files, so that it can be taken out again. Pure. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional

SCHEMA_VERSION = 1
#: In the place of the original's checksum: there is no text that could be put back as a whole.
UNKNOWN = ""


@dataclass(frozen=True)
class FileRecord:
    """What was done to one file.

    :param original: its text before anything of ours was in it; None: there was no file.
    :param original_sha256: of that text; None without a file, ``UNKNOWN`` where that text is not known.
    :param result_sha256: of the text with ours in it; None: the file was removed (one that was taken over).
    :param ours: how to take ours out if somebody else edited the file since. Only the engine's editor reads it.
    """

    original: Optional[str]
    original_sha256: Optional[str]
    result_sha256: Optional[str]
    ours: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> Dict[str, Any]:
        """Plain JSON."""
        return {
            "original": self.original,
            "original_sha256": self.original_sha256,
            "result_sha256": self.result_sha256,
            "ours": dict(self.ours),
        }


@dataclass(frozen=True)
class Record:
    """What the collection has on a node.

    :param wish: options that decided about the files, see ``Wish.of_files``.
    :param files: by the path that was written (of a symbolic link its target).
    """

    engine: str
    wish: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, FileRecord] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Record:
        """Of a record's file.

        :raises ValueError: it is of another schema, no record, or another one than was written: what stands in it becomes a file
            that an engine starts with.
        """
        if data.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {data.get('schema_version')!r}, not {SCHEMA_VERSION}")
        if data.get("files_sha256", "") not in ("", _checksum(data.get("files"))):
            raise ValueError(
                "somebody changed it since it was written, or it was damaged (its checksum is another one)"
            )
        try:
            files = {
                path: FileRecord(
                    one["original"], one["original_sha256"], one["result_sha256"], dict(one.get("ours") or {})
                )
                for path, one in data["files"].items()
            }
            return cls(str(data["engine"]), dict(data["wish"]), files)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it lacks {error}") from error

    def to_dict(self) -> Dict[str, Any]:
        """Plain JSON."""
        files = {path: one.to_dict() for path, one in self.files.items()}
        return {
            "schema_version": SCHEMA_VERSION,
            "engine": self.engine,
            "wish": dict(self.wish),
            "files": files,
            "files_sha256": _checksum(files),
        }


def _checksum(files: Any) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

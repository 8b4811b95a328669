# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The law by which files of an engine are edited, the same for all engines. Pure. PRIVATE to the collection.

``base = original, if the file is as we left it, else the file without ours``; ``result = base with ours``. From that follows:
present twice is once; absent undoes present to the byte if nobody else edited the file, and else takes out exactly those of
our fields that still hold our values; present with other options is absent and then present. What somebody made of our fields
is undone by present and told; it never becomes what was there before us.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.diffs import diff_entry
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation, SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import FileChange, sha256
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.record import UNKNOWN, FileRecord, Record
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish


class Editor(Protocol):
    """Puts ours into one file and takes it out again. Both are pure."""

    def with_ours(self, base: Optional[str]) -> Tuple[Optional[str], Dict[str, Any]]:
        """The file with ours, and how to take it out again: plain JSON for the record, {} if nothing was put in.

        ``partial`` in it says that others have put something into a table of ours, which is none without ours.

        :param base: the file's text without ours; None without a file.
        """

    def without_ours(self, text: str, ours: Mapping[str, Any]) -> Tuple[Optional[str], List[str]]:
        """The file without those of ours that still hold our values (None: no file), and a sentence on each that does not.

        A runtime that this editor puts in anew goes whatever somebody made of it: with its own values, and nothing of others.

        :param ours: what ``with_ours`` answered when they were put in.
        """

    def same(self, one: Optional[str], other: Optional[str]) -> bool:
        """Whether two texts mean the same to the engine. Then the one that is there stays, whatever its spelling."""


@dataclass(frozen=True)
class Edited:
    """A file and what becomes of it.

    :param seen: as it was observed.
    :param text: as it is to be; None: there is to be no file.
    :param record: for the new record; None: nothing of ours is in it.
    :param told: sentences on fields of ours that somebody changed since, which stay.
    """

    seen: SeenFile
    text: Optional[str]
    record: Optional[FileRecord]
    told: Tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether it is to be written or removed."""
        return self.text != self.seen.content

    def change(self) -> FileChange:
        """For the plan."""
        return FileChange(
            path=self.seen.target,
            before=self.seen.sha256,
            content=self.text,
            mode=self.seen.mode or "0644",
            make_directory=not self.seen.exists,
        )

    def diff(self) -> Dict[str, str]:
        """For the plan."""
        return diff_entry(self.seen.target, self.seen.content, self.text)


def edit(seen: SeenFile, recorded: Optional[FileRecord], editor: Editor, present: bool) -> Edited:
    """What becomes of a file by the law.

    :param recorded: what a former run noted of this file.
    """
    base, told = _base(seen, recorded, editor)
    if not present:
        if recorded is not None and base not in (None, seen.content, recorded.original) and not told:
            told = [f"{seen.path} was edited by somebody else since; what is not ours stays."]
        return Edited(seen, base, None, tuple(told))
    text, ours = editor.with_ours(base)
    if recorded is not None and text != seen.content and editor.same(text, seen.content):
        # Somebody edited beside ours, which still stands as it shall: nothing to write, and the way back is known.
        return Edited(seen, seen.content, recorded, tuple(told))
    if text == base and not ours:
        return Edited(seen, text, None, tuple(told))
    if recorded is not None and ours.get("partial"):
        # No text to go back to: the base would leave half a runtime.
        return Edited(seen, text, FileRecord(None, UNKNOWN, sha256(text), ours), tuple(told))
    return Edited(seen, text, FileRecord(base, sha256(base), sha256(text), ours), tuple(told))


def _base(seen: SeenFile, recorded: Optional[FileRecord], editor: Editor) -> Tuple[Optional[str], List[str]]:
    if recorded is None:
        return seen.content, []
    if sha256(seen.content) == recorded.result_sha256 and recorded.original_sha256 != UNKNOWN:
        return recorded.original, []
    if seen.content is None or sha256(seen.content) == recorded.original_sha256:
        # A run that was killed noted what it would write, and did not reach this file; or somebody put it back.
        return seen.content, []
    return editor.without_ours(seen.content, recorded.ours)


@dataclass(frozen=True)
class WholeFile:
    """A file of which all is ours, such as a drop-in. One of its name is ours even if no record tells of it.

    :param text: what it shall be; None: nothing of ours is wanted in it.
    """

    text: Optional[str]

    def with_ours(self, base: Optional[str]) -> Tuple[Optional[str], Dict[str, Any]]:
        """The text, whatever there was."""
        return self.text, {"whole": True} if self.text is not None else {}

    def without_ours(self, text: str, ours: Mapping[str, Any]) -> Tuple[Optional[str], List[str]]:
        """No file."""
        return None, []

    def same(self, one: Optional[str], other: Optional[str]) -> bool:
        """To the byte: it is ours."""
        return one == other


def whole(seen: SeenFile, text: Optional[str], present: bool) -> Edited:
    """What becomes of a file that is all ours: ``text``, or no file when absent."""
    wanted = text if present else None
    record = FileRecord(None, None, sha256(wanted), {"whole": True}) if wanted is not None else None
    return Edited(seen, wanted, record)


def recorded_files(observation: Observation, problems: List[str]) -> Dict[str, FileRecord]:
    """What is known of each file.

    A run that was interrupted has put its own record in the place of the one before it, which its marker keeps: that one is true of
    the files that were not reached, as that run left them or as somebody edited them before the interrupted one.

    :param problems: gets a sentence if the record cannot be read.
    """
    known: Dict[str, FileRecord] = {}
    if observation.record is not None:
        try:
            known.update(Record.from_dict(observation.record).files)
        except ValueError as error:
            problems.append(
                f"Reading the record of what was put on this node: {error}. Without it, nothing can be taken out again; "
                "move the record away to begin anew with the files as they are."
            )
    pending = observation.pending or {}
    former, noted = pending.get("record"), pending.get("files") or {}
    if isinstance(former, Mapping):
        try:
            entries = Record.from_dict(former).files
        except ValueError:
            # The files decide then, as without a record.
            entries = {}
        by_target = observation.by_target()
        for path, one in entries.items():
            found = by_target[path].sha256 if path in by_target else None
            if found == one.result_sha256 or (path in noted and found == noted[path]["before"]):
                known[path] = one
    return known


def record_of(engine: str, wish: Wish, files: Sequence[Edited]) -> Optional[Dict[str, Any]]:
    """The new record of all files that have ours in them; None without any."""
    kept = {one.seen.target: one.record for one in files if one.record is not None}
    return Record(engine, wish.of_files(), kept).to_dict() if kept else None

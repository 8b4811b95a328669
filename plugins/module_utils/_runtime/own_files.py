# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are the collection's as a whole, and what somebody else put into them or in their place. Pure. PRIVATE to the collection.

Nothing of somebody else's goes in silence: his file stays, his tables in one of ours refuse the plan, and his edits of our own
values are told.
"""

from __future__ import annotations

from typing import Any, Callable, List, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import read_config
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_runtimes import binaries, is_nvidia
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import HEADER, Draft, Step
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import CRI_PLUGINS
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import Edited
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import (
    Path,
    TomlError,
    flatten,
    parse,
    show,
)

# What every file of ours begins with, whatever version wrote it.
_MARK = HEADER.partition("\n")[0]
_SHOWN = 6


def is_foreign(draft: Draft, seen: SeenFile) -> bool:
    """Whether somebody else's file has the name of ours: no record tells of it, and it does not begin as ours do."""
    text = seen.content
    return text is not None and draft.recorded_of(seen) is None and not text.lstrip().startswith(_MARK)


def own_steps(draft: Draft, edited: Edited, done: str, beside: Sequence[str]) -> List[Step]:
    """The step for a file that is all ours; none where it is somebody else's, which is told then.

    :param beside: what is in it and not ours, such as "[a.b]".
    """
    seen = edited.seen
    if edited.text is None and seen.content is None and seen.exists:
        # What is to be written over is told with all other files.
        draft.problems.append(
            f"Removing {seen.path}: {seen.reason or f'it is a {seen.type}, not a file'}. Look at it, and remove it by hand."
        )
    if seen.content is None or not edited.changed:
        return [Step(edited, done, whole=True)]
    if is_foreign(draft, seen):
        _tell_foreign(draft, edited)
        return []
    if beside:
        more = f" and {len(beside) - _SHOWN} more" if len(beside) > _SHOWN else ""
        draft.problems.append(
            f"{'Writing' if edited.text is not None else 'Removing'} {seen.path}: it is this collection's own, and has what was not put "
            f"there from here and would be lost: {', '.join(beside[:_SHOWN])}{more}. Move that into a file of yours, and run again."
        )
    recorded = draft.recorded_of(seen)
    if recorded is not None and seen.sha256 != recorded.result_sha256:
        draft.warnings.append(f"{seen.path} is this role's own and was edited by somebody else; those edits go.")
    return [Step(edited, done, whole=True)]


def beside_of_containerd(draft: Draft, seen: SeenFile) -> List[str]:
    """Tables of somebody else's in a drop-in of ours for containerd."""
    names = own_names(draft, seen)
    if draft.recorded_of(seen) is None:
        there = binaries(read_config(seen).cri)
        names += [name for name, binary in there.items() if is_nvidia(binary, draft.wish)]

    tables = [(name,) for name in names]

    def is_ours(path: Path) -> bool:
        if path == ("version",):
            return True
        if len(path) < 3 or path[0] != "plugins" or path[1] not in CRI_PLUGINS:
            return False
        below = path[2:]
        if below in (("enable_cdi",), ("containerd", "default_runtime_name")):
            return True
        # A runc may have got its executable back there.
        restored = below[2:] in (("runc", "options", "BinaryName"), ("crun", "options", "BinaryName"))
        return below[:2] == ("containerd", "runtimes") and (restored or below[2:3] in tables)

    return tables_beside(seen, is_ours)


def own_names(draft: Draft, seen: SeenFile) -> List[str]:
    """Names of runtimes that we have put into files: of this run, and of those before it that are known."""
    observation = draft.observation
    records: List[Mapping[str, Any]] = [observation.record or {}, (observation.pending or {}).get("record") or {}]
    former = [(one.get("wish") or {}).get("name") for one in records]
    recorded = draft.recorded_of(seen)
    former.append(recorded.ours.get("name") if recorded is not None else None)
    return [draft.wish.name, *(str(name) for name in former if name)]


def tables_beside(seen: SeenFile, is_ours: Callable[[Path], bool]) -> List[str]:
    """Tables of a TOML file, and keys of its root, that are somebody else's, each once.

    :param is_ours: tells of the path of each value.
    """
    try:
        values = flatten(parse(seen.content or "", seen.path))
    except TomlError:
        # What cannot be read has no effect that could be lost.
        return []
    foreign = [path for path, value in values.items() if value != {} and not is_ours(path)]
    return list(dict.fromkeys(f"[{show(path[:-1])}]" if len(path) > 1 else show(path) for path in foreign))


def _tell_foreign(draft: Draft, edited: Edited) -> None:
    path = edited.seen.path
    if edited.text is None:
        draft.warnings.append(f"{path} has the name of a file of this collection and was not made by it: it stays.")
        return
    draft.problems.append(
        f"Writing {path}: a file of that name is there already, and was not made by this collection. Move it to another name, and run "
        "again."
    )

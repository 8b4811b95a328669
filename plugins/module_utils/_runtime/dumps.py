# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what an engine makes of its config before and after a change. Pure. PRIVATE to the collection.

An engine that merges files may lose of one what another one says (containerd 1.x replaces a plugin's whole table by that of an
imported file), and exits with 0 all the same. So the merged config itself is compared: ours is there, and nothing else moved.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Ours, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import (
    Path,
    TomlError,
    flatten,
    parse,
    show,
)

#: Names of containerd's CRI plugin by versions of the config. A dump is of the newest version that the program knows.
CRI_PLUGINS = ("cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime")
# Which files were merged: those that were staged have other names.
_ABOUT_FILES = ("imports",)
_SHOWN = 12


def compare(plan: RuntimePlan, before: Optional[Mapping[str, Any]], after: Mapping[str, Any]) -> List[str]:
    """Why the plan's result must not be written, by the dumps of the config as it is and as it would be.

    :param before: {argv, rc, stdout, stderr} of the observation.
    :param after: the same of what was staged.
    """
    old, problems = _read(before, "the config as it is")
    new, more = _read(after, "the config as it would be")
    if old is None or new is None:
        return [*problems, *more]
    return [*_not_ours(plan.ours, old, new), *_lost(plan.ours, old, new)]


def _read(dump: Optional[Mapping[str, Any]], what: str) -> Tuple[Optional[Dict[Path, Any]], List[str]]:
    if dump is None:
        return None, [f"Comparing configs: there is no dump of {what}. Nothing is written without one."]
    command = " ".join(str(part) for part in dump.get("argv") or ["the engine's dump"])
    if dump.get("rc") != 0:
        said = str(dump.get("stderr") or dump.get("stdout") or "").strip()[-600:]
        return None, [f"Reading {what} by `{command}`: it ended with {dump.get('rc')} and said: {said or 'nothing'}"]
    try:
        return flatten(parse(str(dump.get("stdout") or ""), f"output of `{command}`")), []
    except TomlError as error:
        return None, [str(error)]


def _canonical(path: Sequence[str]) -> Path:
    """The path with one name for the CRI plugin, whatever the config's version calls it."""
    if len(path) > 1 and path[0] == "plugins" and path[1] in CRI_PLUGINS:
        return ("plugins", CRI_PLUGINS[-1], *path[2:])
    return tuple(path)


def _under(path: Path, tables: Sequence[Sequence[str]]) -> bool:
    return any(path[: len(table)] == _canonical(table) for table in tables)


def _not_ours(ours: Ours, old: Mapping[Path, Any], new: Mapping[Path, Any]) -> List[str]:
    """What the engine did not take from us."""
    told = {_canonical(path): value for path, value in new.items()}
    missing = [
        f"{show(path)} = {value!r} (the engine has {told.get(_canonical(path), 'nothing')!r})"
        for path, value in ours.values
        if told.get(_canonical(path)) != value
    ]
    left = [show(path) for path in told if _under(path, ours.gone)]
    found = []
    if missing:
        found.append(
            "Checking the engine's merged config: what would be written does not take effect, since another file or table "
            f"overrides it: {_some(missing)}. Look for imported files that have the same plugin's table."
        )
    if left:
        found.append(
            f"Checking the engine's merged config: what would be taken out is still there by another file: {_some(left)}."
        )
    return found


def _lost(ours: Ours, old: Mapping[Path, Any], new: Mapping[Path, Any]) -> List[str]:
    """What is not ours and would be different."""
    before = {_canonical(path): value for path, value in old.items()}
    after = {_canonical(path): value for path, value in new.items()}
    changed = []
    for path in [*before, *(path for path in after if path not in before)]:
        foreign = path[0] not in _ABOUT_FILES and not _under(path, ours.tables) and not _under(path, ours.gone)
        if foreign and before.get(path, _NOTHING) != after.get(path, _NOTHING):
            changed.append(f"{show(path)}: {_shown(before, path)} -> {_shown(after, path)}")
    if not changed:
        return []
    return [
        "Comparing the engine's merged config before and after: what is not ours would change, so nothing is written. "
        f"It would be lost or different: {_some(changed)}. On containerd 1.x an imported file replaces the whole table of a "
        "plugin: have such a file merged into the main one."
    ]


_NOTHING = object()


def _shown(values: Mapping[Path, Any], path: Path) -> str:
    return repr(values[path]) if path in values else "nothing"


def _some(lines: Sequence[str]) -> str:
    rest = len(lines) - _SHOWN
    return "; ".join(lines[:_SHOWN]) + (f"; and {rest} more" if rest > 0 else "")

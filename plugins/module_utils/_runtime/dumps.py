# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what an engine makes of its config before and after a change. Pure. PRIVATE to the collection.

An engine that merges files may lose of one what another one says (containerd 1.x replaces a plugin's whole table by that of an
imported file), and exits with 0 all the same. So the merged config itself is compared: ours is there, and nothing else moved.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.diffs import (
    HIDDEN,
    is_secret,
    without_logins,
)
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
#: The part of it, from 2.0 on, without which the kubelet gets no image.
CRI_IMAGES = "io.containerd.cri.v1.images"
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
    ours = _as_dumped(plan.ours, new)
    return [*_not_ours(ours, new), *_lost(plan, ours, old, new), *_dangling(new)]


def not_in_effect(ours: Ours, dump: Mapping[str, Any]) -> List[str]:
    """Why the config as it is does not do what the files say, though they need no change."""
    now, problems = _read(dump, "the config as it is")
    return problems if now is None else _not_ours(_as_dumped(ours, now), now)


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


def _as_dumped(ours: Ours, dump: Mapping[Path, Any]) -> Ours:
    """Ours with the name that the dump has for the CRI plugin: a dump is of the newest version that the program knows."""
    name = _cri(dump)

    def renamed(path: Sequence[str]) -> Path:
        if len(path) > 1 and path[0] == "plugins" and path[1] in CRI_PLUGINS:
            return ("plugins", name, *path[2:])
        return tuple(path)

    return Ours(
        tuple((renamed(path), value) for path, value in ours.values),
        tuple(renamed(path) for path in ours.tables),
        tuple((renamed(path), file) for path, file in ours.elsewhere),
    )


def _cri(dump: Mapping[Path, Any]) -> str:
    there = {path[1] for path in dump if len(path) > 1 and path[0] == "plugins"}
    return next((name for name in reversed(CRI_PLUGINS) if name in there), CRI_PLUGINS[-1])


def _under(path: Path, tables: Sequence[Path]) -> bool:
    return any(path[: len(table)] == table for table in tables)


def _not_ours(ours: Ours, new: Mapping[Path, Any]) -> List[str]:
    """What the engine did not take from us."""
    said = dict(ours.elsewhere)
    paths = [path for path, value in ours.values if new.get(path, _NOTHING) != value]
    missing = [
        f"{show(path)} = {value!r} (the engine has {_shown(new, path)}{f', by {said[path]}' if path in said else ''})"
        for path, value in ours.values
        if path in paths
    ]
    known = sorted({said[path] for path in paths if path in said})
    todo = (
        f"Take it out of {' and '.join(known)}."
        if known
        else "Look for imported files that have the same plugin's table."
    )
    if not missing:
        return []
    return [
        "Checking the engine's merged config: what is ours does not take effect, since another file overrides it: "
        f"{_some(missing)}. {todo}"
    ]


def _lost(plan: RuntimePlan, ours: Ours, old: Mapping[Path, Any], new: Mapping[Path, Any]) -> List[str]:
    """What is not ours and would be different."""
    changed: Dict[str, None] = {}
    # A default one that was missing, so that the CRI plugin did not start, may come back.
    back = ("plugins", _cri(old), "containerd", "runtimes", str(_default(old)))
    mended = [back] if _dangling(old) else []
    for path in [*old, *(path for path in new if path not in old)]:
        foreign = path[0] not in _ABOUT_FILES and not _under(path, (*ours.tables, *mended))
        if foreign and not _equal(path, old.get(path, _NOTHING), new.get(path, _NOTHING)):
            changed[_difference(path, old, new)] = None
    if not changed:
        return []
    todo = (
        f"See whether somebody else's is in a file that would be written: {', '.join(one.path for one in plan.files)}."
    )
    if (plan.version or "").startswith("1."):
        todo += " On containerd 1.x an imported file replaces a plugin's whole table: have such a file merged into the main one."
    return [
        "Comparing the engine's merged config before and after: what is not ours would change, so nothing is written. "
        f"It would be lost or different: {_some(list(changed))}. {todo}"
    ]


def _dangling(new: Mapping[Path, Any]) -> List[str]:
    """A default runtime that would not be there: the engine starts, and its CRI plugin does not."""
    default = _default(new)
    if not default or new.get(("plugins", _cri(new), "containerd", "runtimes", default, "runtime_type")):
        return []
    return [
        f"Checking the engine's merged config: its default runtime would be {default}, of which there would be no table any more. "
        "Set another default_runtime_name first."
    ]


def _default(dump: Mapping[Path, Any]) -> Any:
    return dump.get(("plugins", _cri(dump), "containerd", "default_runtime_name"))


def _difference(path: Path, old: Mapping[Path, Any], new: Mapping[Path, Any]) -> str:
    """What became of a value; of a table that vanished with all that was in it, that one alone."""
    for length in range(3, len(path)):
        if path not in new and not any(other[:length] == path[:length] for other in new):
            return f"all of {show(path[:length])}"
    return f"{show(path)}: {_shown(old, path)} -> {_shown(new, path)}"


def _equal(path: Path, old: Any, new: Any) -> bool:
    """Whether the engine does the same. In a runtime's table it tells zeros and defaults only if nobody wrote the table."""
    if "runtimes" in path and path[0] == "plugins":
        unsaid = (*_ZEROS, _DEFAULTS.get(path[-1], _NOTHING))
        return (_NOTHING if old in unsaid else old) == (_NOTHING if new in unsaid else new)
    return bool(old == new)


_NOTHING = object()
_ZEROS: Tuple[Any, ...] = ("", 0, [], {})
# What containerd (1.7; from 2.0 on by the other name) takes for a key of a runtime that is empty. Its built-in runc says so itself.
_DEFAULTS = {"sandbox_mode": "podsandbox", "sandboxer": "podsandbox"}


def _shown(values: Mapping[Path, Any], path: Path) -> str:
    if path not in values:
        return "nothing"
    return HIDDEN if is_secret(path[-1]) else without_logins(repr(values[path]))


def _some(lines: Sequence[str]) -> str:
    rest = len(lines) - _SHOWN
    return "; ".join(lines[:_SHOWN]) + (f"; and {rest} more" if rest > 0 else "")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What NVIDIA's own tools wrote about the same runtime, and taking it over. Pure. PRIVATE to the collection."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import (
    ConfigFile,
    Configs,
    read_config,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_runtimes import NVIDIA, binaries
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import (
    Draft,
    Step,
    default_ends,
    still_default,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import CRI_PLUGINS
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import edit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Ours
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import (
    literal,
    take_out,
    take_out_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_places import line_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import Path, flatten, lookup, parse


def rivals(draft: Draft, configs: Configs) -> List[ConfigFile]:
    """Imported files of others that define the runtime too."""
    known = {path for path, one in draft.recorded.items() if not one.ours.get("taken_over")}
    return [one for one in configs.imported if draft.wish.name in one.runtimes and one.seen.target not in known]


def said_elsewhere(ours: Ours, configs: Configs) -> List[Tuple[Path, str]]:
    """Values of ours of which a file of somebody else's says something else, and the last such file."""
    found: Dict[Path, str] = {}
    for one in (configs.main, *configs.imported):
        for path, value in ours.values:
            said = [lookup(one.data, ("plugins", name, *path[2:])) for name in CRI_PLUGINS]
            if any(other is not None and other != value for other in said):
                found[path] = one.seen.path
    return list(found.items())


def dangling(draft: Draft, configs: Configs, name: str) -> List[str]:
    """Why a runtime cannot be taken out: a file that stays makes it the default one."""
    texts = {one.seen.path: one.text for one in (configs.main, *configs.imported)}
    texts.update({step.edited.seen.path: step.edited.text or "" for step in draft.steps})
    saying, named = None, False
    for path, text in texts.items():
        one = read_config(replace(draft.observation.file(path), content=text))
        named = named or name in one.runtimes
        for table in CRI_PLUGINS:
            key = ("plugins", table, "containerd", "default_runtime_name")
            default = lookup(one.data, key)
            if default is not None:
                place = f"{path}:{line_of(draft.observation.text(path) or text, key)}"
                saying = place if default == name else None
    return [still_default(name, saying)] if saying and not named else []


def taken_over(draft: Draft) -> List[str]:
    """Paths of files that a former run took over, by its record."""
    return [path for path, one in draft.recorded.items() if one.ours.get("taken_over")]


@dataclass(frozen=True)
class TakenOver:
    """A file of which the runtime goes; see ``laws.Editor``. What it had is kept in the record.

    :param whole: the file goes as a whole: on containerd 1.x its table would hide the main file's.
    :param named: another file imports it by its name, and not by a pattern, or a link leads to it: containerd does not start without it.
    """

    path: str
    name: str
    whole: bool
    named: bool

    def with_ours(self, base: Optional[str]) -> Tuple[Optional[str], Dict[str, Any]]:
        """The file without the runtime; no file if nothing is left of it, or one that says nothing."""
        if base is None:
            return None, {}
        data = parse(base, self.path)
        gone = [path for path in flatten(data) if self._is_of_runtime(path, data)]
        beside = _beside(data, self.name) if self.whole else []
        touched = {"taken_over": True, "touched": [list(path) for path in (*gone, *beside)]}
        if self.whole:
            return self._nothing(data), touched
        if not gone:
            return base, {}
        text = base
        for path in gone:
            text = take_out(text, path)
        table = gone[0][: gone[0].index("runtimes") + 2] if "runtimes" in gone[0] else gone[0][:-1]
        for made in sorted(
            {path[:length] for path in gone for length in range(len(table), len(path))}, key=len, reverse=True
        ):
            text = take_out_table(text, made)
        left = {path for path in flatten(parse(text, self.path)) if path[0] != "version"}
        something = any(lookup(parse(text, self.path), path) != {} for path in left)
        return (text if something else self._nothing(data)), touched

    def without_ours(self, text: str, ours: Mapping[str, Any]) -> Tuple[Optional[str], List[str]]:
        """Its owner wrote it anew: it is his."""
        return text, [f"{self.path} was taken over, and its owner wrote it anew since."]

    def same(self, one: Optional[str], other: Optional[str]) -> bool:
        """To the byte."""
        return one == other

    def _nothing(self, data: Mapping[str, Any]) -> Optional[str]:
        if not self.named:
            return None
        return f"version = {literal(data['version'])}\n" if "version" in data else ""

    def _is_of_runtime(self, path: Path, data: Mapping[str, Any]) -> bool:
        if path[0] != "plugins" or len(path) < 4 or path[2] != "containerd":
            return False
        if path[3] == "default_runtime_name":
            return bool(lookup(data, path) == self.name)
        return path[3:5] == ("runtimes", self.name)


def foreign_steps(draft: Draft, configs: Configs, whole: bool) -> List[Step]:
    """Files that are taken over, or given back."""
    steps = []
    known, there = taken_over(draft), draft.observation.by_target()
    paths = list(known)
    if draft.wish.present and draft.wish.take_over:
        paths += [one.seen.path for one in rivals(draft, configs) if one.seen.target not in known]
    for path in paths:
        seen = there.get(path) or draft.observation.file(path)
        named = bool(seen.link or configs.naming(seen.path))
        editor = TakenOver(seen.path, draft.wish.name, whole, named)
        if path not in known and not draft.wish.default and _makes_default(draft, path):
            draft.warnings.append(default_ends(draft.wish))
        beside = [path[-1] for path in _beside(read_config(seen).data, draft.wish.name)]
        if path not in known and whole and beside:
            draft.warnings.append(
                f"With {path} its runtimes {', '.join(beside)} go too, until {draft.wish.called('state', 'absent')} puts it back."
            )
        edited = edit(seen, draft.recorded_of(seen), editor, draft.wish.present)
        done = f"take the runtime {draft.wish.name} over from" if draft.wish.present else "give back"
        steps.append(Step(edited, f"{done} what another tool wrote"))
    return steps


def _beside(data: Mapping[str, Any], name: str) -> List[Path]:
    """Tables of other runtimes of NVIDIA's in a file that goes as a whole."""
    found: List[Path] = []
    for plugin in CRI_PLUGINS:
        above = ("plugins", plugin, "containerd", "runtimes")
        tables = lookup(data, above)
        for one, binary in binaries({"containerd": {"runtimes": tables}}).items():
            if one != name and posixpath.basename(binary).startswith(NVIDIA):
                found.append((*above, one))
    return found


def _makes_default(draft: Draft, path: str) -> bool:
    cri = read_config(draft.observation.file(path)).cri
    return bool(lookup(cri, ("containerd", "default_runtime_name")) == draft.wish.name)

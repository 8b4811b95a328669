# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of containerd hold ours, and what is in them. Pure. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import Configs, read_config
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_edits import ConfigEditor
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_foreign import rivals
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_runtimes import Wanted, runtime_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import HEADER, Draft, Step
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import not_in_effect
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import Edited, edit, whole
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.own_files import (
    beside_of_containerd,
    is_foreign,
    own_steps,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Ours
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.record import FileRecord
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import put
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import Path, flatten, lookup


@dataclass(frozen=True)
class Layout:
    """How values are written.

    :param plugin: the CRI plugin's name in files of ``version``.
    :param version: of the main file, which a drop-in has to have too.
    :param needed: nothing for absent.
    :param others: values of the other runtimes that take effect, below ``plugins.<CRI plugin>``.
    """

    plugin: str
    version: int
    needed: Wanted
    others: Tuple[Tuple[Path, Any], ...] = ()

    def runtime(self, name: str) -> Path:
        """Path of a runtime's table."""
        return ("plugins", self.plugin, *runtime_path(name))

    def facts(self, name: str) -> Dict[str, Any]:
        """For the record: what a later run cannot see any more."""
        touched = [self.runtime(name), *(path for path, value in self.needed.under(self.plugin))]
        return {
            "name": name,
            "source": self.needed.source,
            "restored": list(self.needed.restored),
            "touched": [list(path) for path in touched],
        }


def main_step(draft: Draft, configs: Configs, layout: Layout) -> Step:
    """The main file with everything in it, in place."""
    name = draft.wish.name
    editor = ConfigEditor(
        path=configs.main.seen.path,
        values=layout.needed.under(layout.plugin),
        runtime=layout.runtime(name),
        others=[(("plugins", layout.plugin, *path), value) for path, value in layout.others],
        version=layout.version,
        facts=layout.facts(name),
    )
    recorded = draft.recorded_of(configs.main.seen) or _unrecorded(draft, configs)
    edited = edit(configs.main.seen, recorded, editor, draft.wish.present)
    if recorded is not None and not draft.wish.present:
        _tell_beside(draft, edited, recorded)
    return Step(edited, _said(draft, edited, "the main file"))


def _tell_beside(draft: Draft, edited: Edited, recorded: FileRecord) -> None:
    """Other runtimes that had to be named beside ours, and stay."""
    left = read_config(replace(edited.seen, content=edited.text)).runtimes
    tables = [table for table in recorded.ours.get("tables") or () if table[-2:-1] == ["runtimes"]]
    for name in [table[-1] for table in tables if table[-1] != draft.leaving and table[-1] in left]:
        draft.warnings.append(
            f"The table of the runtime {name} in {edited.seen.path} stays, which was put in beside {draft.leaving}: somebody wrote into it, "
            "or names further runtimes, and containerd 1.x has its built-in one only where no file names any."
        )


def is_stale(draft: Draft, configs: Configs, series: int) -> bool:
    """Whether our drop-in of a containerd 2.x is left on 1.x."""
    seen = draft.observation.file(configs.drop_in)
    return series == 1 and seen.exists and not is_foreign(draft, seen)


def stale_drop_in_steps(draft: Draft, configs: Configs) -> List[Step]:
    """Our drop-in of a containerd 2.x that was taken back to 1.x, which takes it for all that the CRI plugin's config says."""
    seen = draft.observation.file(configs.drop_in)
    done = "take away the drop-in, which hides the CRI plugin's config from 1.x"
    return own_steps(draft, whole(seen, None, False), done, beside_of_containerd(draft, seen))


def drop_in_steps(draft: Draft, configs: Configs, layout: Layout, ours: Ours) -> List[Step]:
    """A file of our own, and the main one as far as it has to import it.

    That is so on 2.2 too, whose default config imports conf.d: a main file without imports need not, see ``unproven``.
    """
    wish, seen = draft.wish, draft.observation.file(configs.drop_in)
    recorded = draft.recorded_of(seen)
    if wish.present and recorded is None and not seen.exists and _is_there(draft, configs, ours):
        return _kept(draft)
    drop_in = whole(seen, drop_in_text(layout, wish.name) if wish.present else None, wish.present)
    if drop_in.record is not None:
        drop_in = replace(drop_in, record=replace(drop_in.record, ours={"whole": True, **layout.facts(wish.name)}))
    importing = ConfigEditor(
        path=configs.main.seen.path,
        values=(),
        runtime=layout.runtime(wish.name),
        imported=configs.drop_in,
        version=layout.version,
    )
    known = draft.recorded_of(configs.main.seen) or _unrecorded(draft, configs)
    main = edit(configs.main.seen, known, importing, wish.present)
    said = _said(draft, drop_in, "a file of its own")
    own = own_steps(draft, drop_in, said, beside_of_containerd(draft, seen))
    return [*own, Step(main, _imported(draft, main))]


def _kept(draft: Draft) -> List[Step]:
    """Everything as it is: by somebody else, or in the main file by a run with an older containerd."""
    by = "in the main file, by a run with an older containerd" if draft.recorded else "put by somebody else"
    draft.notes.append(f"the runtime {draft.wish.name} is there already as wished, {by}: nothing is written")
    seen = draft.observation.by_target()
    return [
        Step(Edited(seen[path], seen[path].content, one), "") for path, one in draft.recorded.items() if path in seen
    ]


def _unrecorded(draft: Draft, configs: Configs) -> Optional[FileRecord]:
    """What can be told of the main file if the record was lost: nobody else imports our drop-in by its name."""
    imports = configs.main.strings("imports")
    # An import of somebody else's file is his.
    if configs.drop_in not in imports or is_foreign(draft, draft.observation.file(configs.drop_in)):
        return None
    ours = {"imported": configs.drop_in, "imports_made": imports == [configs.drop_in]}
    return FileRecord(None, "", "", ours)


def drop_in_text(layout: Layout, name: str) -> str:
    """The file that is all ours."""
    text = f"{HEADER}\nversion = {layout.version}\n"
    for path, value in layout.needed.under(layout.plugin):
        text = put(text, path, value)
    return text


def _is_there(draft: Draft, configs: Configs, ours: Ours) -> bool:
    """Whether it is all in effect without a drop-in, and nothing of a former wish is, either."""
    dump = draft.observation.dump
    former = (draft.observation.record or {}).get("wish")
    if draft.recorded and former != draft.wish.of_files():
        return False
    if draft.wish.take_over and rivals(draft, configs):
        # It is there by the very file that is to go.
        return False
    return dump is not None and dump.get("rc") == 0 and not not_in_effect(ours, dump)


def _said(draft: Draft, edited: Edited, where: str) -> str:
    if not draft.wish.present:
        stays = draft.leaving in read_config(replace(edited.seen, content=edited.text)).runtimes
        return f"take out what was put in for {draft.leaving}" if stays else f"take the runtime {draft.leaving} out"
    default = ", as the default one," if draft.wish.default else ""
    name, there = draft.wish.name, read_config(edited.seen)
    if name not in there.runtimes:
        instead = f" in the place of {draft.leaving}" if draft.leaving else ""
        return f"put the runtime {name}{default} into {where}{instead}"
    changes = ", ".join(_changes(there.data, read_config(replace(edited.seen, content=edited.text)).data))
    return f"bring the runtime {name}{default} in {where} up to date{changes and f': {changes}'}"


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> List[str]:
    """Keys whose values differ, by their last names."""
    values = {**flatten(before), **flatten(after)}
    return list(dict.fromkeys(path[-1] for path in values if lookup(before, path) != lookup(after, path)))


def _imported(draft: Draft, main: Edited) -> str:
    recorded = draft.recorded_of(main.seen)
    # A main file that was made to import ours has its version from us too.
    values = recorded.ours.get("values") or () if recorded is not None else ()
    if any(entry["path"] != ["version"] for entry in values):
        return "take out of the main file what a run with an older containerd put there"
    if draft.wish.present:
        return "import the drop-in" if main.seen.exists else "make a main file that imports the drop-in"
    return "import the drop-in no more"

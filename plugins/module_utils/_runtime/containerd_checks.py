# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a containerd cannot be configured as it is. Pure. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Iterator, List, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import (
    ConfigFile,
    Configs,
    Version,
    parse_version,
    read_config,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_foreign import rivals
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import Draft, owner_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import MISSING, unstopped

#: The newest version of the config that each series reads. 1.6 says nothing of a newer one, and reads it wrongly.
_NEWEST: Mapping[int, int] = {1: 2, 2: 3}
_FOUR: Version = (2, 3, 0)
_CDI: Version = (1, 7, 0)
# 1.x has no command for it, and dumps what it has read of any version as its newest.
_MIGRATION: Mapping[int, str] = {
    1: "dump` prints it as version 2, with all defaults and without what had no effect so far.",
    2: "migrate` prints it in the newest version, and says 'Ignoring unknown key' of what that has lost.",
}


def check(draft: Draft, configs: Configs) -> List[str]:
    """All reasons at once."""
    installed = parse_version(draft.observation.version)
    found = [*_readable(draft, configs)]
    if installed is None or installed[0] not in _NEWEST:
        found.append(_unknown_version(draft))
        return found
    if draft.wish.present:
        found += _versions(draft, configs, installed)
        found += _disabled(draft, configs)
        found += _others(draft, configs, installed)
        if draft.wish.cdi == "true" and installed < _CDI:
            found.append(
                f"{draft.wish.called('cdi')} is true: containerd {draft.observation.version} knows no CDI in its CRI plugin, which came with 1.7. "
                f"Leave it at inherit, or install a newer containerd."
            )
    return found


def staying(draft: Draft, configs: Configs, name: str) -> List[str]:
    """Files that have a runtime of that name also once the steps are done, each in a sentence; those that were told already are not."""
    texts = {one.seen.path: one.text for one in (configs.main, *configs.imported)}
    texts.update({step.edited.seen.path: step.edited.text or "" for step in draft.steps})
    begin = {path: f"The runtime {name} in {path} stays" for path in texts}
    return [
        f"{begin[path]}: what is left of it was not put in from here. Take it out by hand if nobody needs it."
        for path, text in texts.items()
        if name in read_config(replace(draft.observation.file(path), content=text)).runtimes
        and not any(one.startswith(begin[path]) for one in draft.warnings)
    ]


def _unknown_version(draft: Draft) -> str:
    seen = unstopped(draft.observation.version_problem) or f"it is {draft.observation.version!r}"
    return (
        f"Finding the version of containerd ({draft.observation.program or 'no program found'}): {seen}. How its config is read "
        "depends on it (1.x replaces tables by those of imported files, 2.x merges them), so nothing is written by a guess."
    )


def _readable(draft: Draft, configs: Configs) -> Iterator[str]:
    main = configs.main.seen
    if main.type not in ("file", MISSING):
        yield f"Reading {main.path}: it is a {main.type}, not a file. Move it away."
    dump = draft.observation.dump or {}
    refused = main.exists and dump.get("rc", 0) != 0
    own = read_config(draft.observation.file(configs.drop_in))
    found = [one.error for one in (configs.main, *configs.imported, *([own] if refused else [])) if one.error]
    found += _gone(configs, own)
    yield from found
    if refused and not found:
        yield (
            f"Reading {main.path}: containerd itself does not take it (`config dump` ended with {dump['rc']}: "
            f"{str(dump.get('stderr') or '').strip()[-400:]}). It would not survive its next restart as it is; mend that first."
        )


def _gone(configs: Configs, own: ConfigFile) -> List[str]:
    """Imported files that are not there: 2.x has its defaults alone to dump then, ends with 0, and does not start."""
    found = []
    for one in (own, *configs.imported):
        naming = configs.naming(one.seen.path)
        if not one.seen.exists and (naming or one is not own):
            found.append(
                f"Reading {' and '.join(naming) or configs.main.seen.path}: {one.seen.path} is imported there and is gone. containerd would "
                "not survive its next restart as it is. Take it out of the imports, or put it back, then run again."
            )
    return found


def _versions(draft: Draft, configs: Configs, installed: Version) -> Iterator[str]:
    main, shown = configs.main, draft.observation.version
    if main.error or main.empty:
        return
    version = main.version
    if version is None or version < 2:
        declares = (
            "no version, which containerd takes as 1"
            if "version" not in main.data
            else f"version {main.data['version']!r}"
        )
        yield (
            f"Reading {main.seen.path}: it declares {declares}, whose tables have other names. `containerd --config {main.seen.path} "
            f"config {_MIGRATION[installed[0]]} Look at that, put it in the file's place, restart containerd, and run again."
        )
        return
    newest = 4 if installed >= _FOUR else _NEWEST[installed[0]]
    if version > newest:
        yield (
            f"Reading {main.seen.path}: it is of version {version}, and containerd {shown} reads up to version {newest} (1.6 takes a "
            f"newer one silently, and its tables for nothing). Write it in version {newest}, or install the containerd that it is for."
        )


def _disabled(draft: Draft, configs: Configs) -> Iterator[str]:
    if configs.disabled:
        yield (
            f"Looking for containerd's CRI plugin: disabled_plugins has {', '.join(configs.disabled)}, as Docker's containerd package "
            "ships it. The kubelet cannot use this containerd at all, so it is the wrong engine, or its config is not made yet. "
            f"Take the entry out if the kubelet is to use it, or set {draft.wish.called('engine', 'docker')}."
        )


def _others(draft: Draft, configs: Configs, installed: Version) -> Iterator[str]:
    wish = draft.wish
    # One that was taken over defines it no more, unless its owner wrote it anew.
    defining = rivals(draft, configs)
    for one in defining:
        if not wish.take_over:
            yield (
                f"Reading {one.seen.path}: {owner_of(one.seen)} defines the runtime {wish.name} there, and would write it again. Let that "
                f"tool be the owner and leave this role out, choose another {wish.called('name')}, or set {wish.called('take_over', 'true')} once that "
                "tool is off."
            )
    if installed[0] > 1:
        return
    for one in configs.imported:
        if one.cri and one not in defining:
            yield (
                f"Reading {one.seen.path}, which {configs.main.seen.path} imports: it has a table of the CRI plugin. containerd "
                f"{draft.observation.version} replaces the main file's whole table by it, so that nothing set there takes effect. Move "
                "that table into the main file."
            )

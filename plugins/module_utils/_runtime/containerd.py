# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan for containerd: by the version that is installed and that of its config file. Pure. PRIVATE to the collection.

On 1.x an imported file replaces the whole table of a plugin, so that the main file is edited in place. From 2.0 on files merge
deeply: there a file of our own is enough, and a line in the main one that imports it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_checks import check, staying
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import (
    Configs,
    effective_cri,
    parse_version,
    plugin_name,
    read_config,
    read_configs,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_edits import EditError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_foreign import (
    dangling,
    foreign_steps,
    said_elsewhere,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_layouts import (
    Layout,
    drop_in_steps,
    is_stale,
    main_step,
    stale_drop_in_steps,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_runtimes import (
    Wanted,
    binaries,
    others,
    replaced,
    wanted,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_staging import staging
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import Draft
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import not_in_effect
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Ours, Probe, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import (
    Path,
    TomlError,
    flatten,
    lookup,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import add_toolkit_config
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

ENGINE = "containerd"
# Version of a main file that is made: the newest that every containerd of the series reads.
_NEW_FILE = {1: 2, 2: 3}

_NO_PROGRAM = (
    "Having containerd read the new config before it is written: its unit does not say which program it runs. Nothing is written "
    "unseen; see that the unit has an ExecStart with containerd's path."
)


def plan(wish: Wish, observation: Observation) -> RuntimePlan:
    """What the wish needs of an observed containerd."""
    draft = Draft(ENGINE, wish, observation)
    configs = read_configs(observation)
    probe = Probe("cri", observation.socket, wish.restart_seconds)
    draft.problems += check(draft, configs)
    try:
        _found(draft, configs)
        return draft.plan(probe) if draft.problems else _planned(draft, configs, probe)
    except (EditError, TomlError) as error:
        return Draft(ENGINE, wish, observation).plan(probe).refused(str(error))


def _planned(draft: Draft, configs: Configs, probe: Probe) -> RuntimePlan:
    series = (parse_version(draft.observation.version) or (0,))[0]
    layout = _layout(draft, configs, series)
    ours = layout.needed.ours(draft.wish.name, layout.plugin) if draft.wish.present else Ours()
    ours = replace(ours, elsewhere=tuple(said_elsewhere(ours, configs)))
    if series == 1:
        draft.add(main_step(draft, configs, layout))
        steps = stale_drop_in_steps(draft, configs)
    else:
        steps = drop_in_steps(draft, configs, layout, ours)
    steps += foreign_steps(draft, configs, whole=series == 1)
    for step in steps if draft.wish.present else reversed(steps):
        draft.add(step)
    if draft.leaving and draft.restarts:
        draft.problems += dangling(draft, configs, draft.leaving)
    if draft.leaving and not draft.wish.present and (draft.recorded or draft.observation.file(configs.drop_in).exists):
        draft.warnings += staying(draft, configs, draft.leaving)
    add_toolkit_config(draft)
    hidden = [("plugins", layout.plugin)] if is_stale(draft, configs, series) else []
    drafted = draft.plan(probe, ours=replace(ours, tables=(*ours.tables, *_touched(draft, configs), *hidden)))
    if drafted.restart:
        staged = staging(draft, configs, drafted)
        return replace(drafted, staging=staged) if staged else drafted.refused(_NO_PROGRAM)
    if draft.wish.present and draft.observation.dump is not None:
        # There is nothing to write, and yet another file may override ours.
        return drafted.refused(*not_in_effect(ours, draft.observation.dump))
    return drafted


def _layout(draft: Draft, configs: Configs, series: int) -> Layout:
    version = configs.main.version or _NEW_FILE[series]
    recorded: Dict[str, Any] = {}
    for one in draft.recorded.values():
        recorded.update({key: one.ours[key] for key in ("name", "source", "restored") if key in one.ours})
    if not draft.wish.present:
        return Layout(plugin_name(version), version, Wanted())
    stale = is_stale(draft, configs, series)
    cri = configs.main.cri if stale else effective_cri(draft.observation, configs)
    needed = wanted(draft.wish, cri, recorded)
    if needed.source is None:
        draft.warnings.append(
            f"No runtime of containerd is a runc whose table could be copied, so that {draft.wish.name} has containerd's "
            "defaults. Where the kubelet's cgroup driver is systemd, set SystemdCgroup in the default runtime first."
        )
    return Layout(plugin_name(version), version, needed, tuple(others(draft.wish, cri, recorded)))


def _touched(draft: Draft, configs: Configs) -> List[Path]:
    """Paths that a former run or this one sets or takes over, and which may change or vanish now; of a drop-in that no record tells of, by what is in it."""
    written = [step.edited.record for step in draft.steps if step.edited.record is not None]
    recorded = [tuple(path) for one in (*draft.recorded.values(), *written) for path in one.ours.get("touched") or ()]
    seen = draft.observation.file(configs.drop_in)
    if seen.content is None or draft.recorded_of(seen) is not None:
        return recorded
    return [*recorded, *(path for path in flatten(read_config(seen).data) if path != ("version",))]


def _found(draft: Draft, configs: Configs) -> None:
    """Tell what there is."""
    cri = effective_cri(draft.observation, configs)
    main = configs.main
    instead = replaced(draft.wish, cri)
    draft.kept.update(
        config_path=main.seen.path,
        config_version=main.version,
        default_runtime=lookup(cri, ("containerd", "default_runtime_name")),
        runtimes=binaries(cri),
        imported=[one.seen.path for one in configs.imported],
        replaced=instead,
    )
    kind = "missing"
    if main.seen.exists:
        kind = "not readable" if main.error else f"of version {main.version}" if main.version else "without a version"
    draft.notes.append(f"containerd {draft.observation.version} with {main.seen.path}, which is {kind}")
    if main.seen.link:
        draft.notes.append(
            f"{main.seen.path} is a symbolic link to {main.seen.link}: the link stays, its target is written"
        )
    _say_what_stays(draft, configs)
    for name in instead:
        if not draft.wish.restore_runc:
            draft.warnings.append(
                f"The executable of runtime {name} is NVIDIA's ({binaries(cri)[name]}): every container starts through it, also "
                f"those without a GPU. {draft.wish.called('restore_runc', 'true')} gives it its own one back."
            )


def _say_what_stays(draft: Draft, configs: Configs) -> None:
    """What is as somebody else put it, as far as it can be told: also ours, if its record was lost."""
    wish, kept = draft.wish, draft.kept
    if draft.recorded or draft.observation.file(configs.drop_in).exists:
        return
    if not wish.present and wish.name in kept["runtimes"]:
        draft.warnings.append(
            f"The runtime {wish.name} is in containerd's config, and no record on this node says that it was put in from here: it "
            "stays. Take it out by hand if nobody needs it."
        )
    elif wish.present and not wish.default and not wish.take_over and kept["default_runtime"] == wish.name:
        draft.notes.append(
            f"{wish.name} is containerd's default runtime already, put in by somebody else. It stays so."
        )

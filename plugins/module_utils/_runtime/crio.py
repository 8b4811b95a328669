# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the nvidia runtime of CRI-O: a drop-in of its own, made like the default runtime. Pure. PRIVATE to the collection.

What the default runtime has goes along (``monitor_path`` above all): where conmon is not in PATH, CRI-O does not start with
a runtime that lacks it. The executable of the default runtime also goes first in the toolkit's list, since a container
that is started with crun cannot be looked after with runc.
"""

from __future__ import annotations

import posixpath
from contextlib import suppress
from typing import Any, Dict, List, Mapping

# Used on the control node only, where it is required.
with suppress(ImportError):
    import tomlkit

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.crio_config import (
    Configs,
    CrioFile,
    of_nvidia,
    read_configs,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import (
    HEADER,
    Draft,
    Step,
    default_ends,
    starts_nvidia,
    still_default,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import WholeFile, edit, whole
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation, SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.own_files import (
    own_names,
    own_steps,
    tables_beside,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Probe, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import Path, show
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import add_toolkit_config
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

SOCKET = "/var/run/crio/crio.sock"
# Of the runtime that ours is made like, these name its own executable.
OWN_KEYS = ("runtime_path", "platform_runtime_paths", "inherit_default_runtime")
# Once it is there, the text without this remark is another one: that starts CRI-O anew, which has passed the runtime over.
MISSING = "# {} was missing when this was written."
IN_PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def plan(wish: Wish, observation: Observation) -> RuntimePlan:
    """See ``engines.Engine``."""
    draft = Draft("crio", wish, observation)
    configs = read_configs(draft)
    like, table = configs.base(wish.name)
    draft.kept.update({"runtimes": sorted(configs.runtimes), "default_runtime": configs.default, "like": like})
    seen = observation.file(configs.drop_in)
    if wish.present:
        _look_at_runc(draft, configs)
        _refuse_what_crio_cannot(draft, table)
        _look_at_default(draft, configs)
    elif seen.exists and _dangles(configs) and not _taken_over(draft):
        draft.problems.append(still_default(configs.default, configs.default_by))
    _handle_foreign(draft, configs)
    text = _drop_in(wish, like, table)
    if wish.present and _is_missing(draft) and seen.content != text:
        text = _drop_in(wish, like, table, MISSING.format(wish.binary))
    edited = whole(seen, text, wish.present)
    done = f"define the runtime {wish.name}" if wish.present else f"take {draft.leaving} out"
    for step in own_steps(draft, edited, done, _beside(draft, seen)):
        draft.add(step)
    add_toolkit_config(draft, _low_level(like, table))
    if wish.present and draft.restarts:
        _refuse_to_dangle(draft, configs)
    return draft.plan(Probe("crio", observation.socket or SOCKET, wish.restart_seconds))


def _beside(draft: Draft, seen: SeenFile) -> List[str]:
    """What somebody else put into our file."""
    runtimes = ("crio", "runtime", "runtimes")
    names = [(name,) for name in own_names(draft, seen)]

    def is_ours(path: Path) -> bool:
        of_ours = path[:3] == runtimes and (path[3:4] in names or draft.recorded_of(seen) is None)
        return path == ("crio", "runtime", "default_runtime") or of_ours

    return tables_beside(seen, is_ours)


def _drop_in(wish: Wish, like: str, table: Mapping[str, Any], *remarks: str) -> str:
    lines = [HEADER, f"# Made like the runtime {like}, which is the default without this file.", *remarks, ""]
    if wish.default:
        lines += ["[crio.runtime]", f"default_runtime = {_toml(wish.name)}", ""]
    values: Dict[str, Any] = {"runtime_path": wish.binary, "runtime_type": table.get("runtime_type") or "oci"}
    values.update({key: value for key, value in table.items() if key not in (*OWN_KEYS, *values)})
    if "runtime_root" not in values:
        values["runtime_root"] = f"/run/{like}"
    if wish.privileged_without_host_devices != "inherit":
        values["privileged_without_host_devices"] = wish.privileged_without_host_devices == "true"
    lines.append(f"[{show(('crio', 'runtime', 'runtimes', wish.name))}]")
    lines += [f"{show((key,))} = {_toml(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{show((key,))} = {_toml(one)}" for key, one in value.items()) + " }"
    return tomlkit.item(value).as_string()


def _low_level(like: str, table: Mapping[str, Any]) -> str:
    """What the toolkit has to start: the name where it is in PATH, the whole path elsewhere; "" for a plain runc, which it takes itself."""
    path = str(table.get("runtime_path") or "")
    if path and posixpath.dirname(path) not in IN_PATH:
        return path
    name = posixpath.basename(path) or like
    return "" if name == "runc" else name


def _look_at_runc(draft: Draft, configs: Configs) -> None:
    for name, (one, table) in configs.runtimes.items():
        if name in ("runc", "crun") and of_nvidia(table):
            draft.warnings.append(
                starts_nvidia(draft.wish, name, one.seen.path, f"{table['runtime_path']} (by {one.owner})")
            )


def _refuse_what_crio_cannot(draft: Draft, table: Mapping[str, Any]) -> None:
    if table.get("runtime_type") == "vm":
        draft.problems.append(
            f"Making {draft.wish.name} like the default runtime: that one runs virtual machines (runtime_type vm), whose devices "
            "NVIDIA's runtime cannot give. Make runc or crun the default first."
        )
    if draft.wish.cdi == "false":
        draft.problems.append(
            f"{draft.wish.called('cdi')} is false: CRI-O always injects CDI devices and knows no switch. Leave it at inherit on this node."
        )


def _look_at_default(draft: Draft, configs: Configs) -> None:
    name = draft.wish.name
    if not draft.wish.default:
        if configs.default == name and draft.wish.take_over and _is_default_by_taken_over(configs, name):
            draft.warnings.append(default_ends(draft.wish))
        elif configs.default == name:
            draft.notes.append(f"{name} is the default runtime by {configs.default_by}. It stays so.")
            _refuse_missing_default(draft)
        elif _is_missing(draft):
            draft.warnings.append(
                f"{draft.wish.binary} is missing: CRI-O passes {name} over until a start at which it is there. Run this again once NVIDIA's "
                "container toolkit is installed."
            )
        return
    _refuse_missing_default(draft)
    overruling = [one for one in configs.after_ours if one.default and one.default != name]
    for one in overruling:
        draft.problems.append(
            f"Making {name} the default runtime: {one.seen.path} (by {one.owner}) is read after our {configs.drop_in} and says "
            f"default_runtime = {one.default!r}. Take that line out, or set {draft.wish.called('default', 'false')}."
        )
    flag = draft.flag("default-runtime")
    if flag is not None and flag != name:
        draft.problems.append(
            f"Making {name} the default runtime: the unit starts CRI-O with --default-runtime={flag}, which beats all files. Take "
            f"the flag out of the unit, or set {draft.wish.called('default', 'false')}."
        )
    if not overruling and configs.default not in (name, configs.built_in):
        draft.notes.append(
            f"The default runtime was {configs.default}; that is what it will be again once ours is taken out."
        )


def _is_missing(draft: Draft) -> bool:
    return draft.observation.binary(draft.wish.binary).get("exists") is False


def _refuse_missing_default(draft: Draft) -> None:
    if _is_missing(draft):
        draft.problems.append(
            f"Letting {draft.wish.name} be the default runtime: CRI-O does not start at all if that one's executable is missing, as "
            f"{draft.wish.binary} is. Install NVIDIA's container toolkit first."
        )


def _is_default_by_taken_over(configs: Configs, name: str) -> bool:
    if configs.flag:
        return False
    saying = [one for one in configs.files if one.default][-1]
    return name in saying.runtimes and posixpath.dirname(saying.seen.path) == configs.directory


def _handle_foreign(draft: Draft, configs: Configs) -> None:
    """Files of others that define the runtime: refused, or taken over and kept in the record."""
    for one in configs.files:
        defines = draft.wish.name in one.runtimes
        if one in _to_take_over(draft, configs):
            _take_over(draft, one)
        elif draft.wish.present and defines and posixpath.dirname(one.seen.path) != configs.directory:
            draft.notes.append(
                f"{one.seen.path} defines {draft.wish.name} too. Our drop-in is read after it, and counts."
            )
        elif draft.wish.present and defines:
            draft.problems.append(
                f"Defining the runtime {draft.wish.name}: {one.seen.path}, made by {one.owner}, defines it already. Leave it to them, "
                f"choose another {draft.wish.called('name')}, or set {draft.wish.called('take_over', 'true')}: their file is then replaced, and put "
                f"back by {draft.wish.called('state', 'absent')}."
            )
    for path in _taken_over(draft):
        _keep_or_put_back(draft, path)


def _to_take_over(draft: Draft, configs: Configs) -> List[CrioFile]:
    wish = draft.wish
    found = [
        one
        for one in configs.files
        if wish.name in one.runtimes and posixpath.dirname(one.seen.path) == configs.directory
    ]
    return found if wish.present and wish.take_over else []


def _refuse_to_dangle(draft: Draft, configs: Configs) -> None:
    """A default runtime that others name, and that goes with what is written anew or taken over; or was hidden by that so far."""
    left = configs.without(_to_take_over(draft, configs))
    ours = (draft.wish.default and not left.flag) or left.default == draft.wish.name
    if not ours and _dangles(left):
        draft.problems.append(
            f"Restarting CRI-O: it would not start, since {left.default_by} makes {left.default} the default runtime, and nothing would describe "
            "a runtime of that name. Set another default there first."
        )


def _dangles(configs: Configs) -> bool:
    """Whether the default runtime is one that nobody but us describes, under whatever name a former run has put it in."""
    # Of a version that is not known, either may be built in.
    built_in = (configs.built_in,) if configs.version else ("runc", "crun")
    return configs.default not in (*built_in, *configs.runtimes)


def _taken_over(draft: Draft) -> List[str]:
    """Paths of files that a former run took over, and that are still away."""
    return [
        path
        for path, recorded in draft.recorded.items()
        if recorded.result_sha256 is None and not draft.observation.file(path).exists
    ]


def _take_over(draft: Draft, one: CrioFile) -> None:
    if one.beside:
        draft.problems.append(
            f"Taking over {one.seen.path} (by {one.owner}): it also sets {', '.join(one.beside)}, which would be lost. Move that "
            "into a file of its own first."
        )
        return
    others = sorted(set(one.runtimes) - {draft.wish.name})
    if others:
        draft.warnings.append(
            f"With {one.seen.path} the runtimes {', '.join(others)} go too, until {draft.wish.called('state', 'absent')} puts it back."
        )
    # Whatever was recorded of a former one: this is what they have now.
    edited = edit(one.seen, None, WholeFile(None), True)
    draft.add(Step(edited, f"take over what {one.owner} wrote"))


def _keep_or_put_back(draft: Draft, path: str) -> None:
    """A file that was taken over stays away while our runtime is there, and comes back with its end."""
    seen = draft.observation.file(path)
    edited = edit(seen, draft.recorded[path], WholeFile(None), draft.wish.present)
    draft.add(Step(edited, "put back what was taken over"))

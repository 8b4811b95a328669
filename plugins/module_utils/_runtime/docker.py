# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the nvidia runtime of a Docker daemon: members of daemon.json, every other byte of which stays. Pure. PRIVATE to the collection.

A restart of the daemon ends its containers, unless live-restore is on; so that is looked at first.
"""

from __future__ import annotations

import posixpath
from typing import Any, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import (
    Draft,
    Step,
    running_units,
    still_default,
    version_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.json_editing import JsonEditor, doubled
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.json_text import (
    BOM,
    JsonTextError,
    Node,
    lookup,
    parse,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import edit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.losing import counted
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Probe, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import add_toolkit_config
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

PATH = "/etc/docker/daemon.json"
SOCKET = "/run/docker.sock"
# Before this version, the daemon takes any word among its features and does nothing by it.
CDI_SINCE = (25,)


def plan(wish: Wish, observation: Observation) -> RuntimePlan:
    """See ``engines.Engine``."""
    draft = Draft("docker", wish, observation)
    path = observation.config_path or PATH
    text = observation.text(path)
    add_toolkit_config(draft)
    root = _parsed(draft, path, text)
    if root is not None:
        _say_what_is_there(draft, root)
        editor = JsonEditor(path, _members(wish, root) if wish.present else (), ("runtimes",))
        if wish.present:
            _refuse_doubled(draft, path, text, editor)
            _refuse_what_docker_cannot(draft, root)
        if not draft.problems:
            _edit(draft, path, editor)
            _compare_with_daemon(draft)
    if draft.restarts or _owes_restart(observation):
        draft.problems.extend(_loss(draft, root))
    return draft.plan(Probe("docker", observation.socket or SOCKET, wish.restart_seconds))


def _owes_restart(observation: Observation) -> bool:
    """Whether a run that was interrupted still has to restart a daemon that answers. One that does not has to come back, whatever it ends."""
    return bool(observation.live and observation.pending and observation.pending.get("owed", True))


def _parsed(draft: Draft, path: str, text: Optional[str]) -> Optional[Node]:
    """The file's root; an empty file counts as {} (so it does for Docker). None if it is unusable, with the problem told."""
    if text is None or not text.strip(BOM + " \t\r\n"):
        return parse("{}")
    try:
        root = parse(text)
    except JsonTextError as error:
        draft.problems.append(
            f"Reading {path}:{error.line}:{error.column}: it is no JSON: {error.reason}. Docker would not start with it "
            "either. Nothing was changed; correct the file first."
        )
        return None
    for where in ((), ("runtimes",), ("runtimes", draft.wish.name), ("features",)):
        found = lookup(root, where)
        if found is not None and not found.is_object:
            wrong = JsonTextError(text, found.start, f"{'.'.join(where) or 'the file'} is no object")
            draft.problems.append(
                f"Reading {path}:{wrong.line}:{wrong.column}: {wrong.reason}. Correct the file first."
            )
    return root if not draft.problems else None


def _members(wish: Wish, root: Node) -> Tuple[Tuple[Tuple[str, ...], Any], ...]:
    wanted: List[Tuple[Tuple[str, ...], Any]] = []
    if not _found_in_path(wish, root):
        wanted.append((("runtimes", wish.name, "path"), wish.binary))
    if wish.default:
        wanted.append((("default-runtime",), wish.name))
    if wish.cdi != "inherit":
        wanted.append((("features", "cdi"), wish.cdi == "true"))
    return tuple(wanted)


def _value(root: Node, *path: str) -> Any:
    found = lookup(root, path)
    return None if found is None else found.value


def _found_in_path(wish: Wish, root: Node) -> bool:
    """Whether the runtime is there by the bare name of the same executable, which the daemon looks up in PATH."""
    path = _value(root, "runtimes", wish.name, "path")
    return bool(path) and path == posixpath.basename(wish.binary)


def _say_what_is_there(draft: Draft, root: Node) -> None:
    wish, unrecorded = draft.wish, not draft.recorded
    draft.kept["runtimes"] = sorted(_value(root, "runtimes") or {})
    draft.kept["default_runtime"] = _value(root, "default-runtime") or "runc"
    if _found_in_path(wish, root):
        draft.notes.append(
            f"runtimes.{wish.name}.path is {posixpath.basename(wish.binary)}, which the daemon finds in PATH. It stays so."
        )
    if unrecorded and not wish.present and wish.name in draft.kept["runtimes"]:
        draft.notes.append(f"runtimes.{wish.name} was not put in from here (there is no record of it), and stays.")
    if wish.present and not wish.default and unrecorded and draft.kept["default_runtime"] == wish.name:
        draft.notes.append(f"default-runtime is {wish.name} already, put in by somebody else. It stays so.")
    if "cri-dockerd" in (draft.observation.kubelet_endpoint or ""):
        draft.notes.append(
            "The kubelet speaks to Docker through cri-dockerd, which hands a RuntimeClass on from 0.4 on only. With an older one "
            f"pods run with {wish.name} only if it is the default."
        )


def _refuse_doubled(draft: Draft, path: str, text: Optional[str], editor: JsonEditor) -> None:
    if not text or not text.strip(BOM + " \t\r\n"):
        return
    for key in doubled(text, [member for member, _value_wanted in editor.members]):
        draft.problems.append(
            f"Editing {path}: {key} is given twice in it, and readers disagree about which one counts. Take one out first."
        )


def _refuse_what_docker_cannot(draft: Draft, root: Node) -> None:
    wish = draft.wish
    if wish.privileged_without_host_devices != "inherit":
        draft.problems.append(
            f"{wish.called('privileged_without_host_devices')} is {wish.privileged_without_host_devices}: Docker knows no such option. "
            "Leave it at inherit on this node."
        )
    if _value(root, "runtimes", wish.name, "runtimeType"):
        draft.problems.append(
            f"Setting runtimes.{wish.name}.path: the entry has a runtimeType, and Docker takes one of the two only. Take the "
            f"entry out, or choose another {wish.called('name')}."
        )
    flag = draft.flag("default-runtime")
    if wish.default and flag is not None:
        draft.problems.append(
            f"Setting default-runtime to {wish.name}: the unit starts the daemon with --default-runtime={flag}, and Docker does "
            f"not start with an option given in both places. Take the flag out of the unit, or set {wish.called('default', 'false')}."
        )
    version = version_of(draft.observation.version)
    if wish.cdi == "true" and version and version < CDI_SINCE:
        draft.problems.append(
            f"{wish.called('cdi')} is true: Docker {draft.observation.version} does not know CDI devices and passes the switch over. "
            "Upgrade to 25.0 or newer, or leave it at inherit."
        )
    if wish.cdi != "inherit" and draft.flag("feature") is not None:
        draft.problems.append(
            "Setting features.cdi: the unit starts the daemon with --feature, and Docker does not start with an option given in "
            f"both places. Set it there, or leave {wish.called('cdi')} at inherit."
        )


def _edit(draft: Draft, path: str, editor: JsonEditor) -> None:
    wish, seen = draft.wish, draft.observation.file(path)
    edited = edit(seen, draft.recorded_of(seen), editor, wish.present)
    after = parse(edited.text) if edited.text and edited.text.strip(BOM + " \t\r\n") else parse("{}")
    flag = draft.flag("default-runtime")
    default = flag or _value(after, "default-runtime")
    if edited.changed and default in draft.kept["runtimes"] and default not in (_value(after, "runtimes") or {}):
        if not _is_added_by_flag(draft, default):
            draft.problems.append(still_default(default, "a flag of the unit (--default-runtime)" if flag else path))
    if draft.recorded and not wish.present and not edited.told and draft.leaving in (_value(after, "runtimes") or {}):
        draft.notes.append(f"runtimes.{draft.leaving} was there before anything was put in from here, and stays.")
    done = ", ".join(".".join(member) for member, _value_wanted in editor.members)
    draft.add(Step(edited, f"set {done}" if wish.present else f"take out what was put in for {draft.leaving}"))


def _is_added_by_flag(draft: Draft, name: str) -> bool:
    words = [word for unit in running_units(draft.observation) for word in unit.argv]
    return any(word.startswith((f"{name}=", f"--add-runtime={name}=")) for word in words)


def _compare_with_daemon(draft: Draft) -> None:
    """A file that says all, and a daemon that was started before it did: pods would not find the runtime."""
    live, wish = draft.observation.live or {}, draft.wish
    if not wish.present or draft.restarts:
        return
    runtimes, default = live.get("runtimes"), live.get("default_runtime")
    if isinstance(runtimes, dict) and wish.name not in runtimes:
        draft.restart_for = f"it runs without the runtime {wish.name}, which its file has"
    elif wish.default and default not in (None, wish.name):
        draft.restart_for = f"its default runtime is {default}, and its file says {wish.name}"


def _loss(draft: Draft, root: Optional[Node]) -> List[str]:
    """Why a restart of the daemon would end containers; empty if it does not, or if that is permitted."""
    live = draft.observation.live or {}
    restores = live.get("live_restore")
    if restores is None and root is not None:
        # The daemon does not answer: what it was started with is the best that is known.
        restores = _value(root, "live-restore") is True or draft.flag("live-restore") in ("", "true")
    running = live.get("containers")
    if (restores and not live.get("swarm")) or running == []:
        return []
    if running is None:
        which = "all of its containers"
    else:
        which = counted([str(one) for one in running], "container")
    why = "it is part of a swarm, where live-restore does not work" if live.get("swarm") else "live-restore is off"
    if draft.wish.permit_live_loss:
        draft.warnings.append(f"Restarting Docker ends {which} ({why}); that is permitted.")
        return []
    return [
        f'Restarting Docker would end {which}, because {why}. Put "live-restore": true into {draft.observation.config_path or PATH} '
        "and run 'systemctl reload docker', then 'systemctl restart docker', which end nothing, or empty the node and set "
        f"{draft.wish.called('permit_live_loss', 'true')}."
    ]

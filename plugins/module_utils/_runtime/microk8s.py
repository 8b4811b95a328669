# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the nvidia runtime of MicroK8s, in the template of its containerd. Pure. PRIVATE to the collection.

At every start sed fills the template's ``${...}`` in. So the template is edited as text; the runtime is made like runc, with the
very words that stand there.
"""

from __future__ import annotations

import re
from typing import List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import (
    OPERATOR,
    Draft,
    Step,
    starts_nvidia,
    still_default,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import edit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Probe, RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.templates import (
    Setting,
    TemplateEditor,
    find_table,
    recorded_or_marked,
    replaced_runc,
    section,
    values,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import literal
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import (
    TomlError,
    parse,
    show,
    show_key,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import add_toolkit_config
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

PATH = "/var/snap/microk8s/current/args/containerd-template.toml"
SOCKET = "/var/snap/microk8s/common/run/containerd.sock"
PLUGINS = ("io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri")
_VERSION = re.compile(r"^[ \t]*version[ \t]*=[ \t]*(\d+)", re.MULTILINE)


def plan(wish: Wish, observation: Observation) -> RuntimePlan:
    """See ``engines.Engine``."""
    draft = Draft("microk8s", wish, observation)
    path = observation.config_path or PATH
    add_toolkit_config(draft)
    text = _without_ours(draft, path)
    if text is None:
        _tell_missing(draft, path)
    else:
        _edit(draft, path, text)
        _look_at_runc(draft, path, text)
    return draft.plan(Probe("microk8s", observation.socket or SOCKET, wish.restart_seconds))


def _look_at_runc(draft: Draft, path: str, text: str) -> None:
    for plugin in PLUGINS:
        binary = replaced_runc(text, plugin)
        if binary:
            draft.warnings.append(starts_nvidia(draft.wish, "runc", path, binary))


def _without_ours(draft: Draft, path: str) -> Optional[str]:
    seen = draft.observation.file(path)
    if seen.content is None:
        return None
    return edit(seen, recorded_or_marked(draft, seen), TemplateEditor(path), False).text


def _tell_missing(draft: Draft, path: str) -> None:
    seen = draft.observation.file(path)
    if not draft.wish.present:
        draft.notes.append(f"There is no {path}; nothing is to be taken out.")
        return
    draft.problems.append(
        f"Reading {path}: {seen.reason or 'it is missing'}. MicroK8s makes containerd's config of it at every start; reinstall the "
        f"snap, or set {draft.wish.called('engine')} to the one that runs on this node."
    )


def _edit(draft: Draft, path: str, text: str) -> None:
    wish, seen = draft.wish, draft.observation.file(path)
    above = _cri(draft, path, text) if wish.present else ()
    editor = TemplateEditor(path)
    if above:
        default = values(text, (*above, "containerd")).get("default_runtime_name", "").strip("\"'")
        draft.kept["default_runtime"] = default
        if not wish.default and default == wish.name:
            draft.notes.append(f"{wish.name} is the default runtime by a line that is not ours. It stays so.")
        block, settings = _wanted(draft, path, text, above)
        editor = TemplateEditor(path, block, settings)
    edited = edit(seen, recorded_or_marked(draft, seen), editor, wish.present)
    _refuse_to_dangle(draft, path, edited.text or "")
    done = f"define the runtime {wish.name} in" if wish.present else f"take {draft.leaving} out of"
    if not wish.present and _defines(edited.text or "", str(draft.leaving)):
        done = f"take out what was put in for {draft.leaving} from"
        draft.notes.append(
            f"{path} still defines the runtime {draft.leaving}, not as it was put in from here: it stays."
        )
    draft.add(Step(edited, f"{done} MicroK8s' template"))


def _defines(text: str, name: str) -> bool:
    return any(find_table(text, ("plugins", plugin, "containerd", "runtimes", name)) for plugin in PLUGINS)


def _refuse_to_dangle(draft: Draft, path: str, text: str) -> None:
    before = draft.observation.text(path) or ""
    for plugin in PLUGINS:
        above = ("plugins", plugin, "containerd")
        default = values(text, above).get("default_runtime_name", "").strip("\"'")
        runtime = (*above, "runtimes", default)
        if default and find_table(before, runtime) is not None and find_table(text, runtime) is None:
            draft.problems.append(still_default(default, path))


def _cri(draft: Draft, path: str, text: str) -> Tuple[str, ...]:
    """The CRI plugin's table; () if the template has none that we know, with the problem told."""
    for plugin in PLUGINS:
        if find_table(text, ("plugins", plugin)) is not None:
            return "plugins", plugin
    found = _VERSION.search(text)
    version = f"of version {found.group(1)}" if found else "without a version, which is version 1"
    draft.problems.append(
        f"Editing {path}: it is a template {version} and has no table of {' or '.join(PLUGINS)}. Upgrade MicroK8s, or put its own "
        "template back (from /snap/microk8s/current/default-args/)."
    )
    return ()


def _wanted(draft: Draft, path: str, text: str, above: Tuple[str, ...]) -> Tuple[str, Tuple[Setting, ...]]:
    """Our block, and our lines in tables that are there."""
    wish = draft.wish
    settings: List[Setting] = []
    lines: List[str] = []
    asked = [(above, "enable_cdi", wish.cdi)] if wish.cdi != "inherit" else []
    asked += [((*above, "containerd"), "default_runtime_name", f'"{wish.name}"')] if wish.default else []
    for table, key, value in asked:
        if section(text, table) is not None:
            settings.append(Setting(table, key, value))
        else:
            lines += [f"[{show(table)}]", f"  {key} = {value}", ""]
    runtime = (*above, "containerd", "runtimes", wish.name)
    if find_table(text, runtime) is None:
        try:
            lines += _table(wish, text, above, runtime)
        except TomlError as error:
            draft.problems.append(str(error))
    else:
        _look_at_table(draft, path, text, runtime)
    return "\n".join(lines) + "\n" if lines else "", tuple(settings)


def _table(wish: Wish, text: str, above: Tuple[str, ...], runtime: Tuple[str, ...]) -> List[str]:
    """Lines of the runtime, made like runc."""
    runc = (*above, "containerd", "runtimes", "runc")
    table = {"runtime_type": '"io.containerd.runc.v2"', **values(text, runc)}
    # Within braces they cannot stand beside a table of their own.
    inline = parse(f"options = {table.pop('options', '{}')}", "the options of runc in the template")["options"]
    if wish.privileged_without_host_devices != "inherit":
        table["privileged_without_host_devices"] = wish.privileged_without_host_devices
    options = {show_key(key): literal(value) for key, value in inline.items()}
    options.update({**values(text, (*runc, "options")), "BinaryName": literal(wish.binary)})
    return [
        f"[{show(runtime)}]",
        *[f"  {key} = {value}" for key, value in table.items()],
        "",
        f"[{show((*runtime, 'options'))}]",
        *[f"  {key} = {value}" for key, value in options.items()],
    ]


def _look_at_table(draft: Draft, path: str, text: str, runtime: Tuple[str, ...]) -> None:
    """A table of this name that is not ours: fine if it is what the wish wants, else refused."""
    wish = draft.wish
    binary = values(text, (*runtime, "options")).get("BinaryName", "").strip("\"'")
    privileged = values(text, runtime).get("privileged_without_host_devices", "false")
    wanted = wish.privileged_without_host_devices
    if binary == wish.binary and wanted in ("inherit", privileged):
        draft.notes.append(f"{path} defines the runtime {wish.name} as it shall be, and not by us. It stays so.")
        return
    owner = "NVIDIA's GPU Operator" if binary.startswith(OPERATOR) else "somebody else"
    draft.problems.append(
        f"Defining the runtime {wish.name} in {path}: line {find_table(text, runtime)} has a table of that name already, made by "
        f"{owner} (BinaryName {binary!r}, privileged_without_host_devices {privileged}), and a table that is declared twice stops "
        f"containerd. Choose another {wish.called('name')}, or take theirs out ('microk8s disable gpu' where the add-on made it)."
    )

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decide where a k3s or RKE2 node gets the runtime's table from. Pure. PRIVATE to the collection.

The distribution finds NVIDIA's executable by itself; that is enough for the plain wish. What the wish wants beyond it stands
in a drop-in, where config.toml imports a folder of such, or in a template that begins with the base. A table that the base
may have is never declared in a template: declared twice, containerd does not start.
"""

from __future__ import annotations

import posixpath
from typing import Any, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import (
    HEADER,
    Draft,
    Step,
    starts_nvidia,
    still_default,
    version_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.k3s_config import (
    BASE_SINCE,
    DROP_IN,
    FOLDERS,
    FOUND_BY_ITSELF,
    OF_BASE,
    SEARCHED,
    SEARCHED_BEFORE,
    SEARCHED_SINCE,
    Containerd,
    has,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import edit, whole
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.own_files import beside_of_containerd, own_steps
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.templates import (
    BASE,
    TemplateEditor,
    find_table,
    recorded_or_marked,
    replaced_runc,
    uses_base,
    values,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import literal
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import show

TYPE = "io.containerd.runc.v2"


def add_runtime(draft: Draft, containerd: Containerd, default: bool) -> None:
    """Take what the runtime's table needs into the plan.

    :param default: the runtime is to be made the default in containerd's own config.
    """
    ours, names = _DropIn(draft, containerd), _names(containerd)
    wanted = ours.wanted(default) if draft.wish.present else None
    editor: Optional[TemplateEditor] = None
    if wanted is not None and containerd.imported is None:
        wanted, editor = None, _template(draft, containerd, default)
    elif wanted is not None and not containerd.second:
        draft.problems.append(
            f"Adding {draft.wish.name} to {containerd.imported}: containerd 1.x replaces its whole CRI table by an imported "
            f"file's, so that the network's settings would be lost. Upgrade {draft.engine}, or use the plain runtime nvidia."
        )
    for path in names:
        seen = draft.observation.file(path)
        text = (
            wanted if containerd.imported and path == posixpath.join(containerd.imported, f"{DROP_IN}.toml") else None
        )
        edited = whole(seen, text, draft.wish.present)
        for step in own_steps(
            draft, edited, _said("drop-in", draft, text is not None), beside_of_containerd(draft, seen)
        ):
            draft.add(step)
    _add_template(draft, containerd, editor)
    _refuse_to_dangle(draft, containerd)
    for path, foreign in _foreign(draft, containerd):
        binary = replaced_runc(foreign, containerd.plugin)
        if binary:
            draft.warnings.append(starts_nvidia(draft.wish, "runc", path, binary))


def found_at_start(draft: Draft) -> Optional[str]:
    """The executable that the next start finds for a runtime of this name, and writes a table of; None if it looks for none.

    That of the wish counts as one that is there.
    """
    wish, observation = draft.wish, draft.observation
    name = FOUND_BY_ITSELF.get(wish.name)
    if name is None:
        return None
    before = has(version_of(observation.version), SEARCHED_SINCE) is False
    paths = [posixpath.join(directory, name) for directory in (SEARCHED_BEFORE if before else SEARCHED)]
    return next((path for path in paths if path == wish.binary or observation.binary(path).get("exists")), None)


def finds_by_itself(draft: Draft) -> bool:
    """Whether the distribution finds this very executable under this very name at its start."""
    return found_at_start(draft) == draft.wish.binary


class _DropIn:
    """Our file in the folder that config.toml imports."""

    def __init__(self, draft: Draft, containerd: Containerd) -> None:
        self._draft = draft
        self._containerd = containerd
        self._path = posixpath.join(containerd.imported or "", f"{DROP_IN}.toml")

    def wanted(self, default: bool) -> Optional[str]:
        """Its text; None if the base has all that the wish wants."""
        wish, containerd = self._draft.wish, self._containerd
        above: Tuple[str, ...] = ("plugins", containerd.plugin)
        lines: List[str] = []
        if _cdi_missing(self._draft, containerd):
            lines += [f"[{show(above)}]", f"  enable_cdi = {wish.cdi}", ""]
        if default:
            lines += [f"[{show((*above, 'containerd'))}]", f'  default_runtime_name = "{wish.name}"', ""]
        table = runtime_lines(self._draft, containerd, _systemd_cgroup(containerd))
        text = "\n".join([HEADER, f"version = {containerd.schema}", "", *lines, *table]) + "\n"
        if lines or _table_missing(self._draft, containerd):
            return text
        # The base gets the table at the start that our file was made for. Then both say the same; taking ours away would
        # only mean another restart.
        there = containerd.imported is not None and self._draft.observation.text(self._path) == text
        return text if there else None


def runtime_lines(draft: Draft, containerd: Containerd, systemd_cgroup: str) -> List[str]:
    """The runtime's table as lines of TOML.

    :param systemd_cgroup: "true", "false", an expression of the template, or "" to leave it out.
    """
    wish = draft.wish
    above = ("plugins", containerd.plugin, "containerd", "runtimes", wish.name)
    lines = [f"[{show(above)}]", f'  runtime_type = "{TYPE}"']
    if wish.privileged_without_host_devices != "inherit":
        lines.append(f"  privileged_without_host_devices = {wish.privileged_without_host_devices}")
    lines += ["", f"[{show((*above, 'options'))}]", f"  BinaryName = {literal(wish.binary)}"]
    if systemd_cgroup:
        lines.append(f"  SystemdCgroup = {systemd_cgroup}")
    return lines


def _systemd_cgroup(containerd: Containerd) -> str:
    options = (containerd.runtimes.get("runc") or {}).get("options") or {}
    return str(options["SystemdCgroup"]).lower() if "SystemdCgroup" in options else ""


def _table_missing(draft: Draft, containerd: Containerd) -> bool:
    """Whether the wish wants what the config of the last start does not have and the next one does not bring by itself."""
    wish = draft.wish
    table = containerd.runtimes.get(wish.name)
    if wish.name not in OF_BASE:
        return True
    if not isinstance(table, Mapping):
        return containerd.imported is not None or not finds_by_itself(draft) or _beyond(draft, {})
    options = table.get("options") or {}
    # That of the last start, and that of the next one.
    other = options.get("BinaryName") != wish.binary or found_at_start(draft) not in (None, wish.binary)
    return other or _beyond(draft, table)


def _beyond(draft: Draft, table: Mapping[str, Any]) -> bool:
    wanted = draft.wish.privileged_without_host_devices
    return wanted != "inherit" and table.get("privileged_without_host_devices", False) is not (wanted == "true")


def _cdi_missing(draft: Draft, containerd: Containerd) -> bool:
    # From containerd 2 on, CDI is on unless something says otherwise.
    now = containerd.cri.get("enable_cdi", containerd.second)
    return draft.wish.cdi != "inherit" and now is not (draft.wish.cdi == "true")


def _names(containerd: Containerd) -> List[str]:
    return [posixpath.join(containerd.directory, folder, f"{DROP_IN}.toml") for folder in FOLDERS]


def _template(draft: Draft, containerd: Containerd, default: bool) -> Optional[TemplateEditor]:
    """What a template needs. All reasons against it are problems of the draft."""
    wish, engine = draft.wish, draft.engine
    path = containerd.template.path if containerd.template else containerd.new_template
    newer = f"A {engine} that imports {containerd.directory}/config-v3.toml.d can"
    before = len(draft.problems)
    if wish.name in OF_BASE and _table_missing(draft, containerd):
        draft.problems.append(
            f"Setting the runtime {wish.name} (executable {wish.binary}, privileged_without_host_devices "
            f"{wish.privileged_without_host_devices}): {engine} declares that table by itself when it finds the executable at its "
            f"start, and a template that declares it again stops containerd ('table {wish.name} already exists'). {newer}; "
            f"here, {_instead(draft)}choose another {wish.called('name')}, such as gpu, or leave the options at what the distribution sets."
        )
    if default or _cdi_missing(draft, containerd):
        what = f"{wish.name} the default runtime" if default else f"enable_cdi {wish.cdi}"
        draft.problems.append(
            f"Making {what}: the table that says so is in {engine}'s base, and a template cannot declare it again. {newer}."
        )
    draft.problems.extend(_unusable(draft, containerd, path))
    if len(draft.problems) > before:
        return None
    return TemplateEditor(path, _block(draft, containerd), start=BASE)


def _instead(draft: Draft) -> str:
    found = found_at_start(draft)
    return (
        f"set {draft.wish.called('binary')} to {found}, which it finds first, "
        if found not in (None, draft.wish.binary)
        else ""
    )


def _block(draft: Draft, containerd: Containerd) -> str:
    return "\n".join(runtime_lines(draft, containerd, "{{ .SystemdCgroup }}")) + "\n"


def _unusable(draft: Draft, containerd: Containerd, path: str) -> List[str]:
    """Why a template cannot take our table."""
    wish, seen = draft.wish, containerd.template
    found = []
    if has(version_of(draft.observation.version), BASE_SINCE) is False:
        found.append(
            f"Adding {wish.name} to {path}: {draft.engine} {draft.observation.version} has no base that a template could begin "
            "with, and a template without it loses the network's settings. Upgrade first."
        )
    text = _foreign_text(draft, seen)
    if text and not uses_base(text):
        found.append(
            f"Adding {wish.name} to {path}: the template writes all of containerd's config itself and lacks {BASE.strip()!r}, so "
            f"that it goes out of date with every upgrade. Begin it with {BASE.strip()} and keep only what differs, then run this "
            "again."
        )
    line = find_table(text, ("plugins", containerd.plugin, "containerd", "runtimes", wish.name))
    # Ours that no record tells of any more: it stays, and nothing is declared twice.
    if line is not None and _block(draft, containerd) not in text.replace("\r\n", "\n"):
        found.append(
            f"Adding {wish.name} to {path}: line {line} declares it already, and a table that is declared twice stops containerd. "
            f"Take it out there, or choose another {wish.called('name')}."
        )
    return found


def _foreign_text(draft: Draft, seen: Optional[SeenFile]) -> str:
    """A template without what is ours in it."""
    if seen is None or seen.content is None:
        return ""
    edited = edit(seen, recorded_or_marked(draft, seen), TemplateEditor(seen.path), False)
    return edited.text or ""


def _add_template(draft: Draft, containerd: Containerd, editor: Optional[TemplateEditor]) -> None:
    """Ours into the template that counts, and out of every other one that a former run put it into."""
    paths = [posixpath.join(containerd.directory, f"config{kind}.toml.tmpl") for kind in ("-v3", "")]
    for path in paths:
        seen = draft.observation.file(path)
        recorded = recorded_or_marked(draft, seen)
        here = editor if editor is not None and editor.name == path else None
        if here is None and recorded is None:
            continue
        edited = edit(seen, recorded, here or TemplateEditor(path), here is not None)
        draft.add(Step(edited, _said("template", draft, here is not None)))


def _refuse_to_dangle(draft: Draft, containerd: Containerd) -> None:
    """A default runtime that somebody else's file names, and only ours described: no pod would start any more."""
    if found_at_start(draft):
        return
    above = ("plugins", containerd.plugin, "containerd")
    for path, text in _foreign(draft, containerd):
        name = values(text, above).get("default_runtime_name", "").strip("\"'")
        table = (*above, "runtimes", name)
        before = [find_table(step.edited.seen.content or "", table) for step in draft.steps]
        after = [find_table(step.edited.text or "", table) for step in draft.steps]
        if name and any(before) and not any(after):
            draft.problems.append(still_default(name, path))


def _foreign(draft: Draft, containerd: Containerd) -> List[Tuple[str, str]]:
    """Path and text of what others tell containerd: their drop-ins, and the template."""
    folder = containerd.imported
    names = draft.observation.names(folder) if folder else []
    names = [one for one in names if one.endswith(".toml") and one != f"{DROP_IN}.toml"]
    found = [(path, draft.observation.text(path)) for path in (posixpath.join(folder or "", one) for one in names)]
    if containerd.template is not None:
        found.append((containerd.template.path, _foreign_text(draft, containerd.template)))
    return [(path, text) for path, text in found if text]


def _said(where: str, draft: Draft, present: bool) -> str:
    if present:
        return f"define the runtime {draft.wish.name} in {draft.engine}'s {where}"
    return f"take our runtime out of {draft.engine}'s {where}"

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files of a k3s or RKE2 node, and what its containerd runs with. Pure. PRIVATE to the collection.

Both are the same program in this: they write containerd's ``config.toml`` anew at every start, of their own base or of a
template, and look for NVIDIA's executables in a few directories by themselves.
"""

from __future__ import annotations

import fnmatch
import posixpath
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

# Used on the control node only, where it is required.
with suppress(ImportError):
    import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import Draft, version_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import edit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.templates import (
    TemplateEditor,
    recorded_or_marked,
    uses_base,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import TomlError, lookup, parse

DROP_IN = "80-kubegpu-sharing"
DEFAULT_RUNTIME = "default-runtime"
#: Of drop-ins for containerd: the base of version 3 imports the first one, that of version 2 the other.
FOLDERS = ("config-v3.toml.d", "config.toml.d")
PLUGINS = {2: "io.containerd.grpc.v1.cri", 3: "io.containerd.cri.v1.runtime", 4: "io.containerd.cri.v1.runtime"}
#: Runtimes that the distribution's base has tables of: runc always, the others where it finds their executables at its start.
OF_BASE = (
    "runc",
    "crun",
    "nvidia",
    "nvidia-experimental",
    "nvidia-cdi",
    "lunatic",
    "slight",
    "spin",
    "wws",
    "wasmedge",
    "wasmer",
    "wasmtime",
)
#: Where it looks for them, in this order; versions before SEARCHED_SINCE look in two of them only.
SEARCHED = ("/usr/local/nvidia/toolkit", "/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin")
SEARCHED_BEFORE = ("/usr/local/nvidia/toolkit", "/usr/bin")
#: Runtimes that it finds, and the executable that it looks for.
FOUND_BY_ITSELF = {
    "nvidia": "nvidia-container-runtime",
    "nvidia-experimental": "nvidia-container-runtime-experimental",
    "nvidia-cdi": "nvidia-container-runtime.cdi",
}
# The first patch of each minor version that has a thing; every later minor has it.
DEFAULT_RUNTIME_SINCE = {26: 12, 27: 9, 28: 5}
SEARCHED_SINCE = {26: 14, 27: 11, 28: 7, 29: 2}
BASE_SINCE = {24: 17, 25: 13, 26: 8, 27: 5, 28: 1}
# All of 1.30 and before stay with containerd 1.7.
CONTAINERD_2_SINCE = {31: 6, 32: 2}


@dataclass(frozen=True)
class Distribution:
    """k3s or RKE2.

    :param kubectl: how a server asks its own cluster.
    """

    name: str
    kubectl: Tuple[str, ...]

    @property
    def config(self) -> str:
        """Its own config file."""
        return f"/etc/rancher/{self.name}/config.yaml"

    @property
    def drop_in(self) -> str:
        """Our file beside it."""
        return f"{self.config}.d/{DROP_IN}.yaml"


def has(version: Tuple[int, ...], since: Mapping[int, int]) -> Optional[bool]:
    """Whether a version has what came with these patches; None if the version is not known."""
    if len(version) < 3:
        return None
    minor, patch = version[1], version[2]
    return patch >= since[minor] if minor in since else minor > max(since)


@dataclass(frozen=True)
class Containerd:
    """Its containerd.

    :param directory: of its files.
    :param generated: config.toml as the last start wrote it; {} if it was never started.
    :param imported: directory whose files the next start imports; None if it imports none of the two.
    :param template: the template that the next start takes; None if it takes its own base.
    :param second: whether it is containerd 2 or newer.
    :param schema: version of the config file that the next start writes.
    """

    directory: str
    generated: Mapping[str, Any] = field(default_factory=dict)
    imported: Optional[str] = None
    template: Optional[SeenFile] = None
    second: bool = True
    schema: int = 3

    @property
    def plugin(self) -> str:
        """Name of the CRI plugin's table."""
        return PLUGINS.get(self.schema, "cri")

    @property
    def cri(self) -> Mapping[str, Any]:
        """That table, as the last start wrote it."""
        # From version 3 on, a table of the old name is there too, of the streaming server alone.
        found = (lookup(self.generated, ("plugins", PLUGINS[version])) for version in (3, 2))
        return next((one for one in found if isinstance(one, Mapping)), {})

    @property
    def runtimes(self) -> Mapping[str, Any]:
        """Tables of its runtimes."""
        found = lookup(self.cri, ("containerd", "runtimes"))
        return found if isinstance(found, Mapping) else {}

    def leaves_out(self, name: str) -> Optional[str]:
        """Path of the template, if it neither begins with the base nor uses what the distribution has under that name."""
        text = self.template.content if self.template else None
        if self.template is None or not text or uses_base(text) or name in text:
            return None
        return self.template.path

    @property
    def new_template(self) -> str:
        """Path of a template that is made."""
        return posixpath.join(self.directory, "config-v3.toml.tmpl" if self.schema >= 3 else "config.toml.tmpl")


def read_containerd(draft: Draft, distribution: Distribution) -> Containerd:
    """What is known of the node's containerd. A config.toml that is no TOML is a problem of the draft."""
    observation = draft.observation
    path = observation.config_path or f"/var/lib/rancher/{distribution.name}/agent/etc/containerd/config.toml"
    directory = posixpath.dirname(path)
    generated: Dict[str, Any] = {}
    try:
        generated = parse(observation.text(path) or "", path)
    except TomlError as error:
        draft.problems.append(f"{error} It was made of a template beside it: look there.")
    templates = [observation.file(posixpath.join(directory, f"config{kind}.toml.tmpl")) for kind in ("-v3", "")]
    second = has(version_of(observation.version), CONTAINERD_2_SINCE) is not False
    # The one without v3 is taken by containerd 2 where the other is missing, with the old schema.
    taken = next((one for one in (templates if second else templates[1:]) if one.exists), None)
    imported = _imported(generated, directory)
    if second and imported and taken and _is_ours(draft, taken):
        # A drop-in takes its place, so that the next start takes the base, whatever the template of the last one was.
        return Containerd(directory, generated, posixpath.join(directory, FOLDERS[0]))
    return Containerd(directory, generated, imported, taken, second, _schema(generated, taken, second))


def _is_ours(draft: Draft, template: SeenFile) -> bool:
    """Whether nothing is left of a template once ours is taken out."""
    return edit(template, recorded_or_marked(draft, template), TemplateEditor(template.path), False).text is None


def _schema(generated: Mapping[str, Any], template: Optional[SeenFile], second: bool) -> int:
    said = generated.get("version")
    if isinstance(said, int):
        return said
    legacy = template is not None and template.path.endswith("/config.toml.tmpl")
    return 3 if second and not legacy else 2


def _imported(generated: Mapping[str, Any], directory: str) -> Optional[str]:
    patterns = generated.get("imports")
    for folder in FOLDERS:
        path = posixpath.join(directory, folder, f"{DROP_IN}.toml")
        if isinstance(patterns, list) and any(fnmatch.fnmatchcase(path, str(one)) for one in patterns):
            return posixpath.dirname(path)
    return None


@dataclass(frozen=True)
class Options:
    """What one of its own config files says.

    :param data: options without the leading dashes; a plus sign at the end of a key appends.
    """

    path: str
    data: Mapping[str, Any]

    def value(self, name: str) -> Optional[str]:
        """An option's value as text; None if the file does not say it."""
        found = self.data.get(name, self.data.get(f"{name}+"))
        return None if found is None else str(found)


def read_options(draft: Draft, distribution: Distribution) -> List[Options]:
    """Its files but ours, in the order of reading: a later value counts more."""
    observation = draft.observation
    directory = f"{distribution.config}.d"
    names = [name for name in observation.names(directory) if name.lower().endswith((".yaml", ".yml"))]
    found = []
    for path in (distribution.config, *(posixpath.join(directory, name) for name in names)):
        seen = observation.file(path)
        if seen.problem:
            draft.problems.append(f"Reading {path}: {seen.reason}.")
        if path != distribution.drop_in and seen.content is not None:
            found.append(Options(path, _mapping(draft, path, seen.content)))
    return found


def options_beside(seen: SeenFile, own: str) -> List[str]:
    """Options in a file that is ours but for one of them."""
    try:
        data = yaml.safe_load(seen.content or "")
    except yaml.YAMLError:
        # What cannot be read has no effect that could be lost.
        return []
    return [str(key) for key in data if key != own] if isinstance(data, dict) else []


def _mapping(draft: Draft, path: str, text: str) -> Mapping[str, Any]:
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        what = getattr(error, "problem", None) or "it is no YAML"
        draft.problems.append(
            f"Reading {path}{place}: {what}. {draft.engine} does not start with it either; correct it."
        )
        return {}
    if data is not None and not isinstance(data, dict):
        draft.problems.append(
            f"Reading {path}: it is no mapping of options. {draft.engine} does not start with it; correct it."
        )
        return {}
    return data or {}

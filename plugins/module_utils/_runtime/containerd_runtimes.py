# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a containerd config has to say for a runtime to be there. Pure. PRIVATE to the collection."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import Ours
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import Path, flatten, lookup
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

RUNC_SHIM = "io.containerd.runc.v2"
#: Values that containerd takes anyway where a runtime's table does not say them.
_IMPLIED = {"sandboxer": "podsandbox"}
#: What NVIDIA's executables of runtimes begin with.
NVIDIA = "nvidia-container-runtime"


@dataclass(frozen=True)
class Wanted:
    """Values to be set, by paths below ``plugins.<CRI plugin>``.

    :param values: in the order of writing.
    :param source: the runtime whose table was copied; None: there was none to copy.
    :param restored: runtimes that get their own executable back.
    """

    values: Tuple[Tuple[Path, Any], ...] = ()
    source: Optional[str] = None
    restored: Tuple[str, ...] = ()

    def under(self, plugin: str) -> List[Tuple[Path, Any]]:
        """The values by whole paths."""
        return [(("plugins", plugin, *path), value) for path, value in self.values]

    def ours(self, name: str, plugin: str) -> Ours:
        """What a dump has to show."""
        values = tuple(self.under(plugin))
        return Ours(values, (("plugins", plugin, *runtime_path(name)), *(path for path, value in values)))


def runtime_path(name: str) -> Path:
    """The table of a runtime below the CRI plugin's."""
    return ("containerd", "runtimes", name)


def wanted(wish: Wish, cri: Mapping[str, Any], recorded: Mapping[str, Any]) -> Wanted:
    """What the wish needs beside what containerd has.

    :param cri: the CRI plugin's table as it takes effect.
    :param recorded: {name, source, restored} of a former run: its own result hides what it began from.
    """
    source = _source(wish, cri, recorded)
    table = lookup(cri, runtime_path(source)) if source else None
    values: List[Tuple[Path, Any]] = []
    if wish.cdi != "inherit":
        values.append((("enable_cdi",), wish.cdi == "true"))
    if wish.default:
        values.append((("containerd", "default_runtime_name"), wish.name))
    values += _runtime_values(wish, table if isinstance(table, Mapping) else {})
    restored: List[str] = []
    if wish.restore_runc:
        restored = sorted({*replaced(wish, cri), *(recorded.get("restored") or [])})
        values += [
            ((*runtime_path(one), "options", "BinaryName"), one if one == "crun" else "runc") for one in restored
        ]
    return Wanted(tuple(values), source, tuple(restored))


def _source(wish: Wish, cri: Mapping[str, Any], recorded: Mapping[str, Any]) -> Optional[str]:
    """The runtime to copy: the default one, unless that is the one to be made, or no runc at all (a virtual machine)."""
    tables = lookup(cri, ("containerd", "runtimes"))
    runtimes: Mapping[str, Any] = tables if isinstance(tables, Mapping) else {}
    default = lookup(cri, ("containerd", "default_runtime_name"))
    own = (wish.name, recorded.get("name"))
    first = recorded.get("source") if default in own else default
    for name in [first, "runc", "crun", *runtimes]:
        table = runtimes.get(name) if isinstance(name, str) else None
        if name not in own and isinstance(table, Mapping) and table.get("runtime_type") == RUNC_SHIM:
            return str(name)
    return None


def _runtime_values(wish: Wish, table: Mapping[str, Any]) -> List[Tuple[Path, Any]]:
    """The runtime's table: a copy without what containerd takes anyway."""
    copied = _said(table)
    copied.pop(("options", "BinaryName"), None)
    copied[("runtime_type",)] = RUNC_SHIM
    if wish.privileged_without_host_devices != "inherit":
        copied[("privileged_without_host_devices",)] = wish.privileged_without_host_devices == "true"
    options = {path: value for path, value in copied.items() if len(path) > 1}
    plain = {path: value for path, value in copied.items() if len(path) == 1}
    ordered: List[Tuple[Path, Any]] = [(("runtime_type",), plain.pop(("runtime_type",))), *plain.items()]
    ordered += [(("options", "BinaryName"), wish.binary), *options.items()]
    return [((*runtime_path(wish.name), *path), value) for path, value in ordered]


def _said(table: Mapping[str, Any]) -> Dict[Path, Any]:
    """Values of a runtime's table that containerd would not take anyway."""
    return {path: value for path, value in flatten(table).items() if is_said(path, value)}


def is_said(path: Path, value: Any) -> bool:
    """Whether a value of a runtime's table is another one than containerd would take without it."""
    return value not in ("", 0, [], {}, None) and _IMPLIED.get(path[0]) != value


def others(wish: Wish, cri: Mapping[str, Any], recorded: Mapping[str, Any]) -> List[Tuple[Path, Any]]:
    """All values of the runtimes that take effect and are not ours; of the built-in one without any."""
    tables = lookup(cri, ("containerd", "runtimes"))
    runtimes = tables if isinstance(tables, Mapping) else {}
    foreign = {name: table for name, table in runtimes.items() if name not in (wish.name, recorded.get("name"))}
    said = [
        ((*runtime_path(str(name)), *path), value)
        for name, table in foreign.items()
        if isinstance(table, Mapping)
        for path, value in _said(table).items()
    ]
    return said or [((*runtime_path("runc"), "runtime_type"), RUNC_SHIM)]


def replaced(wish: Wish, cri: Mapping[str, Any]) -> List[str]:
    """Names of runtimes beside the wished one whose executable is NVIDIA's: every container starts through it."""
    tables = lookup(cri, ("containerd", "runtimes"))
    found = []
    for name, table in (tables if isinstance(tables, Mapping) else {}).items():
        binary = lookup(table, ("options", "BinaryName")) if isinstance(table, Mapping) else None
        if name in ("runc", "crun") and isinstance(binary, str) and name != wish.name and is_nvidia(binary, wish):
            found.append(str(name))
    return found


def is_nvidia(binary: str, wish: Wish) -> bool:
    """Whether an executable is NVIDIA's, by its name, or the wished one."""
    return binary == wish.binary or posixpath.basename(binary).startswith(NVIDIA)


def binaries(cri: Mapping[str, Any]) -> Dict[str, str]:
    """Executable of each runtime by its name; "" where it is the usual one."""
    tables = lookup(cri, ("containerd", "runtimes"))
    return {
        str(name): str(lookup(table, ("options", "BinaryName")) or "")
        for name, table in (tables if isinstance(tables, Mapping) else {}).items()
        if isinstance(table, Mapping)
    }

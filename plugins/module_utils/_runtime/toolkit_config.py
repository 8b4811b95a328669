# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit config.toml of NVIDIA's container toolkit, of which every other byte stays. Pure. PRIVATE to the collection.

The runtime reads the file at the start of every container, so that no engine has to restart for it. What the file does
not say is the toolkit's default: a file that is made holds ours alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import OPERATOR, Draft, Step
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import edit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_arrays import (
    add_element,
    drop_element,
    put_first,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import (
    put,
    put_raw,
    raw_value,
    take_out,
    take_out_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import (
    Path,
    TomlError,
    lookup,
    parse,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

PATH = "/etc/nvidia-container-runtime/config.toml"
VOLUME_MOUNTS = "accept-nvidia-visible-devices-as-volume-mounts"
ENVIRONMENT = "accept-nvidia-visible-devices-envvar-when-unprivileged"
SECTION = "nvidia-container-runtime"
_RUNTIMES = (SECTION, "runtimes")

#: For each choice of `visible_devices`: the switches that say so.
SWITCHES: Dict[str, Dict[str, bool]] = {
    "unchanged": {},
    "both": {VOLUME_MOUNTS: True, ENVIRONMENT: True},
    "volume_mounts": {VOLUME_MOUNTS: True, ENVIRONMENT: False},
}


@dataclass(frozen=True)
class ToolkitEditor:
    """Sets switches, and puts an executable first among those that the runtime hands containers to.

    :param switches: keys of the file's root.
    :param low_level: name or path of the executable that is to come first; "": the list stays.
    """

    switches: Mapping[str, bool] = field(default_factory=dict)
    low_level: str = ""

    def with_ours(self, base: Optional[str]) -> Tuple[Optional[str], Dict[str, Any]]:
        """See ``laws.Editor``."""
        text = base or ""
        ours: Dict[str, Any] = {}
        for key, value in self.switches.items():
            before = parse(text, PATH).get(key)
            if before is not value:
                text = put(text, (key,), value)
                ours.setdefault("switches", {})[key] = {"value": value, "before": before}
        if self.low_level:
            text, listed = self._put_first(text)
            ours.update(listed)
        return (text, ours) if ours else (base, {})

    def _put_first(self, text: str) -> Tuple[str, Dict[str, Any]]:
        data = parse(text, PATH)
        before = lookup(data, _RUNTIMES)
        if before and before[0] == self.low_level:
            return text, {}
        # Without the list, the toolkit looks for docker-runc and runc; a list of our own has to name them too.
        others = [one for one in (before or ["docker-runc", "runc"]) if one != self.low_level]
        raw = raw_value(text, _RUNTIMES)
        listed = {"value": [self.low_level, *others], "before": before, "raw": raw, "section_made": SECTION not in data}
        if raw is None:
            return put(text, _RUNTIMES, listed["value"]), {"runtimes": listed}
        if not before:
            for one in (self.low_level, *others):
                text = add_element(text, _RUNTIMES, one)
            return text, {"runtimes": listed}
        for _time in range(before.count(self.low_level)):
            text = drop_element(text, _RUNTIMES, self.low_level, remark_stays=True)
        return put_first(text, _RUNTIMES, self.low_level), {"runtimes": listed}

    def without_ours(self, text: str, ours: Mapping[str, Any]) -> Tuple[Optional[str], List[str]]:
        """See ``laws.Editor``."""
        try:
            data = parse(text, PATH)
        except TomlError as error:
            return text, [f"{error} Nothing was taken out of it."]
        told = []
        for key, one in (ours.get("switches") or {}).items():
            if data.get(key) is one["value"]:
                text = _put_back(text, (key,), one["before"])
            else:
                becomes = "that is undone" if key in self.switches else "it stays as it is"
                told.append(
                    f"{key} in {PATH} was changed since it was set here to {str(one['value']).lower()}; {becomes}."
                )
        listed = ours.get("runtimes")
        if listed:
            text, of_list = _take_out_of_list(text, listed)
            # What is put first anew is not taken out.
            told += [] if self.low_level == listed["value"][0] else of_list
        return text, told

    def same(self, one: Optional[str], other: Optional[str]) -> bool:
        """Equal values are equal to the toolkit."""
        try:
            return one is not None and other is not None and parse(one, PATH) == parse(other, PATH)
        except TomlError:
            return False


def add_toolkit_config(draft: Draft, low_level: str = "") -> None:
    """Take the toolkit's config into an engine's plan: the wish's `visible_devices`, and the engine's own executable.

    :param low_level: executable that the engine's default runtime is, where the toolkit would take another one.
    """
    seen = draft.observation.file(PATH)
    wish, recorded = draft.wish, draft.recorded_of(seen)
    switches, low_level = (SWITCHES[wish.visible_devices], low_level) if wish.present else ({}, "")
    operator = wish.binary.startswith(OPERATOR)
    if operator and (switches or low_level):
        draft.problems.extend(_operator_problems(wish, switches))
        low_level, switches = "", {}
    if recorded is None and not switches and not low_level:
        return
    try:
        section = parse(seen.content or "", PATH).get(SECTION, {})
    except TomlError as error:
        draft.problems.append(str(error))
        return
    if not isinstance(section, dict) or not isinstance(section.get("runtimes", []), list):
        draft.problems.append(
            f"Editing {PATH}: {SECTION} is no table in it, or runtimes there is no list, so that the toolkit cannot read it either. Correct it."
        )
        return
    edited = edit(seen, recorded, ToolkitEditor(switches, low_level), wish.present)
    if edited.changed and recorded and "switches" in recorded.ours and not switches:
        draft.warnings.append(
            f"{PATH} accepts lists of devices as before again. A device plugin that hands them out as volume mounts has to go "
            "back to the environment variable, and GPU pods have to be made anew, or they lose their GPUs at their next start."
        )
    draft.add(Step(edited, _said(switches, low_level), restart=False))


def _operator_problems(wish: Wish, switches: Mapping[str, bool]) -> List[str]:
    if not switches:
        return []
    return [
        f"{wish.called('visible_devices')} is {wish.visible_devices}: {wish.binary} is the GPU Operator's, which reads a config of its "
        f"own and not {PATH}. Set it in the ClusterPolicy (toolkit.env), or leave {wish.called('visible_devices')} unchanged."
    ]


def _said(switches: Mapping[str, bool], low_level: str) -> str:
    parts = [f"set {key} to {str(value).lower()}" for key, value in switches.items()]
    if low_level:
        parts.append(f"put {low_level} first among the toolkit's runtimes")
    return " and ".join(parts) or "take out what was set in the toolkit's config"


def _put_back(text: str, path: Path, before: Any) -> str:
    return take_out(text, path) if before is None else put(text, path, before)


def _take_out_of_list(text: str, listed: Mapping[str, Any]) -> Tuple[str, List[str]]:
    entry, before = listed["value"][0], listed["before"]
    now = lookup(parse(text, PATH), _RUNTIMES)
    if not isinstance(now, list) or entry not in now:
        return text, []
    alone = raw_value(text, _RUNTIMES) is not None
    if now == listed["value"]:
        if before and entry not in before and alone:
            return drop_element(text, _RUNTIMES, entry), []
        raw = listed.get("raw")
        text = put_raw(text, _RUNTIMES, raw) if raw is not None and alone else _put_back(text, _RUNTIMES, before)
        return (take_out_table(text, (SECTION,)) if listed.get("section_made") else text), []
    if entry not in (before or []):
        left = [one for one in now if one != entry]
        text = drop_element(text, _RUNTIMES, entry) if alone else put(text, _RUNTIMES, left)
    return text, [
        f"The list of runtimes in {PATH} was changed since; only {entry} was taken out, the rest stays as it is."
    ]

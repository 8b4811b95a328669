# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit config.toml of NVIDIA's container toolkit, whose style stays. Pure. PRIVATE to the collection.

The runtime reads the file at the start of every container, so that no engine has to restart for it. What the file does
not say is the toolkit's default: a file that is made holds ours alone.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, MutableMapping, Optional, Tuple

# Used on the control node only, where it is required.
with suppress(ImportError):
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import OPERATOR, Draft, Step
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.laws import edit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import BOM, TomlError, parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

PATH = "/etc/nvidia-container-runtime/config.toml"
VOLUME_MOUNTS = "accept-nvidia-visible-devices-as-volume-mounts"
ENVIRONMENT = "accept-nvidia-visible-devices-envvar-when-unprivileged"
SECTION = "nvidia-container-runtime"

#: For each choice of `visible_devices`: the switches that say so.
SWITCHES: Dict[str, Dict[str, bool]] = {
    "unchanged": {},
    "both": {VOLUME_MOUNTS: True, ENVIRONMENT: True},
    "volume_mounts": {VOLUME_MOUNTS: True, ENVIRONMENT: False},
}


def read(text: str) -> Any:
    """The document; a mark of byte order is no part of it.

    :raises TOMLKitError: no TOML.
    """
    return tomlkit.parse(text[len(BOM) :] if text.startswith(BOM) else text)


def written(document: Any, like: Optional[str]) -> str:
    """The document as text with the line ends and the mark of byte order that the text before had."""
    text = tomlkit.dumps(document)
    if like and "\r\n" in like:
        text = re.sub(r"(?<!\r)\n", "\r\n", text)
    return (BOM if like and like.startswith(BOM) else "") + text


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
        document = read(base or "")
        ours: Dict[str, Any] = {}
        for key, value in self.switches.items():
            before = _plain(document.get(key))
            if before is not value:
                document[key] = value
                ours.setdefault("switches", {})[key] = {"value": value, "before": before}
        if self.low_level:
            ours.update(self._put_first(document))
        return (written(document, base), ours) if ours else (base, {})

    def _put_first(self, document: Any) -> Dict[str, Any]:
        made = SECTION not in document
        if made:
            document[SECTION] = tomlkit.table()
        section = document[SECTION]
        before = _plain(section.get("runtimes"))
        if before and before[0] == self.low_level:
            return {}
        # Without the list, the toolkit looks for docker-runc and runc; a list of our own has to name them too.
        others = [one for one in (before or ["docker-runc", "runc"]) if one != self.low_level]
        _set_list(section, "runtimes", [self.low_level, *others])
        return {"runtimes": {"value": [self.low_level, *others], "before": before, "section_made": made}}

    def without_ours(self, text: str, ours: Mapping[str, Any]) -> Tuple[Optional[str], List[str]]:
        """See ``laws.Editor``."""
        try:
            document = read(text)
        except TOMLKitError as error:
            return text, [f"{PATH} is no TOML any more ({error}); nothing was taken out of it."]
        told = []
        for key, one in (ours.get("switches") or {}).items():
            if _plain(document.get(key)) is one["value"]:
                _put_back(document, key, one["before"])
            else:
                becomes = "that is undone" if key in self.switches else "it stays as it is"
                told.append(
                    f"{key} in {PATH} was changed since it was set here to {str(one['value']).lower()}; {becomes}."
                )
        listed = ours.get("runtimes")
        if listed:
            of_list = _take_out_of_list(document, listed)
            # What is put first anew is not taken out.
            told += [] if self.low_level == listed["value"][0] else of_list
        return written(document, text), told

    def same(self, one: Optional[str], other: Optional[str]) -> bool:
        """Equal values are equal to the toolkit."""
        try:
            return one is not None and other is not None and read(one).unwrap() == read(other).unwrap()
        except TOMLKitError:
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


def _plain(value: Any) -> Any:
    return value.unwrap() if hasattr(value, "unwrap") else value


def _put_back(table: MutableMapping[str, Any], key: str, before: Any) -> None:
    if before is None:
        del table[key]
    else:
        table[key] = before


def _set_list(section: Any, key: str, values: List[str]) -> None:
    """Set a list. One that is spread over lines may hold comments, and is changed in place."""
    present = section.get(key)
    if present is None or "\n" not in present.as_string():
        section[key] = values
        return
    for gone in [one for one in present.unwrap() if one not in values]:
        present.remove(gone)
    if values[0] in present.unwrap():
        present.remove(values[0])
    present.insert(0, values[0])


def _take_out_of_list(document: Any, listed: Mapping[str, Any]) -> List[str]:
    section = document.get(SECTION)
    now = _plain(section.get("runtimes")) if section is not None else None
    entry = listed["value"][0]
    if section is None or now is None or entry not in now:
        return []
    if now == listed["value"]:
        _put_back(section, "runtimes", listed["before"])
        if listed.get("section_made") and not section.unwrap():
            del document[SECTION]
        return []
    if entry not in (listed["before"] or []):
        section["runtimes"].remove(entry)
    return [f"The list of runtimes in {PATH} was changed since; only {entry} was taken out, the rest stays as it is."]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which RuntimeClasses the hosts of a run want, and which of them pods cannot name."""

from __future__ import annotations

DOCUMENTATION = r"""
name: runtime_classes
short_description: Tell which RuntimeClasses hosts want
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Pods name a container runtime by a RuntimeClass, unless it is their node's default. Whether it is may differ from host to host, so each
    host says what it wants.
  - With O(seen) only the RuntimeClasses that are missing, stand for another handler, or would have to stand for two, are told, as sentences
    with the cure.
positional: seen
options:
  _input:
    description: By host its variables; with O(seen) what this filter has told of them.
    type: raw
    required: true
  seen:
    description: What P(kubegpu.sharing.runtime_class_info#module) has answered about each. One that could not be asked about is left out.
    type: list
    elements: dict
"""

EXAMPLES = r"""
- name: Fix which RuntimeClasses are wanted
  ansible.builtin.set_fact:
    wanted: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars))) | kubegpu.sharing.runtime_classes }}"
"""

RETURN = r"""
_value:
  description:
    - Each RuntimeClass once, with C(name), C(handler), and in C(host) the first host that wants it; with O(seen) sentences.
  type: list
  elements: raw
  sample:
    - name: nvidia
      handler: nvidia
      host: gpu-1
"""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain

_ROLE = "name=kubegpu.sharing.nvidia_container_runtime tasks_from=runtime_class"


def runtime_classes(given: Any, seen: Sequence[Mapping[str, Any]] | None = None) -> list[Any]:
    """Those that are wanted; given those and what was seen of each, what is wrong about them."""
    return _wanted(given) if seen is None else _wrong(to_plain(given), to_plain(seen))


def _wanted(variables: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    found: dict[tuple[str, str], str] = {}
    for host, own in variables.items():
        if _is_on(own, "kubegpu_runtime_class", True) and not _is_on(own, "kubegpu_runtime_default", False):
            handler = _value(own, "kubegpu_runtime_name", "nvidia")
            found.setdefault((str(_value(own, "kubegpu_runtime_class_name", handler)), str(handler)), str(host))
    return [{"name": name, "handler": handler, "host": host} for (name, handler), host in sorted(found.items())]


# The variables of a host are templated one by one as they are read, so no more are read than needed.
def _value(variables: Mapping[str, Any], name: str, default: Any) -> Any:
    return to_plain(variables[name]) if name in variables else default


def _is_on(variables: Mapping[str, Any], name: str, default: bool) -> bool:
    return bool(boolean(_value(variables, name, default), strict=False))


def _wrong(wanted: Sequence[Mapping[str, str]], seen: Sequence[Mapping[str, Any]]) -> list[str]:
    told = _doubled(wanted)
    for one, found in zip(wanted, seen):
        if found.get("exists") is False:
            told.append(
                f"There is no RuntimeClass {one['name']}, by which pods name the container runtime of {one['host']} and of hosts like it. A "
                "rollout makes it along with a change of a container runtime only. Make it alone, which restarts nothing: "
                f"ansible -i INVENTORY {shlex.quote(one['host'])} -m ansible.builtin.include_role -a {shlex.quote(_ROLE)}; or, where "
                "pods are not to name it, set kubegpu_runtime_class to false."
            )
        elif found.get("exists") and found.get("handler") != one["handler"]:
            told.append(
                f"The RuntimeClass {one['name']} stands for the handler {found.get('handler')}, not for {one['handler']}, which "
                f"{one['host']} and hosts like it have. Set kubegpu_runtime_class_name to another name, or remove it once nothing uses it."
            )
    return told


def _doubled(wanted: Sequence[Mapping[str, str]]) -> list[str]:
    first = {one["name"]: one for one in reversed(wanted)}
    return [
        f"The RuntimeClass {one['name']} would have to stand for two handlers: for {first[one['name']]['handler']}, which "
        f"{first[one['name']]['host']} has, and for {one['handler']}, which {one['host']} has. Set kubegpu_runtime_class_name to a name of "
        "its own for one of them."
        for one in wanted
        if one["handler"] != first[one["name"]]["handler"]
    ]


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"runtime_classes": runtime_classes}

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugin container_runtime refuses beside what a plan refuses by itself. PRIVATE to the collection."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan

#: Least and most. A restart alone takes a second or two.
RANGES = {"restart_seconds": (3, 3600), "confirm_seconds": (3, 3600), "keep_backups": (1, 100)}


def library_problems() -> list[str]:
    """Of what the control node lacks."""
    if find_spec("tomlkit") is not None:
        return []
    return [f"The Python that runs Ansible has no tomlkit. Install it there: {sys.executable} -m pip install tomlkit."]


def choice_problems(given: Mapping[str, Any], spec: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Of values that are none of those an option takes, as whoever set the variables of the role knows them.

    :param given: options of container_runtime, as they were given.
    :param spec: its argument spec.
    """
    if given.get("caller") != "role":
        return []
    return [
        f"kubegpu_runtime_{name} is {given[name]!r}. Give one of {', '.join(spec[name]['choices'])}."
        for name in spec
        # A true or false that YAML has made of a word is that word.
        if "choices" in spec[name] and name in given and _word(given[name]) not in spec[name]["choices"]
    ]


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def number_problems(params: Mapping[str, Any]) -> list[str]:
    """Of the numbers that would have a runtime restarted for nothing, or leave no copy of its files.

    :param params: options of container_runtime.
    """
    before = "kubegpu_runtime_" if params.get("caller") == "role" else ""
    return [
        f"{before}{name} is {params[name]}. Give a whole number from {least} to {most}."
        for name, (least, most) in RANGES.items()
        if not least <= params[name] <= most
    ]


def stopped_problems(plan: RuntimePlan, observation: Observation) -> list[str]:
    """Of a runtime that would be started, though somebody has stopped it: one that has failed is not stopped but in need of it.

    A change that was begun is finished, since it may be what stopped the runtime.
    """
    if not plan.restart or observation.pending is not None:
        return []
    concerned = [unit for unit in observation.candidate.units if unit.name in plan.units]
    if not concerned or any(unit.active != "inactive" for unit in concerned):
        return []
    named = ", ".join(f"{unit.name} ({unit.enabled or 'inactive'})" for unit in concerned)
    start = " ".join(unit.name for unit in concerned)
    return [
        f"Restarting {plan.engine}: it is stopped, and has not failed, so somebody has stopped it: {named}. It is not started here, and no "
        f"file is left to its next start that nothing has proven. Start it ('systemctl start {start}') and run again, or leave this host out."
    ]

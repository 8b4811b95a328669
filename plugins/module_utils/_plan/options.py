# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that makes a plan. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

ON_OVERCOMMIT = ("refuse", "evict", "accept")
STALE_PODS = ("report", "recreate")

#: How far a plan may go, as arguments of the request for it.
LIMITS: Mapping[str, Mapping[str, Any]] = {
    "wave": {"type": "raw", "default": "25%"},
    "max_unavailable": {"type": "raw", "default": "25%"},
    "on_overcommit": {"type": "str", "choices": list(ON_OVERCOMMIT), "default": "refuse"},
    "stale_pods": {"type": "str", "choices": list(STALE_PODS), "default": "report"},
    "evict_force": {"type": "bool", "default": False},
    "evict_delete_emptydir_data": {"type": "bool", "default": False},
    "mig_allow_reboot": {"type": "bool", "default": False},
}


def plan_options() -> dict[str, dict[str, Any]]:
    """In the shape of an argument spec."""
    return {
        "cluster_path": {"type": "path", "required": True},
        **{name: dict(option) for name, option in LIMITS.items()},
        "dest": {"type": "path"},
    }


def read_given(params: Mapping[str, Any]) -> dict[str, Any]:
    """The limits among the values of all options."""
    return {name: params[name] for name in LIMITS}

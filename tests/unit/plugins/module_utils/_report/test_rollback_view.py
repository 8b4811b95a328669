# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import show_plan

NODE: dict[str, Any] = {
    "key": None,
    "to": {"key": None, "revision": None, "plugin": "kube-system/plugin"},
    "changed": True,
    "reasons": ["back to the plugin that served it before"],
    "disruption": "switch",
    "slots_before": 8,
    "slots_after": 1,
}
REVERT = {"daemonset": "kube-system/plugin", "before": {"updateStrategy": {"type": "RollingUpdate"}}}


def test_a_rollback_says_where_to_and_what_others_get_back() -> None:
    plan = {
        "plan_id": "0" * 16,
        "kind": "rollback",
        "snapshot": {"run": "run-1", "name": "kubegpu-snapshot-run-1"},
        "nodes": {"gpu-1": NODE},
        "waves": [["gpu-1"]],
        "reverts": [REVERT],
    }
    sections = {section.heading: section for section in show_plan(plan, 50).sections}
    assert "before run run-1" in sections["A rollback"].text
    (item,) = sections["What DaemonSets of others get back"].items
    assert item.startswith("kube-system/plugin: ")
    assert sections["Waves"].items == ["Wave 1, 1 node (canary of kube-system/plugin): gpu-1"]


def test_a_rollback_computes_no_replicas_and_says_once_that_it_is_as_before() -> None:
    back = {
        **NODE,
        "key": "l20",
        "sharing": "as before",
        "sizing": {"arithmetic": "as before run run-1"},
        "slots_after": 18,
    }
    plan = {"plan_id": "0" * 16, "kind": "rollback", "snapshot": {"run": "run-1"}, "nodes": {"gpu-1": back}}
    (section,) = [found for found in show_plan(plan, 50).sections if found.heading == "How each GPU is shared"]
    assert section.table is not None
    assert list(section.table.rows[0]) == ["gpu-1", "l20", *["-"] * 5, "8 → 18"]
    assert section.items == ["Config l20: as before run run-1"]
    assert section.text == "Nothing is computed: each node gets back the slots that it had."


def test_a_plan_that_goes_forward_says_nothing_of_it() -> None:
    headings = [section.heading for section in show_plan({"plan_id": "0" * 16, "nodes": {}}, 50).sections]
    assert "A rollback" not in headings

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a proposal on the control node, from files and variables; the host of the task is never reached."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.action.sharing_plan import read_host_facts, read_names
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.proposal import build_proposal, proposal_facts
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.request import ProposalRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import MODES
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._files import read_json, write_json, write_text
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._measured_runs import find_runs, read_runs
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain

SCHEMA_VERSION = 1

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "measurements_dir": {"type": "path", "required": True},
    "ids": {"type": "list", "elements": "str", "default": []},
    "cluster_path": {"type": "path", "required": True},
    "cluster_after_path": {"type": "path"},
    "configs": {"type": "raw", "required": True},
    "default_config": {"type": "raw"},
    "sizing": {"type": "raw"},
    "device_plugin": {"type": "raw"},
    "facts": {"type": "str", "default": "auto", "choices": list(MODES)},
    "facts_dir": {"type": "path"},
    "margin": {"type": "str", "default": "0.00"},
    "min_seconds": {"type": "int", "default": 600},
    "growth_mib": {"type": "int", "default": 64},
    "growth_percent": {"type": "int", "default": 5},
    "dest": {"type": "path"},
    "fragment_path": {"type": "path"},
}


def make_request(params: Mapping[str, Any]) -> ProposalRequest:
    """The proposal's input, with the files read."""
    runs = find_runs(params["measurements_dir"], read_names(params["ids"]))
    documents, earlier = read_runs(runs)
    clusters = [read_json(params["cluster_path"], SCHEMA_VERSION)]
    if params["cluster_after_path"]:
        clusters.append(read_json(params["cluster_after_path"], SCHEMA_VERSION))
    hosts = sorted({str(document["host"]) for document in documents.values()})
    return ProposalRequest(
        measurements=documents,
        clusters=clusters,
        earlier=earlier,
        host_facts={} if params["facts"] == "labels" else read_host_facts(params["facts_dir"], hosts),
        **{
            word: params[word]
            for word in (
                "configs",
                "default_config",
                "sizing",
                "device_plugin",
                "facts",
                "margin",
                "min_seconds",
                "growth_mib",
                "growth_percent",
            )
        },
    )


class ActionModule(ActionBase):
    """Everything happens here; the module of this name is documentation."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False
    TRANSFERS_FILES = False

    def run(self, tmp: Any = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the proposal, write it and its fragment, return it."""
        result = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        params = to_plain(given)
        try:
            # Whatever tags Ansible's values carry, documents are plain.
            proposal = json.loads(json.dumps(build_proposal(make_request(params))))
            if params["dest"]:
                write_json(params["dest"], proposal)
            if params["fragment_path"]:
                write_text(params["fragment_path"], proposal["fragment"])
        except KubeGpuError as error:
            return {**result, "failed": True, "changed": False, "msg": error.msg, **error.facts}
        facts = proposal_facts(proposal, params["dest"])
        result.update(changed=False, **facts, dest=params["dest"], fragment_path=params["fragment_path"])
        return result

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan on the control node what a host's container runtime needs, have it tried there, and have it done."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import compare
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import (
    CALLERS,
    ENGINES,
    STATE_DIR,
    TRISTATE,
    VISIBLE_DEVICES,
    Wish,
)
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._files import write_json
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._node_action import NodeAction
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._runtime_checks import (
    choice_problems,
    library_problems,
    number_problems,
    stopped_problems,
)
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._runtime_host_calls import RuntimeHost
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._runtime_words import (
    document_of,
    facts_of,
    failed_facts,
    other_change,
    refusal,
    told,
)

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "engine": {"type": "str", "choices": ["auto", *ENGINES], "default": "auto"},
    "name": {"type": "str", "default": "nvidia"},
    "binary": {"type": "str", "default": "/usr/bin/nvidia-container-runtime"},
    "default": {"type": "bool", "default": False},
    "privileged_without_host_devices": {"type": "str", "choices": list(TRISTATE), "default": "inherit"},
    "cdi": {"type": "str", "choices": list(TRISTATE), "default": "inherit"},
    "take_over": {"type": "bool", "default": False},
    "restore_runc": {"type": "bool", "default": False},
    "allow_missing_binary": {"type": "bool", "default": False},
    "permit_live_loss": {"type": "bool", "default": False},
    "permit_unproven": {"type": "bool", "default": False},
    "visible_devices": {"type": "str", "choices": list(VISIBLE_DEVICES), "default": "unchanged"},
    "restart_seconds": {"type": "int", "default": 60},
    "detached": {"type": "bool", "default": False},
    "confirm_seconds": {"type": "int", "default": 120},
    "keep_backups": {"type": "int", "default": 5},
    # Paths of the node: a "path" would have this machine's variables put into it.
    "state_dir": {"type": "str", "default": STATE_DIR},
    "lock_path": {"type": "str", "default": "/run/lock/kubegpu-sharing.lock"},
    "lock_wait_seconds": {"type": "float", "default": 0},
    "run": {"type": "str", "default": "manual"},
    "node_name": {"type": "str"},
    "dest_dir": {"type": "path"},
    "expected_digest": {"type": "str"},
    "objections": {"type": "list", "elements": "str", "default": []},
    "caller": {"type": "str", "choices": list(CALLERS), "default": "module"},
    "root": {"type": "str", "default": "/"},
}


class ActionModule(NodeAction):
    """Action plugin of M(kubegpu.sharing.container_runtime); the module of this name is documentation."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        host = str(task_vars["inventory_hostname"])
        wrong = [*library_problems(), *choice_problems(to_plain(dict(self._task.args)), ARGUMENT_SPEC)]
        if wrong:
            raise InputError(f"Container runtime of {host}", wrong)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        params = to_plain(given)
        return self._make_ready(params, host, RuntimeHost(self, params, task_vars))

    def failed_facts(self, error: KubeGpuError) -> dict[str, Any]:
        return failed_facts(error)

    def _make_ready(self, params: dict[str, Any], host: str, node: RuntimeHost) -> dict[str, Any]:
        observation = Observation.from_dict(node.read())
        planned = plan_runtime(Wish.from_options(params), observation)
        planned = planned.refused(
            *stopped_problems(planned, observation), *number_problems(params), *params["objections"]
        )
        plan, dump = _tried(planned, observation, node)
        result = facts_of(plan, observation, params)
        if params["dest_dir"]:
            result["dest"] = _write_document(params, host, plan, observation)
        if self._task.diff:
            result["diff"] = [dict(one) for one in plan.diff]
        if plan.problems:
            if params["dest_dir"] and self._task.check_mode:
                return {**result, "problems": list(plan.problems)}
            raise refusal(host, plan, observation)
        expected = params["expected_digest"]
        if expected and plan.changed and expected != plan.digest:
            raise other_change(host, plan)
        if plan.changed:
            done = node.apply(plan.to_dict(), dump)
            result.update({name: done[name] for name in ("backups", "restarted") if name in done})
            result["changed"] = True
            if not self._task.check_mode:
                result["told"] = told(done, plan, params)
            if params["state"] == "absent":
                node.forget()
        return result


def _tried(plan: RuntimePlan, observation: Observation, node: RuntimeHost) -> tuple[RuntimePlan, dict[str, Any] | None]:
    """(the plan, with what its candidate would have lost; what the runtime has to make of the files once they are written).

    Where no file has to be written, what is there may have no effect as it stands: other files may hide it.
    """
    dump = observation.dump
    if plan.problems or not plan.files:
        lost = compare(plan, dump, dump) if dump is not None and plan.ours.values and not plan.problems else []
        return plan.refused(*lost), None
    if plan.staging is None:
        return plan, None
    tried = node.stage(plan.to_dict())
    lost = compare(plan, dump, tried)
    argv = (dump or {}).get("argv")
    return plan.refused(*lost), {"argv": argv, "stdout": tried["stdout"]} if argv else None


def _write_document(params: dict[str, Any], host: str, plan: RuntimePlan, observation: Observation) -> str:
    # An inventory name may hold anything, also a slash.
    path = os.path.join(os.path.abspath(os.path.expanduser(params["dest_dir"])), f"{quote(host, safe='')}.json")
    write_json(path, document_of(plan, observation, host, params))
    return path

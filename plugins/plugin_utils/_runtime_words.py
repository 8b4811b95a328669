# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugin container_runtime says of a plan: its result, the rollout's file, and why it refuses. PRIVATE to the collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan

SCHEMA_VERSION = 1
# Engines whose servers have the API server and etcd in them.
_WITH_CONTROL_PLANE = ("k3s", "rke2")


def facts_of(plan: RuntimePlan, observation: Observation, params: Mapping[str, Any]) -> dict[str, Any]:
    """Of the result, what the plan decides.

    :param params: options of container_runtime.
    """
    return {
        "changed": False,
        "engine": plan.engine,
        "version": plan.version,
        "found": found(plan, observation),
        "actions": actions_of(plan, observation, params),
        "would_change": plan.changed and not plan.problems,
        "restart": plan.restart,
        "units": list(plan.units),
        "one_at_a_time": is_server(observation),
        "was_default": was_default(plan, observation, params),
        "was_name": was_name(observation),
        "digest": plan.digest,
        "warnings": warnings_of(plan, observation, params),
    }


def found(plan: RuntimePlan, observation: Observation) -> list[str]:
    """How the engine was found, and what else was seen that needs nothing done."""
    return [*observation.candidate.evidence, *plan.notes]


def is_server(observation: Observation) -> bool:
    """Whether a restart takes a server of the cluster along."""
    return observation.engine in _WITH_CONTROL_PLANE and observation.role == "server"


def was_default(plan: RuntimePlan, observation: Observation, params: Mapping[str, Any]) -> bool:
    """Whether what was put in earlier is the default of the node; without a record, whether a line that says so goes."""
    return _recorded_default(observation) or any(
        said in str(one["before"]) and said not in str(one["after"])
        for one in plan.diff
        for said in _lines_of_default(str(one["before"]), params["name"])
    )


def _recorded_default(observation: Observation) -> bool:
    return bool(((observation.record or {}).get("wish") or {}).get("default"))


def _lines_of_default(text: str, name: str) -> list[str]:
    """As each engine spells it: default_runtime_name, default_runtime, default-runtime."""
    spelled = rf"""default[-_]runtime(?:_name)?["']?\s*[=:]\s*["']?{re.escape(name)}(?![-\w])"""
    return re.findall(spelled, text)


def was_name(observation: Observation) -> str | None:
    """Name of the handler that was put in earlier."""
    return ((observation.record or {}).get("wish") or {}).get("name")


def told(done: Mapping[str, Any], plan: RuntimePlan, params: Mapping[str, Any]) -> str:
    """One line on a change that was made.

    :param done: result of runtime_files.
    :param params: options of container_runtime.
    """
    units = ", ".join(plan.units) or "its service"
    restart = f"{units} was restarted and answers" if done.get("restarted") else "nothing was restarted"
    copies = " ".join(done.get("backups") or ())
    back = f". To take it back: {_option(params, 'state')} absent" if params["state"] == "present" else ""
    return f"{plan.engine}: {restart}. Old files: {copies or 'there were none'}{back}"


def failed_facts(error: KubeGpuError) -> dict[str, Any]:
    """The result of a change that was not made. Problems are in the message already, which Ansible shows twice."""
    facts = {name: value for name, value in error.facts.items() if name not in ("problems", "found", "log_lines")}
    facts["changed"] = bool(facts.get("restarted") or facts.get("rolled_back"))
    return {**facts, "msg": error.msg}


def actions_of(plan: RuntimePlan, observation: Observation, params: Mapping[str, Any]) -> list[str]:
    """What is done, also what its files alone do not tell."""
    if not _ends_default(plan, observation, params):
        return list(plan.actions)
    return [f"let {was_name(observation)} be the default runtime no longer", *plan.actions]


def warnings_of(plan: RuntimePlan, observation: Observation, params: Mapping[str, Any]) -> list[str]:
    """What is worth a word, also of pods that need what the change ends: a rollout asks nobody about them."""
    told, was = list(plan.warnings), was_name(observation)
    if _ends_default(plan, observation, params):
        told.append(
            f"{was} is the default runtime, and will not be any more: pods with GPUs that name no RuntimeClass get no GPU when they start "
            f"again. Have them name one first, or set {_option(params, 'default')} to true."
        )
    if plan.changed and params["state"] == "present" and was and was != params["name"]:
        told.append(
            f"The runtime {was} goes, and {params['name']} comes: pods whose RuntimeClass stands for {was} could not start again."
        )
    return told


# Of what a file that is taken over makes the default, the plan itself warns.
def _ends_default(plan: RuntimePlan, observation: Observation, params: Mapping[str, Any]) -> bool:
    return plan.changed and params["state"] == "present" and not params["default"] and _recorded_default(observation)


def _option(params: Mapping[str, Any], name: str) -> str:
    """An option as whoever set it knows it."""
    return f"kubegpu_runtime_{name}" if params.get("caller") == "role" else name


def document_of(plan: RuntimePlan, observation: Observation, host: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The file for the rollout.

    :param params: options of container_runtime.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "runtime",
        "host": host,
        "node": params.get("node_name") or host,
        "state": params["state"],
        "engine": plan.engine,
        "version": plan.version,
        "changed": plan.changed,
        "restart": plan.restart,
        "actions": actions_of(plan, observation, params),
        "notes": found(plan, observation),
        "warnings": warnings_of(plan, observation, params),
        "problems": list(plan.problems),
        "digest": plan.digest,
        "units": list(plan.units),
        "live_restore": (observation.live or {}).get("live_restore"),
        "role": observation.role,
        "server": is_server(observation),
    }


def refusal(host: str, plan: RuntimePlan, observation: Observation) -> InputError:
    """All that stands against the change of a host, in one message, with what was found."""
    version = f" {plan.version}" if plan.version else ""
    what = (
        f"Container runtime of {host} ({plan.engine}{version})"
        if observation.engine
        else f"Container runtime of {host}"
    )
    return InputError(what, plan.problems, engine=plan.engine, version=plan.version, found=found(plan, observation))


def other_change(host: str, plan: RuntimePlan) -> KubeGpuError:
    """What is to be done is no longer what was planned."""
    actions = "\n".join(f"  - {action}" for action in plan.actions)
    return KubeGpuError(
        f"Changing the container runtime of {host}: what is to be done differs from what was planned. Somebody has changed the host or the "
        f"settings since. Nothing was changed. Plan again, and look at what it says. Now it would be:\n{actions}",
        digest=plan.digest,
        actions=list(plan.actions),
    )

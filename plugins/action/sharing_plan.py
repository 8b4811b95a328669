# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a plan on the control node, from files and variables; the host of the task is never reached."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import yaml
from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.overlay import Overlay, lay_over
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import MODES
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.measured_peaks import add_peaks
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.options import plan_options, read_given
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan, plan_diff
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.result import LARGE_FLEET, plan_facts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.runtime import DISRUPTIONS, KIND
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.scope import read_hosts
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.obstacles import add_rehearsal
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._files import read_json, write_text
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._measured_runs import read_last
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain

SCHEMA_VERSION = 1
# What commonly keeps the driver open on a host, and is stopped there while MIG devices change.
HOST_SERVICES = ("nvidia-persistenced", "nvidia-dcgm", "dcgm", "nvsm", "nvsm-core", "nvsm-api-gateway")

ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    **plan_options(),
    "configs": {"type": "raw", "required": True},
    "default_config": {"type": "raw"},
    "sizing": {"type": "raw"},
    "device_plugin": {"type": "raw"},
    "facts_dir": {"type": "path"},
    "facts": {"type": "str", "default": "auto", "choices": list(MODES)},
    "hosts": {"type": "raw", "default": {}},
    "node_name_variable": {"type": "str", "default": "kubegpu_node_name"},
    "limited": {"type": "bool", "default": False},
    "accept_live_memory": {"type": "list", "elements": "str", "default": []},
    "mig_ignore_holders": {"type": "list", "elements": "str", "default": []},
    "proposal_path": {"type": "path"},
    "runtime_dir": {"type": "path"},
    "runtime_disruption": {"type": "str", "default": DISRUPTIONS[0], "choices": list(DISRUPTIONS)},
    "measurements_dir": {"type": "path"},
    "mig_host_services": {"type": "list", "elements": "str", "default": list(HOST_SERVICES)},
}


def read_host_facts(directory: str | None, hosts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """gpu_info's results by host, of those that have one.

    :raises KubeGpuError: a file is not what gpu_info writes.
    """
    return {host: document.get("facts") or {} for host, _path, document in _read_files(directory, hosts)}


def read_runtimes(directory: str | None, hosts: Sequence[str]) -> dict[str, dict[str, Any]] | None:
    """What the container runtimes were found to be, by host, of those that were looked at; None: runtimes are left alone.

    :raises KubeGpuError: a file is not what container_runtime writes.
    """
    if not directory:
        return None
    found = {}
    for host, path, document in _read_files(directory, hosts):
        if document.get("kind") != KIND:
            raise InputError(path, [f"its kind is {document.get('kind')!r}; only {KIND!r} can be read."])
        found[host] = document
    return found


def _read_files(directory: str | None, hosts: Sequence[str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(host, path, content) of each host that has a file."""
    for host in hosts if directory else ():
        # An inventory name may hold anything, also a slash.
        path = os.path.join(str(directory), f"{quote(host, safe='')}.json")
        if os.path.exists(path):
            yield host, path, read_json(path, SCHEMA_VERSION)


def read_peaks(
    facts: Mapping[str, dict[str, Any]], directory: str | None
) -> tuple[dict[str, dict[str, Any]], tuple[str, ...]]:
    """(facts of hosts, with what pods were measured to use in the host's last measurements; what to say of those that cannot be read).

    A pod that was idle in the last one has had its peak in another. Of pods that are gone, no peak counts.
    """
    peaks, told = {}, []
    for host, own in facts.items():
        measurements, problems = read_last(directory, host)
        peaks[host] = add_peaks(own, *measurements)
        told += [f"Peaks that were measured on {host} were not used, and pods may use more: {one}" for one in problems]
    return peaks, tuple(told)


def write_plan(path: str, plan: Mapping[str, Any]) -> None:
    """Write the plan's file in one step: readable for people while it is small, fast when it is large."""
    indent = None if len(plan["nodes"]) > LARGE_FLEET else 1
    write_text(path, json.dumps(plan, indent=indent, ensure_ascii=False) + "\n")


def name_nodes(
    hosts: Sequence[str], certain: Collection[str], variables: Mapping[str, Mapping[str, Any]], variable: str
) -> dict[str, str]:
    """Node by host, "" for the host's own name.

    Reading one host's variables takes Ansible a millisecond, which is seconds for thousands of hosts.

    :param certain: hosts whose own name is taken without a look at their variables.
    """
    return {host: "" if host in certain else str(variables[host].get(variable) or "") for host in hosts}


def read_names(given: Sequence[str]) -> tuple[str, ...]:
    """A list of names, also one written as text ('["a", "b"]'), which -e name=value and surveys make of it.

    :param given: as Ansible reads the option: a list, or text split at its commas.
    """
    text = ",".join(given).strip()
    if text.startswith("["):
        try:
            read = yaml.safe_load(text)
        except yaml.YAMLError:
            read = None
        if isinstance(read, list):
            given = [str(one) for one in read]
    # What is no list after all is told as a node that the cluster does not have.
    return tuple(name.strip() for name in given if name.strip())


def read_overlay(params: Mapping[str, Any]) -> Overlay | None:
    """The configs with a proposal laid over; None if there is none.

    :raises KubeGpuError: the file is no proposal.
    """
    path = params["proposal_path"]
    return lay_over(params["configs"], read_json(path, SCHEMA_VERSION), path) if path else None


def make_request(
    params: Mapping[str, Any], variables: Mapping[str, Mapping[str, Any]], overlay: Overlay | None = None
) -> PlanRequest:
    """The planner's input, with the files read.

    :param variables: of every host in the inventory, by host.
    :param overlay: configs to plan with in the place of those that are given.
    """
    cluster = read_json(params["cluster_path"], SCHEMA_VERSION)
    if isinstance(params["hosts"], Mapping):
        hosts = read_hosts(params["hosts"])
    else:
        # Where no facts of hosts are used and no nodes are left out by host, a host's node matters only if it does not exist.
        certain = cluster["nodes"] if params["facts"] == "labels" and not params["limited"] else ()
        hosts = name_nodes(params["hosts"], certain, variables, params["node_name_variable"])
    facts = {} if params["facts"] == "labels" else read_host_facts(params["facts_dir"], sorted(hosts))
    host_facts, told = read_peaks(facts, params["measurements_dir"])
    return PlanRequest(
        configs=overlay.configs if overlay else params["configs"],
        cluster=cluster,
        host_facts=host_facts,
        warnings=told,
        runtimes=read_runtimes(params["runtime_dir"], sorted(hosts)),
        hosts=hosts,
        accept_live_memory=read_names(params["accept_live_memory"]),
        mig_ignore_holders=read_names(params["mig_ignore_holders"]),
        mig_host_services=read_names(params["mig_host_services"]),
        **read_given(params),
        **{
            word: params[word]
            for word in (
                "limited",
                "default_config",
                "sizing",
                "device_plugin",
                "facts",
                "runtime_disruption",
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
        """Make the plan, write it to dest, return it."""
        result = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        params = to_plain(given)
        try:
            overlay = read_overlay(params)
            request = make_request(params, (task_vars or {}).get("hostvars") or {}, overlay)
            plan = add_rehearsal(build_plan(request), request.cluster)
            if overlay:
                plan["proposal"] = {"path": params["proposal_path"], "applied": overlay.applied, "told": overlay.told}
            if params["dest"]:
                write_plan(params["dest"], plan)
        except KubeGpuError as error:
            return {**result, "failed": True, "changed": False, "msg": error.msg, **error.facts}
        result.update(changed=False, **plan_facts(plan, params["dest"]))
        if self._task.diff:
            result["diff"] = plan_diff(plan)
        return result

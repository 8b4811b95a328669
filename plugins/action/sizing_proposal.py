# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a proposal on the control node, from files and variables; the host of the task is never reached."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.action.sharing_plan import read_host_facts, read_names
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.proposal import build_proposal, proposal_facts
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.request import ProposalRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import MODES
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._files import read_json, write_json, write_text
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain

SCHEMA_VERSION = 1
# Beside the hosts' files of a run.
_CLUSTER_FILES = ("cluster_before.json", "cluster_after.json")

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


def find_runs(directory: str, ids: Sequence[str]) -> list[str]:
    """Directories of the runs to use, by name.

    :raises KubeGpuError: one is not there.
    """
    try:
        there = sorted(entry.name for entry in os.scandir(directory) if entry.is_dir())
    except OSError as error:
        raise KubeGpuError(
            f"Reading the measurements in {directory} failed: {error.strerror}. Measure first.", path=directory
        ) from error
    missing = sorted(set(ids) - set(there))
    if missing:
        raise InputError(
            f"The measurements in {directory}",
            [f"there is no run {name!r}; there are {', '.join(there) or 'none'}." for name in missing],
        )
    return [os.path.join(directory, name) for name in there if not ids or name in ids]


def read_runs(runs: Sequence[str]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(measurements by their file, cluster files of the runs in their order).

    :raises KubeGpuError: a file is not what it should be, with all that are not.
    """
    documents: dict[str, Any] = {}
    clusters: list[dict[str, Any]] = []
    problems = []
    for run in runs:
        for path in _files_of(run):
            try:
                document = _read(path)
            except KubeGpuError as error:
                problems.append(error.msg)
                continue
            if os.path.basename(path) in _CLUSTER_FILES:
                clusters += [document] if document else []
            elif document:
                documents[path] = {**document, "host": document.get("host") or _host_of(path)}
    if problems:
        raise InputError("The measurements", problems)
    return documents, clusters


def _files_of(run: str) -> Iterator[str]:
    for name in _CLUSTER_FILES:
        if os.path.exists(os.path.join(run, name)):
            yield os.path.join(run, name)
    for name in sorted(os.listdir(run)):
        if name.endswith(".json") and not name.startswith(".") and name not in _CLUSTER_FILES:
            yield os.path.join(run, name)


def _read(path: str) -> dict[str, Any] | None:
    """A cluster file or a measurement; None for another document. Reports and plans may lie beside them.

    :raises KubeGpuError: it cannot be read.
    """
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (OSError, ValueError):
        document = None
    wanted = "measurement" if os.path.basename(path) not in _CLUSTER_FILES else None
    if (
        isinstance(document, dict)
        and document.get("kind") == wanted
        and document.get("schema_version") == SCHEMA_VERSION
    ):
        return document
    if isinstance(document, dict) and wanted and document.get("kind") != wanted:
        return None
    # What is wrong with it is said there.
    return read_json(path, SCHEMA_VERSION)


def _host_of(path: str) -> str:
    return unquote(os.path.basename(path)[: -len(".json")])


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

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a cluster, a plan or a rollout. Works on files of the control node alone."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.result import LARGE_FLEET
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.check_view import show_check
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document, Section, add_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.ending import show_stop
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.holders_view import show_holders
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.inspection import inspect_cluster
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measured import KIND as MEASURED
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measured import Measured, summarise_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measurement_page import render_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measurement_view import (
    changes_size,
    show_measurement,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.page import render_page
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import (
    shorten_approved,
    show_plan,
    title_left,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.summary import show_summary
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import MAX_WIDTH, Screen, render_text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline import read_journal
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.verification import verify
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.document import read_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.merge import merge_measurements
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._command import follow_up
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._files import read_json, write_json, write_text
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._measured_runs import find_runs, read_runs
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain

SCHEMA_VERSION = 1
VIEWS = ["inspection", "plan", "check", "verification", "summary", "stop", "measurement"]
ARGUMENT_SPEC: dict[str, dict[str, Any]] = {
    "view": {"type": "str", "choices": VIEWS, "required": True},
    "cluster_path": {"type": "path"},
    "cluster_after_path": {"type": "path"},
    "facts_dir": {"type": "path"},
    "facts_after_dir": {"type": "path"},
    "plan_path": {"type": "path"},
    "plan_proposed_path": {"type": "path"},
    "proposal_path": {"type": "path"},
    "fragment_path": {"type": "path"},
    "measurements_dir": {"type": "path"},
    "measurement_ids": {"type": "list", "elements": "str", "default": []},
    "journal_path": {"type": "path"},
    "outcome_path": {"type": "path"},
    "dest_dir": {"type": "path"},
    "extra": {"type": "dict", "default": {}},
    "max_rows": {"type": "int", "default": 50},
    "approved_id": {"type": "str", "default": ""},
    "left_of": {"type": "str", "default": ""},
    "next_playbook": {"type": "str", "default": ""},
    "notes": {"type": "list", "elements": "str", "default": []},
}
REQUIRED_IF = [
    ("view", "inspection", ("cluster_path",)),
    ("view", "plan", ("plan_path",)),
    ("view", "check", ("plan_path",)),
    ("view", "verification", ("plan_path", "cluster_after_path")),
    ("view", "summary", ("plan_path", "cluster_path", "cluster_after_path", "dest_dir")),
    ("view", "stop", ("plan_path", "outcome_path")),
    ("view", "measurement", ("proposal_path", "dest_dir")),
]


class ActionModule(ActionBase):
    """Action plugin of M(kubegpu.sharing.report)."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result = super().run(tmp, task_vars)
        _validation, options = self.validate_argument_spec(ARGUMENT_SPEC, required_if=REQUIRED_IF)
        view = _Views(to_plain(options))
        try:
            _require_tabulate()
            document = view.add_last(getattr(view, f"show_{view.options['view']}")())
            if self._task.check_mode and view.options["view"] in ("verification", "summary"):
                document = replace(document, title=f"{document.title} (check mode: nothing was changed)")
            text = render_text(document, _screen())
            result.update(changed=False, text=text, paths={}, failed=False)
            if view.report is not None:
                result.update(view.write(check_mode=self._task.check_mode), report=_shorten(view.report))
        except KubeGpuError as error:
            result.update(failed=True, msg=error.msg, **error.facts)
            return result
        written = [] if self._task.check_mode else [f"Written: {path}" for path in result["paths"].values()]
        Display().display("\n".join(["", text, *written]))
        return result


class _Views:
    """The views, over the files that the options name."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.limit = max(1, options["max_rows"])
        self.report: dict[str, Any] | None = None
        self._documents: list[Document] = []

    def show_inspection(self) -> Document:
        return inspect_cluster(self._read("cluster_path"), _read_facts(self.options.get("facts_dir")), self.limit)

    def show_plan(self) -> Document:
        plan = self._read("plan_path")
        cluster = self._read("cluster_path") if self.options.get("cluster_path") else None
        document = show_plan(plan, self.limit, cluster)
        if plan.get("problems"):
            return document
        left_of, approved = self.options["left_of"], self.options["approved_id"]
        if left_of:
            document = title_left(document, left_of)
        return shorten_approved(document) if approved and approved in (plan.get("plan_id"), left_of) else document

    def show_check(self) -> Document:
        cluster = self._read("cluster_path") if self.options.get("cluster_path") else None
        document = show_check(self._read("plan_path"), self.limit, cluster)
        left_of = self.options["left_of"]
        return (
            replace(document, title=f"Check of what is left of plan {left_of}: nothing was changed")
            if left_of
            else document
        )

    def show_verification(self) -> Document:
        before = self._read("cluster_path") if self.options.get("cluster_path") else None
        document = verify(self._read("plan_path"), before, self._read("cluster_after_path"), self.limit)
        left_of = self.options["left_of"]
        return replace(document, title=f"Verification of approved plan {left_of}") if left_of else document

    def show_summary(self) -> Document:
        plan = self._read("plan_path")
        rollout = Rollout(
            plan=plan,
            before=self._read("cluster_path"),
            after=self._read("cluster_after_path"),
            journal=_read_journal(self.options.get("journal_path")),
            extra=self.options["extra"],
            facts=_read_facts(self.options.get("facts_dir")),
            facts_after=_read_facts(self.options.get("facts_after_dir")),
            ending=self._read_ending(),
        )
        self.report = summarise(rollout, _now())
        document = show_summary(self.report, self.limit)
        holders = show_holders(self.report["cards"], ("before", "after"), self.limit)
        self._documents = [document, *holders, show_plan(plan, self.limit, rollout.before)]
        return document

    def show_stop(self) -> Document:
        facts = _read_facts(self.options.get("facts_dir"))
        return show_stop(self._read("outcome_path"), self._read("plan_path"), facts, self.limit)

    def show_measurement(self) -> Document:
        measurements, clusters = _read_measurements(self.options)
        clusters += [self._read(name) for name in ("cluster_path", "cluster_after_path") if self.options.get(name)]
        measured = Measured(
            proposal=self._read("proposal_path"),
            plan=self._read("plan_path") if self.options.get("plan_path") else None,
            proposed=self._read("plan_proposed_path") if self.options.get("plan_proposed_path") else None,
            measurements=measurements,
            clusters=clusters,
            fragment_path=self.options.get("fragment_path") or "",
            extra=self.options["extra"],
        )
        self.report = summarise_measurement(measured, _now())
        document = show_measurement(self.report, self.limit)
        self._documents = [document, *show_holders(self.report["cards"], ["when it was fullest"], self.limit)]
        return document

    def add_last(self, document: Document) -> Document:
        """What stands at the end, where it is read: notes, and the command that comes next."""
        if self.options["notes"]:
            document = add_section(document, Section("Notes", items=self.options["notes"]))
        if not self.options["next_playbook"]:
            return document
        if self.options["view"] == "measurement":
            changes = any(map(changes_size, (self.report or {}).get("configs", {}).values()))
            command = follow_up(sys.argv, self.options["next_playbook"], "")
            return (
                add_section(document, Section("To plan with it, once the inventory has it", commands=[command]))
                if changes
                else document
            )
        plan = self._read("plan_path")
        if plan.get("problems") or plan.get("empty"):
            return document
        plan_id = self.options["left_of"] or str(plan.get("plan_id"))
        command = follow_up(sys.argv, self.options["next_playbook"], plan_id)
        return add_section(document, Section("To carry it out", commands=[command]))

    def write(self, check_mode: bool) -> dict[str, Any]:
        """Write the files if anything but the time of the report has changed."""
        if self.report is None:
            raise AssertionError("the report is shown before it is written")
        directory = self.options["dest_dir"]
        paths = {kind: os.path.join(directory, f"report.{kind}") for kind in ("json", "html")}
        changed = not (_same_report(paths["json"], self.report) and os.path.exists(paths["html"]))
        if changed and not check_mode:
            write_json(paths["json"], self.report)
            render = render_measurement if self.report["kind"] == MEASURED else render_page
            write_text(paths["html"], render(self.report, self._documents))
        return {"changed": changed, "paths": paths}

    def _read_ending(self) -> dict[str, Any] | None:
        """What the rollout says of its end: nothing, if it died before. None: nobody asks."""
        path = self.options.get("outcome_path")
        return (self._read("outcome_path") if os.path.exists(path) else {}) if path else None

    def _read(self, option: str) -> dict[str, Any]:
        return read_json(self.options[option], SCHEMA_VERSION)


def _shorten(report: dict[str, Any]) -> dict[str, Any]:
    """The report as a task returns it: Ansible copies results many times, and a card has many figures."""
    return report if len(report["cards"]) <= LARGE_FLEET else {**report, "cards": [], "courses": []}


def _now() -> str:
    return f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def _read_facts(directory: str | None) -> dict[str, dict[str, Any]]:
    """Facts by node. A directory that does not exist is an empty one: no host was reached."""
    if not directory or not os.path.isdir(directory):
        return {}
    paths = sorted(entry.path for entry in os.scandir(directory) if entry.name.endswith(".json"))
    documents = [read_json(path, SCHEMA_VERSION) for path in paths]
    return {document["node"]: document["facts"] for document in documents}


def _read_measurements(options: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], list[dict[str, Any]]]:
    """What was measured on each node, of all runs together, and the cluster files of the runs. Without a directory there is nothing."""
    directory = options.get("measurements_dir")
    if not directory or not os.path.isdir(directory):
        return {}, []
    documents, clusters = read_runs(find_runs(directory, options["measurement_ids"]))
    by_node: dict[str, list[dict[str, Any]]] = {}
    for path, document in documents.items():
        measurement = read_measurement(path, document)
        by_node.setdefault(str(measurement.get("node") or measurement["host"]), []).append(measurement)
    return {node: merge_measurements(found) for node, found in by_node.items()}, clusters


def _read_journal(path: str | None) -> list[dict[str, Any]]:
    if not path or not os.path.exists(path):
        return []
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return read_journal(file.read())
    except OSError as error:
        raise KubeGpuError(
            f"Reading the journal {path} failed: {error.strerror}. Leave journal_path out to report without it."
        ) from error


def _same_report(path: str, report: dict[str, Any]) -> bool:
    try:
        with open(path, encoding="utf-8") as file:
            written = json.load(file)
    except (OSError, ValueError):
        return False
    # through JSON, as numbers and tuples come back from there
    now = json.loads(json.dumps(report))
    return isinstance(written, dict) and {**written, "created": None} == {**now, "created": None}


def _screen() -> Screen:
    columns = shutil.get_terminal_size((MAX_WIDTH, 24)).columns
    return Screen.of(columns, getattr(sys.__stdout__, "encoding", None) or "utf-8")


def _require_tabulate() -> None:
    if importlib.util.find_spec("tabulate") is None:
        raise KubeGpuError(
            f"Printing tables needs the Python library tabulate, which {sys.executable} does not have. "
            "Install tabulate for the Python that runs Ansible."
        )

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables that kubectl prints."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from simulator.apiserver.podstatus import pod_restarts, pod_status, ready_containers
from simulator.apiserver.tables import human_duration, render
from simulator.registry import Registry

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (130, "2m10s"), (3600, "60m"), (5 * 3600 + 180, "5h3m"), (40 * 3600, "40h")]
    + [(2 * 86400, "2d"), (7 * 86400 + 3600, "7d1h"), (28 * 86400, "28d"), (800 * 86400, "2y70d")],
)
def test_ages_are_short(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def pod(status: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", **metadata}, "spec": {"containers": [{"name": "main"}]}, "status": status}


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (pod({"phase": "Running"}), "Running"),
        (pod({"phase": "Failed", "reason": "UnexpectedAdmissionError"}), "UnexpectedAdmissionError"),
        (pod({"phase": "Running"}, deletionTimestamp="x"), "Terminating"),
        (
            pod({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePull"}}}]}),
            "ImagePull",
        ),
        (pod({"phase": "Running", "containerStatuses": [{"state": {"terminated": {"exitCode": 2}}}]}), "ExitCode:2"),
    ],
)
def test_status_column_of_pods(obj: dict[str, Any], text: str) -> None:
    assert pod_status(obj) == text


def test_ready_and_restarts_columns_of_pods() -> None:
    statuses = [{"ready": True, "restartCount": 2, "state": {"running": {}}}]
    obj = pod({"phase": "Running", "containerStatuses": statuses})
    assert (ready_containers(obj), pod_restarts(obj)) == ("1/1", "2")


def test_every_kind_has_as_many_cells_as_columns() -> None:
    metadata = {"name": "x", "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"}
    spec: dict[str, Any] = {"template": {"spec": {"containers": []}}, "selector": {}, "taints": []}
    info = dict.fromkeys(("kubeletVersion", "osImage", "kernelVersion", "containerRuntimeVersion"), "")
    obj = {"metadata": metadata, "spec": spec, "status": {"nodeInfo": info, "phase": "Active"}, "value": 1}
    for kind in Registry().resources.all():
        if "list" in kind.verbs:
            table = render(kind, [obj], NOW, "None")
            assert len(table["rows"][0]["cells"]) == len(table["columnDefinitions"]), kind.key

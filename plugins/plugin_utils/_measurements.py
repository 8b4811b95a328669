# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements on the control node: one folder for each, with a file for each host. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.document import read_measurement
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._files import write_json

# Of what was measured, whoever has begun it may yet come to collect it. So much later nobody will.
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass
class Kept:
    """What became of a host's measurements, by id.

    :param written: those on the control node now; ``removable``: of them those that nobody else is about to collect.
    :param refused: why one is not on the control node.
    """

    written: list[str] = field(default_factory=list)
    removable: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def keep_measurements(directory: str, collected: Mapping[str, Any], *, host: str, node: str, now: datetime) -> Kept:
    """Write what a host has measured and measures no more, each as ``<directory>/<id>/<host>.json``.

    A node's answer names the files, so each document is checked first.

    :param collected: result of the module with its runs and measurements, as plain types.
    :raises KubeGpuError: a file cannot be written.
    """
    running = {run["id"] for run in collected.get("runs") or () if run["running"]}
    kept = Kept()
    for document in collected.get("measurements") or ():
        name = str(document.get("id"))
        if name in running:
            continue
        try:
            measurement = read_measurement(f"Measurement {name} of {host}", {**document, "host": host, "node": node})
        except InputError as error:
            kept.refused[name] = error.msg
            continue
        # An inventory name may hold anything, also a slash.
        path = os.path.join(directory, name, f"{quote(host, safe='')}.json")
        if measurement["samples"] > _samples_there(path):
            write_json(path, measurement)
        kept.written.append(name)
        begun_here = os.path.exists(os.path.join(directory, name, "run.json"))
        if begun_here or now - (parse_time(measurement["ended"]) or now) > FORGOTTEN_AFTER:
            kept.removable.append(name)
    return kept


def _samples_there(path: str) -> int:
    """Samples of the measurement that is there; -1 if none is that can be read."""
    try:
        with open(path, encoding="utf-8") as file:
            return int(read_measurement(path, json.load(file))["samples"])
    except (OSError, ValueError, InputError):
        return -1

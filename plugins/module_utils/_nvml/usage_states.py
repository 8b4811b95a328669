# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gpu_usage does for each of its states. PRIVATE to the collection."""

from __future__ import annotations

import math
import secrets
from datetime import datetime, timezone
from typing import Any, Dict, List, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_clock import SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import Found, UsageFiles, check_id
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_process import named_process
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_run import UsageRequest, UsageRun
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import PROGRAM

SHORTEST_INTERVAL_SECONDS = 0.1


def run(params: Mapping[str, Any], check_mode: bool) -> Outcome:
    """The module's outcome.

    :param params: its options.
    :raises KubeGpuError: an option is of no use, or a file is out of reach.
    """
    files = UsageFiles(params["path"])
    if params["state"] == "sampled":
        return sample(params, files, check_mode)
    ids = [check_id(one) for one in params["ids"] or ()]
    if params["state"] == "absent":
        return remove(ids, files, check_mode)
    return collect(files.ids() if params["ids"] is None else ids, files, brief=params["brief"])


def sample(params: Mapping[str, Any], files: UsageFiles, check_mode: bool) -> Outcome:
    """Sample now. In check mode once, and no file is written."""
    _check_times(params["duration_seconds"], params["interval_seconds"])
    request = UsageRequest(
        id=check_id(params["id"] or _make_id()),
        duration_seconds=0 if check_mode else params["duration_seconds"],
        interval_seconds=params["interval_seconds"],
        nvml_library=params["nvml_library"] or None,
        pynvml_path=params["pynvml_path"] or None,
        lock_path=params["lock_path"],
    )
    node = NodeFiles(params["proc_root"], params["kubelet_root"], params["log_root"])
    with SystemClock() as clock:
        if check_mode:
            return Outcome(
                facts={"id": request.id, "path": None, "measurement": UsageRun(request, node, clock).measure()}
            )
        with named_process(PROGRAM), files.open(request.id) as file:
            measurement = UsageRun(request, node, clock, file).measure()
    return Outcome(facts={"id": request.id, "path": file.path, "measurement": measurement})


def collect(ids: List[str], files: UsageFiles, brief: bool) -> Outcome:
    """What the files say; nothing is waited for."""
    found = {one: files.find(one) for one in ids}
    there = [one for one in found.values() if one]
    facts = {
        "runs": [_describe(one) for one in there],
        "running": any(one.running for one in there),
        "measurements": [one.document for one in there if one.document and not brief],
        "missing": [one for one, known in found.items() if not known],
    }
    return Outcome(facts=facts)


def remove(ids: List[str], files: UsageFiles, check_mode: bool) -> Outcome:
    """Remove files, but for those of samplings that run."""
    done = {one: files.remove(one, check_mode) for one in ids}
    removed = [one for one, there in done.items() if there]
    facts = {"removed": removed, "kept": [one for one, there in done.items() if there is None]}
    return Outcome(actions=tuple(f"remove measurement {one}" for one in removed), facts=facts)


def _describe(found: Found) -> Dict[str, Any]:
    document = found.document or {}
    return {
        "id": found.id,
        "state": found.state,
        "running": found.running,
        "samples": document.get("samples", 0),
        "duration_seconds": document.get("duration_seconds", 0),
        "reason": found.problem or document.get("reason"),
    }


def _check_times(duration: float, interval: float) -> None:
    problems = []
    # a comparison with what is no number is false
    if not 0 <= duration < math.inf:
        problems.append(f"duration_seconds is {duration}: give 0 or more seconds.")
    if not SHORTEST_INTERVAL_SECONDS <= interval < math.inf:
        problems.append(f"interval_seconds is {interval}: give at least {SHORTEST_INTERVAL_SECONDS} seconds.")
    if problems:
        raise InputError("gpu_usage", problems)


def _make_id() -> str:
    return f"{datetime.now(timezone.utc):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"

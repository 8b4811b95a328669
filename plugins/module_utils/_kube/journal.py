# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of a run, one line a state of a node. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
import threading
from typing import Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import format_time

SCHEDULABLE, CORDONED, WITHDRAWN, SERVING = "schedulable", "cordoned", "withdrawn", "serving"
PROVEN, IN_SERVICE, FAILED = "proven", "in_service", "failed"
#: Proven, and kept out of service by a person.
HELD = "held"
HEALTHY, UNHEALTHY = "healthy", "unhealthy"
#: A pod left its node: to empty it, or to be made anew with devices that are still there.
EVICTED, RECREATED = "evicted", "recreated"


class Journal:
    """JSON lines {time, run, node, state, message}, only ever appended to.

    :param path: None: nothing is written (check mode, or nobody asked for it).
    """

    def __init__(self, path: str | None, run: str, clock: Clock) -> None:
        self._path = path
        self._run = run
        self._clock = clock
        self._guard = threading.Lock()

    def note(self, node: str, state: str, message: str = "", pod: Mapping[str, str] | None = None) -> None:
        """Add a line. With the state of a pod, its namespace, name and uid."""
        if not self._path:
            return
        line = {
            "time": format_time(self._clock.now()),
            "run": self._run,
            "node": node,
            "state": state,
            "message": message,
            **({"pod": dict(pod)} if pod else {}),
        }
        with self._guard:
            os.makedirs(os.path.dirname(self._path) or ".", exist_ok=True)
            with open(self._path, "a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Events on nodes: the story of a rollout where ``kubectl describe node`` shows it. PRIVATE to the collection.

They are for people. One that is refused costs a warning, never a step.
"""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.access import EVENT_NAMESPACE
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import Fence
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import passes, pause
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.text import shorten
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import format_time

BEGUN, TAKEN_OVER, FINISHED, HELD = "MaintenanceBegun", "MaintenanceTakenOver", "MaintenanceFinished", "MaintenanceHeld"
FAILED, RESTORED = "MaintenanceFailed", "NodeRestored"
PODS_EVICTED, PODS_RECREATED = "PodsEvicted", "PodsRecreated"
_WARNINGS = {FAILED}

COMPONENT = "kubegpu.sharing"
#: Events about things without a namespace live here, as the API server demands.
NAMESPACE = EVENT_NAMESPACE
_PATH = api_path("events", NAMESPACE)
#: The API server takes 1024 bytes of a message.
_MESSAGE_BYTES = 1000
#: A name may have 253 characters, and ours ends with a dot and 16 digits.
_NAME_LIMIT = 253 - 17
#: Nobody waits long for an Event.
_TRIES = 3


@dataclass(frozen=True)
class NodeEvent:
    """Something that happened to a node.

    :param reason: one word, see above.
    :param at: when.
    """

    node: str
    uid: str
    reason: str
    message: str
    at: datetime

    def to_object(self) -> dict[str, Any]:
        """The object to create. Its times are whole seconds; within one, Events are shown in the order of their names."""
        moment = f"{format_time(self.at)[:-5]}Z"
        serial = f"{int(self.at.timestamp() * 1e6):013x}{secrets.token_hex(2)[:3]}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"namespace": NAMESPACE, "name": f"{self.node[:_NAME_LIMIT]}.{serial}"},
            "involvedObject": {"apiVersion": "v1", "kind": "Node", "name": self.node, "uid": self.uid},
            "reason": self.reason,
            "message": _fit(self.message),
            "type": "Warning" if self.reason in _WARNINGS else "Normal",
            "source": {"component": COMPONENT},
            "reportingComponent": COMPONENT,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }


class NodeEvents:
    """Writes Events, each node's in the order in which they are told. No step waits for one before its end.

    :param origin: run and plan, put before each message.
    """

    def __init__(self, api: KubeApi, fence: Fence, clock: Clock, origin: str, parallel: int) -> None:
        self._api = api
        self._fence = fence
        self._clock = clock
        self._origin = origin
        self._collected: list[NodeEvent] = []
        self._writers = ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="event")
        self._begun: list[Future[None]] = []
        self._troubles: list[str] = []
        self._guard = threading.Lock()

    def collect(self, node: NodeState, reason: str, message: str) -> None:
        """Have an Event written later."""
        self._collected.append(self._event(node, reason, message))

    def write(self, node: NodeState, reason: str, message: str) -> None:
        """Begin to write an Event."""
        self._begun.append(self._writers.submit(self._write, self._event(node, reason, message)))

    def finish(self) -> None:
        """Wait for what is being written, then write what was collected."""
        collected, self._collected = self._collected, []
        for written in self._begun:
            written.result()
        with self._writers as writers:
            list(writers.map(self._write, collected))

    def trouble(self, message: str) -> None:
        """Something that was to be told could not be written."""
        with self._guard:
            self._troubles.append(message)

    def warnings(self) -> list[str]:
        """What to tell about what could not be written, in one line."""
        if not self._troubles:
            return []
        more = len(self._troubles) - 1
        others = f" So with {more} more." if more else ""
        return [
            f"The step itself is not affected, but its story on the node lacks something. {self._troubles[0]}{others}"
        ]

    def _event(self, node: NodeState, reason: str, message: str) -> NodeEvent:
        return NodeEvent(node.name, node.uid, reason, f"{self._origin}: {message}", self._clock.now())

    def _write(self, event: NodeEvent) -> None:
        try:
            self._send(event.to_object())
        except KubeGpuError as error:
            self.trouble(f"The Event {event.reason} on node {event.node} could not be written: {error.msg}")

    def _send(self, body: dict[str, Any]) -> None:
        for attempt in range(_TRIES):
            self._fence.check()
            try:
                self._api.create(_PATH, body)
            except ApiError as error:
                if attempt > 0 and error.status == 409:
                    return  # it exists: the answer to an earlier try was lost
                if attempt == _TRIES - 1 or not passes(error):
                    raise
                pause(self._clock, attempt, error)
            else:
                return


def _fit(message: str) -> str:
    """In so many bytes as an Event may have: a character may have up to four."""
    text = shorten(message, _MESSAGE_BYTES)
    while len(text.encode()) > _MESSAGE_BYTES:
        text = shorten(text, len(text) - 1 - (len(text.encode()) - _MESSAGE_BYTES) // 4)
    return text

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who remembers every state of every node that the API server showed, and judges it by the law."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from simulator.client import Client
from simulator.cluster import SimulatedCluster

from .node_law import Sight, come_and_gone, lies, lifted

NODES = "/api/v1/nodes"
#: The label of the last change, by which a watch knows that it has seen all before it.
MARK = "node-watch"
#: The watch lasts longer than any test.
WATCH_SECONDS = 3600
MARK_SECONDS = 30.0


class NodeWatch:
    """One list and one watch from there, without a gap. Use it as a context around what is to be watched, or end it yourself.

    Whatever ends the watch early leaves a hole in the proof: it is never taken up again, and ``end`` fails.

    ``stands_for``: what a node advertises under a revision, by node and revision (None: none of ours); to be filled in before
    the end by whoever knows the plans. Nodes without an entry are not judged. ``may_go``: nodes that may join or leave.
    """

    def __init__(self, cluster: SimulatedCluster, client: Client | None = None) -> None:
        self._cluster = cluster
        self._client = client or cluster.client(user_agent="node-watch")
        self._token = uuid.uuid4().hex
        self._complete = self._ended = False
        self._hole = "its last event was not delivered in time"
        self.seen: list[Sight] = []
        self.stands_for: dict[tuple[str, str | None], Mapping[str, int]] = {}
        self.may_go: set[str] = set()

    def begin(self) -> None:
        listed = self._client.get(NODES)
        self.seen.extend(Sight.of(node, "LISTED") for node in listed["items"])
        since = listed["metadata"]["resourceVersion"]
        query = {"watch": "true", "timeoutSeconds": str(WATCH_SECONDS), "resourceVersion": since}
        self._stream = self._client.stream(NODES, WATCH_SECONDS + MARK_SECONDS, **query)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def __enter__(self) -> NodeWatch:
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:  # what has failed already needs no proof, and should be what is told
            self.end()

    def end(self) -> None:
        """Wait for the event of a last change of our own. AssertionError if the watch has not seen all up to there.

        Faults of the API that a test has left in force end here, since they would strike this change.
        """
        if self._ended:
            return
        self._ended = True
        self._cluster.clear_api_faults()
        name = self._client.items(NODES)[0]["metadata"]["name"]
        self._client.patch(f"{NODES}/{name}", {"metadata": {"labels": {MARK: self._token}}})
        self._thread.join(timeout=MARK_SECONDS)
        self._client.patch(f"{NODES}/{name}", {"metadata": {"labels": {MARK: None}}})
        if not self._thread.is_alive():  # a stream that is being read cannot be closed by another thread
            self._stream.close()
        assert self._complete, f"the watch of the nodes has a hole after {len(self.seen)} sights: {self._hole}"

    def broken(self) -> list[str]:
        """All breaches of the law up to now. The watch ends here."""
        self.end()
        blind = {name for name, _revision in self.stands_for} - {sight.node for sight in self.seen}
        assert self.stands_for, "there is nothing to judge the nodes by"
        assert not blind, f"nothing was seen of {', '.join(sorted(blind))}"
        return [*lies(self.seen, self.stands_for), *lifted(self.seen), *come_and_gone(self.seen, self.may_go)]

    def learn(self, plan: Mapping[str, Any]) -> None:
        """From now on it is known what the nodes advertise under the revisions of a plan."""
        for name, node in plan["nodes"].items():
            self.stands_for[name, node["to"]["revision"]] = node["expected_resources"]

    def learn_before(self, plan: Mapping[str, Any]) -> None:
        """And what they advertise before any plugin of ours; of a plan that found none there."""
        for name, node in plan["nodes"].items():
            self.stands_for[name, None] = node["resources_before"]

    def _follow(self) -> None:
        try:
            for line in self._stream:
                if self._is_last(json.loads(line)):
                    self._complete = True
                    return
            self._hole = "the server ended it"
        except Exception as error:
            self._hole = f"{type(error).__name__}: {error}"

    def _is_last(self, event: Mapping[str, Any]) -> bool:
        obj = event["object"]
        if event["type"] not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
            raise ValueError(f"event {event['type']}: {obj.get('message', obj)}")
        if event["type"] == "BOOKMARK":
            return False
        if (obj["metadata"].get("labels") or {}).get(MARK) == self._token:
            return True
        self.seen.append(Sight.of(obj, event["type"]))
        return False

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who remembers every state of every node from the start, and judges it."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.request
from base64 import b64decode
from dataclasses import dataclass
from typing import Any, Mapping

import yaml

from simulator.cluster import SimulatedCluster

from .scenarios import GPU

REVISION = "kubegpu.sharing/revision"
MARK = "watcher-ends"
SECONDS = 600


@dataclass(frozen=True)
class Sight:
    """A node at a moment."""

    node: str
    revision: str | None
    unschedulable: bool
    allocatable: int

    @classmethod
    def of(cls, obj: Mapping[str, Any]) -> Sight:
        return cls(
            node=obj["metadata"]["name"],
            revision=(obj["metadata"].get("labels") or {}).get(REVISION),
            unschedulable=obj["spec"].get("unschedulable") is True,
            allocatable=int(((obj.get("status") or {}).get("allocatable") or {}).get(GPU, 0)),
        )


class Watcher:
    """Use it as a context around what is to be watched. One watch without a gap: nothing that the API showed is missed.

    ``stands_for`` is what a node advertises under a revision, by node and revision (None: none of ours); to be filled in
    before the end by whoever knows the plans.
    """

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.cluster = cluster
        self.seen: list[Sight] = []
        self.stands_for: dict[tuple[str, str | None], int] = {}

    def __enter__(self) -> Watcher:
        listed = self.cluster.client().get("/api/v1/nodes")
        self.seen.extend(Sight.of(node) for node in listed["items"])
        config = yaml.safe_load(self.cluster.kubeconfig.read_text(encoding="utf-8"))
        server = config["clusters"][0]["cluster"]
        authority = b64decode(server["certificate-authority-data"]).decode()
        request = urllib.request.Request(
            f"{server['server']}/api/v1/nodes?watch=true&timeoutSeconds={SECONDS}"
            f"&resourceVersion={listed['metadata']['resourceVersion']}",
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}", "User-Agent": "watcher"},
        )
        context = ssl.create_default_context(cadata=authority)
        self._stream = urllib.request.urlopen(request, context=context, timeout=SECONDS)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        """Wait for the event of a last change of our own: nothing before it is missed then."""
        path = f"/api/v1/nodes/{self.seen[0].node}"
        self.cluster.client().patch(path, {"metadata": {"labels": {MARK: "now"}}})
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the watch did not deliver its last event within 30 s"
        self.cluster.client().patch(path, {"metadata": {"labels": {MARK: None}}})
        self._stream.close()

    def _follow(self) -> None:
        for line in self._stream:
            event = json.loads(line)
            if event["type"] == "BOOKMARK":
                continue
            assert event["type"] == "MODIFIED", event
            if MARK in event["object"]["metadata"].get("labels", {}):
                return
            self.seen.append(Sight.of(event["object"]))

    def lies(self) -> list[str]:
        """Moments at which a node took pods while it advertised something else than the revision recorded on it."""
        found = []
        for sight in self.seen:
            if not self.stands_for.keys() & {(sight.node, sight.revision), (sight.node, None)} or sight.unschedulable:
                continue
            expected = self.stands_for.get((sight.node, sight.revision), 0)
            if sight.allocatable != expected:
                found.append(
                    f"{sight.node} is schedulable with revision {sight.revision} and advertises {sight.allocatable}, "
                    f"not {expected}"
                )
        return found

    def lifted(self, nodes: set[str]) -> list[str]:
        """Of the nodes that somebody else had cordoned, those that were schedulable at any moment."""
        return sorted({sight.node for sight in self.seen if sight.node in nodes and not sight.unschedulable})

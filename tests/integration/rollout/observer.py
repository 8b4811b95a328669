# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who watches all nodes during a rollout and remembers every state that the API server showed."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.request
from base64 import b64decode
from dataclasses import dataclass, field
from typing import Any, Mapping

import yaml

from simulator.cluster import SimulatedCluster

REVISION = "kubegpu.sharing/revision"
WATCH_SECONDS = 600


@dataclass
class NodeObserver:
    """Use it as a context around what is to be watched; ``seen`` holds the states in the order of their events."""

    cluster: SimulatedCluster
    seen: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> NodeObserver:
        listed = self.cluster.client().get("/api/v1/nodes")
        self.seen.extend(listed["items"])
        config = yaml.safe_load(self.cluster.kubeconfig.read_text(encoding="utf-8"))
        server = config["clusters"][0]["cluster"]
        authority = b64decode(server["certificate-authority-data"]).decode()
        request = urllib.request.Request(
            f"{server['server']}/api/v1/nodes?watch=true&timeoutSeconds={WATCH_SECONDS}"
            f"&resourceVersion={listed['metadata']['resourceVersion']}",
            headers={"Authorization": f"Bearer {config['users'][0]['user']['token']}", "User-Agent": "observer"},
        )
        self._stream = urllib.request.urlopen(request, context=ssl.create_default_context(cadata=authority), timeout=60)
        self._ending = False
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_unused: object) -> None:
        """Wait for the event of a last write of our own, so that nothing before it is missed."""
        name = self.seen[0]["metadata"]["name"]
        self._last = self.cluster.client().patch(
            f"/api/v1/nodes/{name}", {"metadata": {"labels": {"observer": "ends"}}}
        )
        self._thread.join(timeout=30)
        assert not self._thread.is_alive(), "the watch did not deliver its last event within 30 s"
        self.cluster.client().patch(f"/api/v1/nodes/{name}", {"metadata": {"labels": {"observer": None}}})
        self._stream.close()

    def _follow(self) -> None:
        for line in self._stream:
            event = json.loads(line)
            assert event["type"] in ("MODIFIED", "BOOKMARK"), event
            if event["type"] == "BOOKMARK":
                continue
            if event["object"]["metadata"].get("labels", {}).get("observer"):
                return
            self.seen.append(event["object"])

    def lies(self, expected: Mapping[str, Mapping[str, int]]) -> list[str]:
        """States in which a node took pods while it advertised something else than its revision stands for.

        :param expected: resources by revision.
        """
        found = []
        for node in self.seen:
            revision = node["metadata"].get("labels", {}).get(REVISION)
            if node["spec"].get("unschedulable") or revision is None:
                continue
            allocatable = node["status"].get("allocatable", {})
            wanted = expected.get(revision)
            if wanted is None or any(int(allocatable.get(name, 0)) != count for name, count in wanted.items()):
                gpus = {name: count for name, count in allocatable.items() if name.startswith("nvidia.com/")}
                found.append(
                    f"{node['metadata']['name']} is schedulable with revision {revision} and advertises {gpus}"
                )
        return found

    def most_out_of_service(self) -> int:
        """The largest number of nodes that were unschedulable at the same time."""
        out: set[str] = set()
        most = 0
        for node in self.seen:
            name = node["metadata"]["name"]
            if node["spec"].get("unschedulable"):
                out.add(name)
            else:
                out.discard(name)
            most = max(most, len(out))
        return most

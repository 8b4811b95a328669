# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The floor under every way to empty a node: all evictions at once, then the last of these pods is gone.

It knows beforehand which pods to evict, checks nothing, and has its connections made before the clock runs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

CONNECTIONS = 100
USER_AGENT = "floor"
_SECONDS = 300


def evict_at_once(kubeconfig: Path, pods: Iterable[dict[str, Any]]) -> float:
    """Seconds from the first eviction to the end of the last of the pods."""
    return asyncio.run(_evict(kubeconfig, list(pods)))


async def _evict(kubeconfig: Path, pods: list[dict[str, Any]]) -> float:
    config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster = config["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}", "User-Agent": USER_AGENT}
    # One more: the watch keeps one for itself.
    connector = aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS + 1)
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    async with aiohttp.ClientSession(
        cluster["server"], headers=headers, connector=connector, timeout=timeout
    ) as session:
        await asyncio.gather(*(_get(session, "/version") for _connection in range(min(CONNECTIONS, len(pods)))))
        path = f"/api/v1/namespaces/{pods[0]['metadata']['namespace']}/pods"
        listed = await _get(session, f"{path}?limit=1")
        watch = f"{path}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}"
        async with session.get(watch) as events:
            began = time.perf_counter()
            gone = asyncio.create_task(_await_end(events, {pod["metadata"]["uid"] for pod in pods}))
            await asyncio.gather(*(_ask(session, pod) for pod in pods))
            await gone
            return time.perf_counter() - began


async def _get(session: aiohttp.ClientSession, path: str) -> Any:
    async with session.get(path) as response:
        return await response.json()


async def _ask(session: aiohttp.ClientSession, pod: dict[str, Any]) -> None:
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name, "namespace": namespace},
        "deleteOptions": {"preconditions": {"uid": pod["metadata"]["uid"]}},
    }
    async with session.post(f"/api/v1/namespaces/{namespace}/pods/{name}/eviction", json=body) as response:
        await response.read()
        response.raise_for_status()


async def _await_end(events: aiohttp.ClientResponse, uids: set[str]) -> None:
    async for line in events.content:
        event = json.loads(line)
        if event["type"] == "DELETED":
            uids.discard(event["object"]["metadata"]["uid"])
            if not uids:
                return
    raise RuntimeError(f"the watch ended while {len(uids)} pods were still there")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Over HTTP: what the recording does not show. Watches with initial events, compression, YAML, fields of the audit."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp.test_utils import TestClient, TestServer

from simulator.apiserver.app import SERVER, create_app
from simulator.registry import Registry

MAPS = "/api/v1/namespaces/default/configmaps"
Client = TestClient[Any, Any]


def run(scene: Callable[[Client, Registry], Awaitable[None]], tmp_path: Path | None = None) -> None:
    async def play() -> None:
        registry = Registry()
        audit = tmp_path / "audit.jsonl" if tmp_path else None
        app = create_app(registry, ["token"], audit_path=audit, log_source=lambda pod, container, query: "one\ntwo\n")
        headers = {"Authorization": "Bearer token"}
        async with TestClient(TestServer(app), headers=headers) as client:
            await asyncio.wait_for(scene(client, registry), 20)

    asyncio.run(play())


async def events(response: aiohttp.ClientResponse) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (await response.text()).splitlines()]


def test_initial_events_end_with_an_annotated_bookmark() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        registry.create("configmaps", {"metadata": {"name": "a"}}, "default")
        query = {"watch": "true", "sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        query |= {"allowWatchBookmarks": "true", "timeoutSeconds": "1"}
        async with client.get(MAPS, params=query) as response:
            added, bookmark, *_unused = await events(response)
        assert (added["type"], added["object"]["metadata"]["name"]) == ("ADDED", "a")
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}

    run(scene)


def test_watch_goes_on_where_a_list_ended_and_misses_nothing() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        async with client.get(MAPS) as response:
            version = (await response.json())["metadata"]["resourceVersion"]
        registry.create("configmaps", {"metadata": {"name": "before"}}, "default")
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "1"}
        async with client.get(MAPS, params=query) as response:
            registry.create("configmaps", {"metadata": {"name": "during"}}, "default")
            registry.create("configmaps", {"metadata": {"name": "elsewhere"}}, "kube-system")
            seen = await events(response)
        assert [event["object"]["metadata"]["name"] for event in seen] == ["before", "during"]

    run(scene)


def test_bookmark_of_a_server_that_is_late_passes_over_no_change() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        version = str(registry.store.revision)
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "3", "allowWatchBookmarks": "true"}
        async with client.get(MAPS, params=query) as response:
            # The server has no time until the first of its two bookmarks is due, and changes wait.
            time.sleep(1.1)
            for name in ("a", "b", "c"):
                registry.create("configmaps", {"metadata": {"name": name}}, "default")
            registry.create("configmaps", {"metadata": {"name": "elsewhere"}}, "kube-system")
            seen = await events(response)
        assert [event["type"] for event in seen] == ["ADDED", "ADDED", "ADDED", "BOOKMARK", "BOOKMARK"]
        versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in seen]
        assert versions == sorted(versions)

    run(scene)


def test_watch_of_a_server_that_is_late_tells_at_its_end_what_came_before_it() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        version = str(registry.store.revision)
        query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": "3", "allowWatchBookmarks": "true"}
        async with client.get(MAPS, params=query) as response:
            registry.create("configmaps", {"metadata": {"name": "a"}}, "default")
            registry.create("configmaps", {"metadata": {"name": "elsewhere"}}, "kube-system")
            # The server has no time until the watch is over.
            time.sleep(3.2)
            seen = await events(response)
        assert [event["type"] for event in seen] == ["ADDED", "BOOKMARK"]

    run(scene)


def test_watch_from_a_forgotten_version_is_told_to_start_again() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        version = registry.store.revision
        registry.create("configmaps", {"metadata": {"name": "a"}}, "default")
        await client.post("/simulator/v1/compact", json={"resource": "configmaps"})
        query = {"watch": "true", "resourceVersion": str(version), "timeoutSeconds": "1"}
        async with client.get(MAPS, params=query) as response:
            assert response.status == 200
            (event,) = await events(response)
        assert (event["type"], event["object"]["code"]) == ("ERROR", 410)

    run(scene)


def test_large_lists_are_compressed_for_those_who_take_it() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        registry.create("configmaps", {"metadata": {"name": "a"}, "data": {"a": "x" * 200_000}}, "default")
        async with client.get(MAPS, headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert len((await response.json())["items"][0]["data"]["a"]) == 200_000
        async with client.get(MAPS, headers={"Accept-Encoding": "identity"}) as response:
            assert "Content-Encoding" not in response.headers

    run(scene)


def test_answers_and_warnings_follow_the_request() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        async with client.post(MAPS, json={"metadata": {"name": "a"}, "junk": 1}) as response:
            assert response.status == 201
            assert response.headers["Warning"] == '299 - "unknown field \\"junk\\""'
        async with client.get(f"{MAPS}/a", headers={"Accept": "application/yaml"}) as response:
            assert yaml.safe_load(await response.text())["metadata"]["name"] == "a"
        async with client.get(f"{MAPS}/a?pretty=true") as response:
            assert (await response.text()).startswith("{\n")

    run(scene)


def test_log_is_what_the_kubelet_gives() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        spec = {"containers": [{"name": "main", "image": "x:1"}], "nodeName": "n"}
        registry.create("pods", {"metadata": {"name": "p"}, "spec": spec}, "default")
        async with client.get("/api/v1/namespaces/default/pods/p/log?tailLines=1") as response:
            assert await response.text() == "two\n"

    run(scene)


def test_audit_has_a_line_for_every_request_but_the_simulators_own(tmp_path: Path) -> None:
    async def scene(client: Client, registry: Registry) -> None:
        await client.get("/api/v1/namespaces/default/pods/p/log")
        await client.patch("/api/v1/nodes/n/status?dryRun=All", json={}, headers={"User-Agent": "me/1"})
        async with client.get("/simulator/v1/audit?since=1") as response:
            (entry,) = (await response.json())["entries"]
        assert entry["path"] == "/api/v1/nodes/n/status?dryRun=All"
        assert (entry["verb"], entry["resource"], entry["name"], entry["subresource"]) == (
            "PATCH",
            "nodes",
            "n",
            "status",
        )
        assert (entry["status"], entry["dry_run"], entry["review"], entry["user_agent"]) == (415, True, False, "me/1")
        assert entry["duration_ms"] >= 0

    run(scene, tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["seq"] for line in lines] == [1, 2]


def test_future_versions_are_waited_for_and_then_refused() -> None:
    async def scene(client: Client, registry: Registry) -> None:
        client.app[SERVER].list_wait_seconds = 0.01
        async with client.get(f"{MAPS}?resourceVersion=99999999") as response:
            assert response.status == 504
            assert (await response.json())["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"

    run(scene)


@pytest.mark.parametrize("path", ["/nope", "/apis/nope.example.com/v1/things"])
def test_unknown_paths_are_plain_text(path: str) -> None:
    async def scene(client: Client, registry: Registry) -> None:
        async with client.get(path) as response:
            assert (response.status, await response.text()) == (404, "404 page not found\n")

    run(scene)

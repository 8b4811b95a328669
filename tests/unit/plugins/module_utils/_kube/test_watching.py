# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
from typing import Any, Callable, Iterator, Mapping

import pytest
from unit.plugins.fakes.fake_api import FakeApi, api_error

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.watching import Changes, WatchedList


def name_of(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"]["name"])


def watched(api: FakeApi, **query: str) -> WatchedList[str]:
    return WatchedList(api, "/api/v1/nodes", query, name_of, Changes())


def eventually(condition: Callable[[], bool], seconds: float = 5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.put("/api/v1/nodes/a", {"spec": {"unschedulable": True}})
    return api


def test_watched_list_is_read_on_entry_and_follows(api: FakeApi) -> None:
    with watched(api) as nodes:
        assert nodes.things() == ["a"]
        api.put("/api/v1/nodes/b", {"spec": {}})
        assert eventually(lambda: sorted(nodes.things()) == ["a", "b"])
        api.remove("/api/v1/nodes/a")
        assert eventually(lambda: nodes.things() == ["b"])


def test_watched_list_notices_what_leaves_the_selection(api: FakeApi) -> None:
    with watched(api, fieldSelector="spec.unschedulable=true") as nodes:
        assert nodes.things() == ["a"]
        api.change("/api/v1/nodes/a", {"spec": {"unschedulable": None}})
        assert eventually(lambda: nodes.things() == [])


@pytest.mark.parametrize(("status", "reason"), [(410, "Expired"), (500, "InternalError"), (429, "TooManyRequests")])
def test_watched_list_reads_again_when_the_watch_is_refused(api: FakeApi, status: int, reason: str) -> None:
    refusals = [api_error("GET", "/api/v1/nodes", status, reason) for _unused in range(2)]

    def refuse(_method: str, path: str) -> None:
        if path.endswith("?watch") and refusals:
            api.put("/api/v1/nodes/b", {"spec": {}})  # an event that no watch shows
            raise refusals.pop()

    api.faults.append(refuse)
    with watched(api) as nodes:
        assert eventually(lambda: sorted(nodes.things()) == ["a", "b"])


def test_watched_list_counts_what_it_may_have_missed_and_shows_all_that_it_saw(api: FakeApi) -> None:
    expired = [api_error("GET", "/api/v1/nodes", 410, "Expired")]

    def refuse(_method: str, path: str) -> None:
        if path.endswith("?watch") and expired:
            raise expired.pop()

    api.faults.append(refuse)
    with watched(api) as nodes:
        assert eventually(lambda: nodes.gaps == 1)
        assert nodes.passed() == []
        for number in range(3):
            api.change("/api/v1/nodes/a", {"metadata": {"labels": {"n": str(number)}}})
        seen: list[str] = []

        def saw_all() -> bool:
            seen.extend(nodes.passed())
            return len(seen) == 3

        assert eventually(saw_all)


class Broken(FakeApi):
    """The first three watches break at once."""

    begun = 0

    def watch(self, path: str, resource_version: str, timeout_seconds: float, **query: Any) -> Iterator[dict[str, Any]]:
        self.begun += 1
        return super().watch(path, resource_version, timeout_seconds, **query) if self.begun > 3 else iter(())


def test_watched_list_goes_on_where_a_broken_watch_ended() -> None:
    api = Broken()
    api.put("/api/v1/nodes/a", {})
    with watched(api) as nodes:
        assert eventually(lambda: api.begun > 3)
        api.put("/api/v1/nodes/b", {"spec": {}})
        assert eventually(lambda: sorted(nodes.things()) == ["a", "b"])
    assert api.requests.get == 2  # one list, one watch that was not replaced


def test_watched_list_that_may_not_be_watched_says_so(api: FakeApi) -> None:
    def refuse(_method: str, path: str) -> None:
        if path.endswith("?watch"):
            raise api_error("GET", "/api/v1/nodes", 403, "Forbidden")

    api.faults.append(refuse)
    with watched(api) as nodes:

        def ended() -> bool:
            try:
                nodes.things()
            except ApiError as error:
                return error.status == 403
            return False

        assert eventually(ended)


def test_changes_wake_a_wait_even_if_they_come_before_it() -> None:
    changes = Changes()
    changes.look()
    with changes.guard:
        changes.note()
    began = time.monotonic()
    changes.wait(5)
    assert time.monotonic() - began < 1


def test_changes_that_were_looked_at_do_not_wake() -> None:
    changes = Changes()
    with changes.guard:
        changes.note()
    changes.look()
    began = time.monotonic()
    changes.wait(0.05)
    assert time.monotonic() - began >= 0.05

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import time
from http.client import IncompleteRead
from typing import Any, Callable, Iterator, Mapping

import pytest
from unit.plugins.fakes.fake_api import FakeApi, api_error, lost_answer

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import watching
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError, Request, broken
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.watching import Changes, WatchedList


def name_of(obj: Mapping[str, Any]) -> str:
    return str(obj["metadata"]["name"])


def watched(api: FakeApi, **query: str) -> WatchedList[str]:
    return WatchedList(api, "/api/v1/nodes", query, name_of, Changes())


def eventually(condition: Callable[[], bool], seconds: float = 30) -> bool:
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


class Noting(Changes):
    """Looks at every change as it is made known: others see no earlier state than this."""

    look_at: Callable[[], None] = staticmethod(lambda: None)

    def note(self) -> None:
        super().note()
        self.look_at()


def test_watched_list_shows_no_list_before_it_has_counted_the_gap_before_it(api: FakeApi) -> None:
    expired = [api_error("GET", "/api/v1/nodes", 410, "Expired")]

    def refuse(_method: str, path: str) -> None:
        if path.endswith("?watch") and expired:
            api.put("/api/v1/nodes/b", {"spec": {}})
            raise expired.pop()

    api.faults.append(refuse)
    changes = Noting()
    seen: list[tuple[int, list[str]]] = []
    nodes = WatchedList(api, "/api/v1/nodes", {}, name_of, changes)
    changes.look_at = lambda: seen.append((nodes.gaps, sorted(nodes.things())))
    with nodes:
        assert eventually(lambda: nodes.unbroken)
    assert (1, ["a", "b"]) in seen
    assert (0, ["a", "b"]) not in seen


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


def ends_with(nodes: WatchedList[str], reason: str) -> ApiError:
    """The error that whoever looks is told, once it is there."""
    told: list[ApiError] = []

    def ended() -> bool:
        try:
            nodes.things()
        except ApiError as error:
            told.append(error)
        return bool(told)

    assert eventually(ended)
    assert told[0].reason == reason
    return told[0]


class Troubled(FakeApi):
    """The second watch breaks with an error that the client did not make its own."""

    error: Exception = OSError("broken pipe")
    begun = 0

    def watch(self, path: str, resource_version: str, timeout_seconds: float, **query: Any) -> Iterator[dict[str, Any]]:
        self.begun += 1
        yield from super().watch(path, resource_version, 0.2 if self.begun == 1 else timeout_seconds, **query)
        if self.begun == 1:
            raise self.error


@pytest.mark.parametrize("error", [OSError("broken pipe"), IncompleteRead(b"")], ids=lambda error: type(error).__name__)
def test_watched_list_goes_on_after_a_trouble_of_the_network_by_any_name(error: Exception) -> None:
    api = Troubled()
    api.error = error
    api.put("/api/v1/nodes/a", {})
    with watched(api) as nodes:
        assert eventually(lambda: api.begun == 2)
        api.put("/api/v1/nodes/b", {"spec": {}})
        assert eventually(lambda: sorted(nodes.things()) == ["a", "b"])


def test_watched_list_tells_of_an_end_that_nobody_has_foreseen() -> None:
    api = Troubled()
    api.error = AttributeError("'NoneType' object has no attribute 'readline'")
    with watched(api) as nodes:
        told = ends_with(nodes, "WatchEnded")
    assert told.msg.startswith("Cannot watch nodes: following it ended with AttributeError: 'NoneType' object has no")
    assert told.__cause__ is api.error
    assert "in _follow" in told.facts["exception"]


def test_watched_list_tells_of_an_object_that_it_cannot_read(api: FakeApi) -> None:
    def strict(obj: Mapping[str, Any]) -> str:
        return str(obj["metadata"]["labels"]["name"])

    api.put("/api/v1/nodes/a", {"metadata": {"labels": {"name": "a"}}})
    with WatchedList(api, "/api/v1/nodes", {}, strict, Changes()) as nodes:
        assert nodes.things() == ["a"]
        api.put("/api/v1/nodes/b", {"metadata": {}})
        assert "ended with KeyError: 'labels'" in ends_with(nodes, "WatchEnded").msg


def test_watched_list_is_unbroken_until_its_watch_breaks(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    # A list that is read anew would begin another unbroken watch.
    monkeypatch.setattr(watching, "_REFUSALS", 10**6)
    with watched(api) as nodes:
        assert eventually(lambda: nodes.unbroken)
        assert nodes.age < 5  # since the list
        assert eventually(lambda: nodes.age == 0)
        api.cut = True
        assert eventually(lambda: not nodes.unbroken)
        assert eventually(lambda: nodes.age > 0.2)
        api.cut = False
        assert eventually(lambda: nodes.age == 0)
        assert not nodes.unbroken  # it was, for a while


class Behind(FakeApi):
    """A watch opens, and shows a moment later what happened before it did."""

    def watch(
        self,
        path: str,
        resource_version: str,
        timeout_seconds: float,
        *,
        opened: Callable[[], None] | None = None,
        **query: Any,
    ) -> Iterator[dict[str, Any]]:
        self.put("/api/v1/nodes/b", {"spec": {}})
        if opened is not None:
            opened()
        time.sleep(0.03)
        yield from super().watch(path, resource_version, timeout_seconds, **query)


def test_watched_list_is_not_unbroken_before_its_watch_has_shown_what_happened_since_the_list(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Longer than the thread that follows may stand still on a busy machine.
    monkeypatch.setattr(watching, "_CATCH_UP_SECONDS", 3.0)
    api = Behind()
    api.put("/api/v1/nodes/a", {})
    with watched(api) as nodes:
        assert eventually(lambda: nodes.unbroken)
        assert sorted(nodes.things()) == ["a", "b"]


class Silent(FakeApi):
    """The first watch is silent for so long, then given up; no other can be opened."""

    silence = 0.5
    begun = 0

    def watch(
        self,
        path: str,
        resource_version: str,
        timeout_seconds: float,
        *,
        opened: Callable[[], None] | None = None,
        **query: Any,
    ) -> Iterator[dict[str, Any]]:
        yield from ()
        self.begun += 1
        if self.begun == 1 and opened is not None:
            opened()
            time.sleep(self.silence)
            raise broken(Request.of("GET", path, watching=True), "Timeout", "nothing was heard")
        raise lost_answer("GET", path)


def test_watched_list_is_as_old_as_the_last_word_of_a_watch_that_fell_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    # A list that is read anew would be younger.
    monkeypatch.setattr(watching, "_REFUSALS", 10**6)
    api = Silent()
    api.put("/api/v1/nodes/a", {})
    with watched(api) as nodes:
        assert eventually(lambda: api.begun >= 2)
        assert nodes.age >= api.silence
        assert not nodes.unbroken


def test_watched_list_that_is_refreshed_shows_what_its_broken_watch_did_not(api: FakeApi) -> None:
    with watched(api) as nodes:
        assert eventually(lambda: nodes.unbroken)
        api.cut = True
        assert eventually(lambda: not nodes.unbroken)
        api.put("/api/v1/nodes/b", {"spec": {}})
        api.remove("/api/v1/nodes/a")
        assert nodes.refresh() == nodes.things() == ["b"]
        assert not nodes.unbroken
        api.cut = False
        assert eventually(lambda: nodes.age == 0)
        assert nodes.refresh() == ["b"]
        assert nodes.unbroken


class Slow(FakeApi):
    """Lists come ``late`` after the state that they show."""

    late: Callable[[], None] | None = None

    def pages(self, path: str, *, page_size: int = 500, **query: Any) -> Iterator[Any]:
        pages = list(super().pages(path, page_size=page_size, **query))
        if self.late is not None:
            self.late()
        yield from pages


def test_watched_list_keeps_what_comes_while_it_is_refreshed() -> None:
    api = Slow()
    api.put("/api/v1/nodes/a", {})
    api.put("/api/v1/nodes/b", {})
    with watched(api) as nodes:
        assert eventually(lambda: nodes.unbroken)

        def meanwhile() -> None:
            api.put("/api/v1/nodes/c", {"spec": {}})
            api.remove("/api/v1/nodes/a")
            assert eventually(lambda: sorted(nodes.things()) == ["b", "c"])

        api.late = meanwhile
        assert sorted(nodes.refresh()) == ["b", "c"]
        assert sorted(nodes.things()) == ["b", "c"]


def test_changes_wake_a_wait_even_if_they_come_before_it() -> None:
    changes = Changes()
    changes.look()
    with changes.guard:
        changes.note()
    assert changes.wait(5)


def test_changes_that_were_looked_at_do_not_wake() -> None:
    changes = Changes()
    with changes.guard:
        changes.note()
    changes.look()
    began = time.monotonic()
    changes.wait(0.05)
    assert time.monotonic() - began >= 0.05

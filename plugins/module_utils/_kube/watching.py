# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection of the API, kept current by a watch. PRIVATE to the collection."""

from __future__ import annotations

import threading
from typing import Any, Callable, Generic, Mapping, TypeVar

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi

Thing = TypeVar("Thing")

#: All pods of a node in one answer: of what is selected little is kept, so larger pages than others' do no harm.
_PAGE_SIZE = 1000
#: A watch is begun anew after so long, from where it was: no event is missed, and its thread ends soon when it should.
_WINDOW_SECONDS = 10
_LONGEST_PAUSE_SECONDS = 5.0
#: So many refusals on end, and the place where the watch was is given up.
_REFUSALS = 3


class Changes:
    """Tells a waiting thread that something has changed since it looked last."""

    def __init__(self) -> None:
        self.guard = threading.Condition()
        self._count = 0
        self._seen = 0

    def note(self) -> None:
        """Something has changed. To be called with ``guard`` held."""
        self._count += 1
        self.guard.notify_all()

    def look(self) -> None:
        """Whatever has changed up to now is about to be looked at."""
        with self.guard:
            self._seen = self._count

    def wait(self, seconds: float) -> bool:
        """Return at a change since the last look (True), or after so many seconds."""
        with self.guard:
            return self.guard.wait_for(lambda: self._count != self._seen, seconds)


class WatchedList(Generic[Thing]):
    """What a selector selects, as observed last. Use it as a context manager: the list is read on entry.

    A watch that breaks goes on from the last event seen, so that nothing is missed. If the server no longer knows that
    one (410), or refuses again and again, the list is read anew: what happened in between is not known then (``gaps``).

    :param observe: from an API object to what is kept of it; it must bear ``uid``.
    :param changes: told of every change.
    """

    def __init__(
        self,
        api: KubeApi,
        path: str,
        query: Mapping[str, str],
        observe: Callable[[Mapping[str, Any]], Thing],
        changes: Changes,
    ) -> None:
        self._api = api
        self._path = path
        self._query: dict[str, Any] = {name: value for name, value in query.items() if value}
        self._observe = observe
        self._changes = changes
        self._things: dict[str, Thing] = {}
        self._passed: list[Thing] = []
        self._version = ""
        self.gaps = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name=f"watch {path}", daemon=True)
        self._fatal: ApiError | None = None

    def __enter__(self) -> WatchedList[Thing]:
        self._read()
        self._thread.start()
        return self

    def __exit__(self, *_details: object) -> None:
        # The thread ends with its window at the latest; it only ever reads.
        self._stop.set()

    def things(self) -> list[Thing]:
        """What is selected now.

        :raises ApiError: watching is not permitted, so that nothing will be seen any more.
        """
        with self._changes.guard:
            if self._fatal is not None:
                raise self._fatal
            return list(self._things.values())

    def passed(self) -> list[Thing]:
        """Everything as it was observed since the last call, in order: also what has changed again since."""
        with self._changes.guard:
            passed, self._passed = self._passed, []
            return passed

    def _follow(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                if not self._version:
                    self._read()
                    self.gaps += 1
                self._watch()
                failures = 0
            except ApiError as error:
                if error.status in (401, 403):
                    self._end(error)
                    return
                failures += 1
                if error.status == 410 or failures % _REFUSALS == 0:
                    self._version = ""
                self._stop.wait(min(0.05 * 2**failures, _LONGEST_PAUSE_SECONDS))

    def _read(self) -> None:
        things: dict[str, Thing] = {}
        version = ""
        for page in self._api.pages(self._path, page_size=_PAGE_SIZE, **self._query):
            things.update({_uid(obj): self._observe(obj) for obj in page.items})
            version = page.resource_version
        with self._changes.guard:
            self._things, self._version = things, version
            self._changes.note()

    def _watch(self) -> None:
        for event in self._api.watch(self._path, self._version, _WINDOW_SECONDS, **self._query):
            if self._stop.is_set():
                return
            obj = event.get("object") or {}
            with self._changes.guard:
                self._version = (obj.get("metadata") or {}).get("resourceVersion") or self._version
                if event.get("type") == "BOOKMARK":
                    continue
                if event.get("type") == "DELETED":
                    self._things.pop(_uid(obj), None)
                else:
                    thing = self._observe(obj)
                    self._things[_uid(obj)] = thing
                    self._passed.append(thing)
                self._changes.note()

    def _end(self, error: ApiError) -> None:
        with self._changes.guard:
            self._fatal = error
            self._changes.note()


def _uid(obj: Mapping[str, Any]) -> str:
    return str((obj.get("metadata") or {}).get("uid", ""))

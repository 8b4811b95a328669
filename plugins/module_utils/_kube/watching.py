# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A collection of the API, kept current by a watch. PRIVATE to the collection."""

from __future__ import annotations

import threading
import time
import traceback
from http.client import HTTPException
from typing import Any, Callable, Generic, Mapping, TypeVar

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError, Request
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi

Thing = TypeVar("Thing")

#: All pods of a node in one answer: of what is selected little is kept, so larger pages than others' do no harm.
_PAGE_SIZE = 1000
#: A watch is begun anew after so long, from where it was: no event is missed, and its thread ends soon when it should.
_WINDOW_SECONDS = 10
_LONGEST_PAUSE_SECONDS = 5.0
#: So many refusals on end, and the place where the watch was is given up.
_REFUSALS = 3
#: What happened while no watch was open is shown at once when one is: so long it is given for that.
_CATCH_UP_SECONDS = 0.1
#: Troubles of the network that come by another name than the client's own, and pass as those do.
_TROUBLES = (OSError, HTTPException)


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
    While no watch is open, what is kept may be old. Where that matters, see ``unbroken``, ``age`` and ``refresh``.

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
        self._reading = threading.Lock()
        #: What the watch shows while the list is read by others than its own thread, None for what is deleted.
        self._meanwhile: dict[str, Thing | None] | None = None
        self._watches = 0  # that were opened so far
        self._trusted = 1  # the watch that follows a list without a hole in between
        self._opened: float | None = None  # when the one that is open was; None: none is
        #: The moment up to which nothing was missed, as long as no watch has caught up with the present.
        self._known = 0.0
        self._heard = 0.0  # when the watch that is open was heard of last
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

        :raises ApiError: watching is not permitted, or ended in a way that is not foreseen: nothing will be seen any more.
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

    @property
    def unbroken(self) -> bool:
        """A watch has been open without a break since the list that it goes on from, and has shown what happened in between."""
        with self._changes.guard:
            return self._caught_up(time.monotonic()) and self._watches == self._trusted

    @property
    def age(self) -> float:
        """Seconds that what is kept may be old: 0 while a watch is open, and has shown what happened before it was."""
        with self._changes.guard:
            now = time.monotonic()
            return 0.0 if self._caught_up(now) else now - self._known

    def _caught_up(self, now: float) -> bool:
        return self._opened is not None and now - self._opened >= _CATCH_UP_SECONDS

    def refresh(self) -> list[Thing]:
        """Read the list now, whatever the watch does meanwhile.

        :returns: what is selected, no older than this call.
        :raises ApiError: it cannot be read.
        """
        with self._reading:
            with self._changes.guard:
                meanwhile: dict[str, Thing | None] = {}
                self._meanwhile = meanwhile
                watch = self._watches if self._opened is not None else None
            try:
                listed, _version = self._list()
            except BaseException:
                self._meanwhile = None
                raise
            with self._changes.guard:
                self._meanwhile = None
                # Some of what the watch showed may be older than the list. That is too much at most, and the watch goes on.
                things = {uid: thing for uid, thing in {**listed, **meanwhile}.items() if thing is not None}
                self._things = things
                if self._opened is not None and self._watches == watch:
                    self._trusted = watch
                self._changes.note()
                return list(things.values())

    def _follow(self) -> None:
        try:
            failures = 0
            while not self._stop.is_set():
                trouble = self._follow_a_while()
                failures = failures + 1 if trouble else 0
                if trouble is None:
                    continue
                if isinstance(trouble, ApiError) and trouble.status in (401, 403):
                    raise trouble
                if getattr(trouble, "status", None) == 410 or failures % _REFUSALS == 0:
                    self._version = ""
                self._stop.wait(min(0.05 * 2**failures, _LONGEST_PAUSE_SECONDS))
        except ApiError as error:
            self._end(error)
        except Exception as error:  # a thread's end is seen by nobody  # pylint: disable=broad-except
            self._end(_unforeseen(self._path, error))

    def _follow_a_while(self) -> Exception | None:
        """Watch once, after a list where one is needed. What went wrong with that, and may go well later."""
        try:
            if not self._version:
                self._read(gaps=1)
            self._watch()
        except (ApiError, *_TROUBLES) as error:
            return error
        return None

    def _list(self) -> tuple[dict[str, Thing], str]:
        things: dict[str, Thing] = {}
        version = ""
        for page in self._api.pages(self._path, page_size=_PAGE_SIZE, **self._query):
            things.update({_uid(obj): self._observe(obj) for obj in page.items})
            version = page.resource_version
        return things, version

    def _read(self, gaps: int = 0) -> None:
        """:param gaps: that come to light with the list: nobody may see it without them."""
        with self._reading:
            asked = time.monotonic()
            things, version = self._list()
            with self._changes.guard:
                self._things, self._version, self._known = things, version, asked
                self._trusted = self._watches + 1
                self.gaps += gaps
                self._changes.note()

    def _watch(self) -> None:
        silent = False
        events = self._api.watch(self._path, self._version, _WINDOW_SECONDS, opened=self._note_opened, **self._query)
        try:
            for event in events:
                if self._stop.is_set():
                    return
                with self._changes.guard:
                    self._take(event)
        except ApiError as error:
            silent = error.reason == "Timeout"
            raise
        finally:
            with self._changes.guard:
                # A connection that fell silent may have been dead ever since.
                until = self._heard if silent else time.monotonic()
                self._known = until if self._caught_up(until) else self._known
                self._opened = None

    def _note_opened(self) -> None:
        with self._changes.guard:
            self._watches += 1
            self._opened = self._heard = time.monotonic()
            self._changes.note()

    def _take(self, event: Mapping[str, Any]) -> None:
        obj = event.get("object") or {}
        self._heard = time.monotonic()
        self._version = (obj.get("metadata") or {}).get("resourceVersion") or self._version
        if event.get("type") == "BOOKMARK":
            return
        uid = _uid(obj)
        thing = None if event.get("type") == "DELETED" else self._observe(obj)
        if thing is None:
            self._things.pop(uid, None)
        else:
            self._things[uid] = thing
            self._passed.append(thing)
        if self._meanwhile is not None:
            self._meanwhile[uid] = thing
        self._changes.note()

    def _end(self, error: ApiError) -> None:
        with self._changes.guard:
            self._fatal = error
            self._changes.note()


def _unforeseen(path: str, error: Exception) -> ApiError:
    """What a waiter is told of an error that nobody has thought of."""
    request = Request.of("GET", path, watching=True)
    ended = ApiError(
        f"{request.attempt()}: following it ended with {type(error).__name__}: {error}. What has happened since is not known. "
        "Run again; if it happens again, report it with the traceback.",
        request=request,
        reason="WatchEnded",
    )
    ended.facts["exception"] = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    ended.__cause__ = error
    return ended


def _uid(obj: Mapping[str, Any]) -> str:
    return str((obj.get("metadata") or {}).get("uid", ""))

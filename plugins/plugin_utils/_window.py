# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When waves may begin: a window of time on days of the week. PRIVATE to the collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from typing import Any

import yaml
from zoneinfo import ZoneInfo

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WORDS = {"days", "start", "end", "timezone"}
_MINUTES_OF_A_DAY = 24 * 60
_WEEK = 7


@dataclass(frozen=True)
class Window:
    """From ``start`` to ``end`` by the clock of a place, on the days on which it starts.

    :param days: numbers of the days, Monday is 0.
    :param start: minutes after midnight.
    :param end: minutes after the same midnight; it is larger than ``start``, and past 1440 for a window over midnight.
    """

    days: frozenset[int]
    start: int
    end: int
    zone: ZoneInfo

    def span(self, day: datetime) -> tuple[datetime, datetime]:
        """First moment of the window that starts on ``day``, and the first after it, as moments in UTC.

        A start that the clock skips or shows twice in that night counts from where it is safe to begin: skipped, as if the clock
        had not been changed yet; shown twice, the first time. An end that is shown twice counts the first time.
        """
        return self._moment(day, self.start), self._moment(day, self.end)

    def _moment(self, day: datetime, minutes: int) -> datetime:
        date = day.date() + timedelta(days=minutes // _MINUTES_OF_A_DAY)
        minutes %= _MINUTES_OF_A_DAY
        local = datetime.combine(date, time(minutes // 60, minutes % 60), tzinfo=self.zone)
        return local.astimezone(timezone.utc)


def read_window(given: Any) -> Window | None:
    """The window, None if nothing is given, which means always.

    :param given: a mapping, or a text that holds one, as surveys and -e name=value hand it over.
    :raises ValueError: all that is wrong with it.
    """
    value = _read_text(given) if isinstance(given, str) else given
    if not value:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"expected days, start, end and timezone, got {value!r}")
    problems = [f"{word} is unknown: use days, start, end and timezone" for word in sorted(set(value) - _WORDS)]
    fields: dict[str, Any] = {}
    for name, read, default in (
        ("days", _read_days, list(DAYS)),
        ("start", _read_minutes, "00:00"),
        ("end", _read_minutes, "24:00"),
        ("timezone", _read_zone, "UTC"),
    ):
        try:
            fields[name] = read(value.get(name, default))
        except ValueError as error:
            problems.append(f"{name}: {error}")
    if problems:
        raise ValueError("; ".join(problems))
    start, end = fields["start"] % _MINUTES_OF_A_DAY, fields["end"]
    return Window(fields["days"], start, end if end > start else end + _MINUTES_OF_A_DAY, fields["timezone"])


def window_state(window: Window | None, now: datetime) -> dict[str, Any]:
    """Whether a wave may begin now.

    :param now: an aware time.
    :returns: open, and the moments ``closes`` (while it is open) or ``opens`` by the window's clock, null without a window.
    """
    if window is None:
        return {"open": True, "opens": None, "closes": None, "reason": "No window is set."}
    today = now.astimezone(window.zone)
    # From yesterday's, which may reach over midnight, to the same day of next week.
    spans = [
        window.span(day)
        for offset in range(-1, _WEEK + 1)
        for day in (today + timedelta(days=offset),)
        if day.weekday() in window.days
    ]
    closing = [end for start, end in spans if start <= now < end]
    if closing:
        closes = _show(max(closing), window)
        return {"open": True, "opens": None, "closes": closes, "reason": f"The window is open until {closes}."}
    opens = _show(min(start for start, _end in spans if start > now), window)
    reason = f"The window is closed: it is {_show(now, window)}, and the next one opens {opens}."
    return {"open": False, "opens": opens, "closes": None, "reason": reason}


def _show(moment: datetime, window: Window) -> str:
    local = moment.astimezone(window.zone)
    return f"{DAYS[local.weekday()].capitalize()} {local:%Y-%m-%d %H:%M} {window.zone.key}"


def _read_text(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{text!r} is no mapping") from error


def _read_days(given: Any) -> frozenset[int]:
    names = given.split(",") if isinstance(given, str) else given
    if not isinstance(names, list) or not names:
        raise ValueError(f"expected a list such as [mon, tue], got {given!r}")
    return frozenset(_read_day(str(name)) for name in names)


def _read_day(name: str) -> int:
    short = name.strip().lower()
    for number, day in enumerate(DAYS):
        if len(short) >= 3 and day.startswith(short):
            return number
    raise ValueError(f"{name!r} is no day of the week: use mon, tue, wed, thu, fri, sat or sun")


def _read_minutes(given: Any) -> int:
    # YAML 1.1 takes an unquoted 22:00 for a number in base 60, which is just the minutes.
    minutes = given if isinstance(given, int) and not isinstance(given, bool) else _minutes_of(str(given))
    if minutes is None or not 0 <= minutes <= _MINUTES_OF_A_DAY:
        raise ValueError(f'{given!r} is no time of day: write it like "22:00"')
    return minutes


def _minutes_of(text: str) -> int | None:
    hours, colon, minutes = text.strip().partition(":")
    if not (colon and hours.isdecimal() and minutes.isdecimal() and len(minutes) == 2 and int(minutes) < 60):
        return None
    return int(hours) * 60 + int(minutes)


def _read_zone(given: Any) -> ZoneInfo:
    try:
        return ZoneInfo(str(given))
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{given!r} is no time zone that this control node knows: use a name such as Europe/Berlin or UTC, and see that "
            "the package tzdata is installed"
        ) from error

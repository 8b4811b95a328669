# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a wave may begin."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubegpu.sharing.plugins.filter.window_state import window_state

NIGHT = {"days": ["fri"], "start": "22:00", "end": "05:00", "timezone": "Europe/Berlin"}
# The clocks in Berlin go forward on 2026-03-29 (02:00 to 03:00) and back on 2026-10-25 (03:00 to 02:00), both Sundays.
SPRING = {"days": ["sun"], "start": "02:30", "end": "04:00", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("window", "now", "is_open"),
    [
        pytest.param({}, "2026-03-06T12:00:00Z", True, id="none is always open"),
        pytest.param("", "2026-03-06T12:00:00Z", True, id="none as text"),
        pytest.param(NIGHT, "2026-03-06T20:59:59Z", False, id="before it starts"),
        pytest.param(NIGHT, "2026-03-06T21:00:00Z", True, id="from its first moment"),
        pytest.param(NIGHT, "2026-03-07T03:59:59Z", True, id="over midnight it belongs to the day of its start"),
        pytest.param(NIGHT, "2026-03-07T04:00:00Z", False, id="not from its end on"),
        pytest.param(NIGHT, "2026-03-07T22:00:00Z", False, id="another day"),
        pytest.param(NIGHT, "2026-07-03T20:00:00Z", True, id="the same hour in summer"),
        pytest.param({"days": "sat, Sunday"}, "2026-03-08T23:59:00Z", True, id="whole days as text"),
        pytest.param({"days": "sat, Sunday"}, "2026-03-09T00:00:00Z", False, id="whole days end at midnight"),
        pytest.param({"start": 1320, "end": "05:00"}, "2026-03-09T22:00:00Z", True, id="unquoted in YAML 1.1"),
        pytest.param('{"start": "22:00", "end": "05:00"}', "2026-03-09T21:00:00Z", False, id="JSON as text"),
        pytest.param({"start": "08:00", "end": "08:00"}, "2026-03-09T07:00:00Z", True, id="a whole day round"),
        pytest.param(SPRING, "2026-03-29T01:29:00Z", False, id="a start that is skipped is no earlier"),
        pytest.param(SPRING, "2026-03-29T01:30:00Z", True, id="a start that is skipped comes all the same"),
        pytest.param(SPRING, "2026-03-29T02:00:00Z", False, id="its end is by the new clock"),
        pytest.param(SPRING, "2026-10-25T00:30:00Z", True, id="a start that comes twice counts the first time"),
        pytest.param(SPRING, "2026-10-25T01:15:00Z", True, id="and does not close in between"),
        pytest.param({**SPRING, "end": "02:45"}, "2026-10-25T00:45:00Z", False, id="an end that comes twice as well"),
        pytest.param({**SPRING, "end": "02:45"}, "2026-10-25T01:35:00Z", False, id="and stays closed"),
    ],
)
def test_window_state_at_a_moment(window: Any, now: str, is_open: bool) -> None:
    assert window_state(window, now)["open"] is is_open


def test_window_state_says_when_it_opens_and_closes() -> None:
    assert window_state(NIGHT, "2026-03-07T12:00:00Z")["reason"] == (
        "The window is closed: it is Saturday 2026-03-07 13:00 Europe/Berlin, and the next one opens Friday 2026-03-13 22:00 Europe/Berlin."
    )
    assert window_state(NIGHT, "2026-03-07T00:00:00Z")["closes"] == "Saturday 2026-03-07 05:00 Europe/Berlin"


@given(
    start=st.integers(0, 1439),
    end=st.integers(0, 1440),
    days=st.sets(st.integers(0, 6), min_size=1),
    hours=st.floats(0, 9000),
)
def test_window_state_is_either_open_or_opens_within_eight_days(
    start: int, end: int, days: set[int], hours: float
) -> None:
    names = [("mon", "tue", "wed", "thu", "fri", "sat", "sun")[day] for day in days]
    now = datetime.fromisoformat("2026-01-01T00:00:00+00:00") + timedelta(hours=hours)
    state = window_state({"days": names, "start": start, "end": end, "timezone": "America/New_York"}, now.isoformat())
    assert state["open"] == (state["opens"] is None) == (state["closes"] is not None)


@pytest.mark.parametrize(
    ("window", "words"),
    [
        pytest.param({"start": "25:00"}, "is no time of day", id="hour"),
        pytest.param({"end": "noon"}, "is no time of day", id="word"),
        pytest.param({"days": ["someday"]}, "is no day of the week", id="day"),
        pytest.param({"days": []}, "expected a list such as", id="no day"),
        pytest.param({"timezone": "Mars/Olympus"}, "is no time zone that this control node knows", id="zone"),
        pytest.param({"begin": "22:00"}, "begin is unknown", id="word unknown"),
        pytest.param("night", "expected days, start, end and timezone", id="text"),
    ],
)
def test_window_state_of_a_wrong_window_says_what_is_wrong(window: Any, words: str) -> None:
    with pytest.raises(AnsibleFilterError, match=words):
        window_state(window)


def test_window_state_names_all_that_is_wrong_at_once() -> None:
    with pytest.raises(AnsibleFilterError, match="days: .*; start: .*; timezone: "):
        window_state({"days": ["x"], "start": "x", "timezone": "x"})

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import (
    format_micro_time,
    format_time,
    parse_time,
)

NOON = datetime(2026, 3, 1, 12, 0, 0, 125_000, tzinfo=timezone.utc)


def test_format_time_gives_milliseconds_in_utc() -> None:
    assert format_time(NOON.astimezone(timezone(timedelta(hours=2)))) == "2026-03-01T12:00:00.125Z"


def test_format_micro_time_gives_exactly_six_digits() -> None:
    assert format_micro_time(NOON.replace(microsecond=0)) == "2026-03-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00.125000Z", NOON),
        ("2026-03-01T12:00:00.125Z", NOON),
        ("2026-03-01T12:00:00.125999999Z", NOON + timedelta(microseconds=999)),
        ("2026-03-01T14:30:00.125+02:30", NOON),
        ("2026-03-01T10:00:00.125-02:00", NOON),
        ("2026-03-01T12:00:00Z", NOON.replace(microsecond=0)),
        ("2026-13-01T12:00:00Z", None),
        ("yesterday", None),
        ("", None),
        (None, None),
        (5, None),
    ],
)
def test_parse_time_reads_what_kubernetes_writes(text: object, moment: datetime | None) -> None:
    assert parse_time(text) == moment

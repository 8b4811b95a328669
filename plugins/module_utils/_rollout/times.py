# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Points in time as text, and back. PRIVATE to the collection."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds: "2026-03-01T12:00:00.125Z"."""
    return f"{_utc(moment):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def format_micro_time(moment: datetime) -> str:
    """Kubernetes' MicroTime: exactly six digits of a second, or the API server refuses it."""
    return f"{_utc(moment):%Y-%m-%dT%H:%M:%S.%f}Z"


def parse_time(text: object) -> datetime | None:
    """The moment that an RFC 3339 text names, aware; None for anything else."""
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if not match:
        return None
    day, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(day).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
    moment += timedelta(microseconds=int((fraction or "0").ljust(6, "0")[:6]))
    if zone != "Z":
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6]))
        moment -= offset if zone[0] == "+" else -offset
    return moment


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc)

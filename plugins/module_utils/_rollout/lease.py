# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a cluster: who may hold it, and when it may be taken from a run that is gone. PRIVATE to the collection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import (
    format_micro_time,
    format_time,
    parse_time,
)

#: Without any other word, a lease is taken to last so long (seconds).
DEFAULT_DURATION = 60

CREATE, TAKE, TAKE_OVER, RENEW, KEEP, WAIT = "create", "take", "take over", "renew", "keep", "wait"


@dataclass(frozen=True)
class LeaseState:
    """What was observed of a Lease.

    :param holder: the run that holds it, None if it is free.
    :param duration: seconds.
    :param by: who runs it where, in words.
    """

    holder: str | None
    duration: int
    acquired: datetime | None
    renewed: datetime | None
    transitions: int
    resource_version: str
    by: str = ""

    @property
    def pulse(self) -> tuple[object, ...]:
        """What a run that is alive changes from time to time."""
        return (self.holder, self.renewed, self.acquired, self.transitions)

    @property
    def expires(self) -> datetime | None:
        """When it runs out, by its holder's clock."""
        return self.renewed + timedelta(seconds=self.duration) if self.renewed else None

    def expired(self, now: datetime) -> bool:
        """It has run out, as far as the two clocks agree."""
        return self.expires is None or now >= self.expires

    def describe(self) -> str:
        """Who holds it since when, in words."""
        if self.holder is None:
            return "nobody"
        since = format_time(self.acquired) if self.acquired else "an unknown time"
        seen = format_time(self.renewed) if self.renewed else "never"
        by = f" ({self.by})" if self.by else ""
        return f"run {self.holder}{by} since {since}, last renewed {seen}, for {self.duration} s"


@dataclass(frozen=True)
class Sighting:
    """What was seen of a lease while it was watched, by one's own clock.

    :param unchanged: seconds for which its pulse has certainly not changed.
    :param renewed: it was renewed in the meantime: its holder is alive, whatever the times in it look like.
    """

    unchanged: float = 0.0
    renewed: bool = False


@dataclass(frozen=True)
class LockDecision:
    """What to do with the lock now.

    :param wait: for ``wait``: seconds after which a look is worth while. ``dead`` tells that the holder shows no sign of
        life so far, so that the wait is one for certainty and not one for another run.
    """

    kind: str
    wait: float = 0.0
    dead: bool = False

    @property
    def changes(self) -> bool:
        """The holder becomes another one."""
        return self.kind in (CREATE, TAKE, TAKE_OVER)


def observe_lease(obj: Mapping[str, Any]) -> LeaseState:
    """What matters of a Lease object."""
    metadata = obj.get("metadata") or {}
    spec = obj.get("spec") or {}
    return LeaseState(
        holder=spec.get("holderIdentity") or None,
        duration=int(spec.get("leaseDurationSeconds") or DEFAULT_DURATION),
        acquired=parse_time(spec.get("acquireTime")),
        renewed=parse_time(spec.get("renewTime")),
        transitions=int(spec.get("leaseTransitions") or 0),
        resource_version=metadata.get("resourceVersion", ""),
        by=_holder_text((metadata.get("annotations") or {}).get(names.HOLDER_ANNOTATION), spec.get("holderIdentity")),
    )


def decide_lock(lease: LeaseState | None, run: str, now: datetime, seconds: int, sighting: Sighting) -> LockDecision:
    """What run ``run``, which wants the lock for ``seconds``, does now.

    A lease of another run is taken over only once it was seen unchanged for its whole length. Its times are those of
    its holder's clock, and a clock that is minutes ahead of it makes every live lease look as if it had run out long ago. They
    only tell whether to watch at all (``dead``) or to treat the lease as that of a live run.
    """
    if lease is None:
        return LockDecision(CREATE)
    if lease.holder == run:
        age = (now - lease.renewed).total_seconds() if lease.renewed else None
        fresh = age is not None and 0 <= age < lease.duration / 3 and lease.duration == seconds
        return LockDecision(KEEP if fresh else RENEW)
    if lease.holder is None:
        return LockDecision(TAKE)
    if sighting.unchanged >= lease.duration:
        return LockDecision(TAKE_OVER)
    dead = lease.expired(now) and not sighting.renewed
    return LockDecision(WAIT, wait=lease.duration - sighting.unchanged, dead=dead)


def acquire_patch(
    lease: LeaseState | None, run: str, now: datetime, seconds: int, by: Mapping[str, str]
) -> dict[str, Any]:
    """Body that makes ``run`` the holder: of a new Lease, or a merge patch that holds only for the lease that was seen."""
    moment = format_micro_time(now)
    transitions = lease.transitions + 1 if lease else 0
    spec = {
        "holderIdentity": run,
        "leaseDurationSeconds": seconds,
        "acquireTime": moment,
        "renewTime": moment,
        "leaseTransitions": transitions,
    }
    metadata: dict[str, Any] = {
        "annotations": {names.HOLDER_ANNOTATION: json.dumps({"run": run, **by}, sort_keys=True)},
        "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
    }
    if lease is not None:
        metadata["resourceVersion"] = lease.resource_version
        metadata["annotations"][names.RELEASED_ANNOTATION] = None
    return {"metadata": metadata, "spec": spec}


def renew_patch(lease: LeaseState, now: datetime, seconds: int | None = None) -> dict[str, Any]:
    """Merge patch that renews the lease that was seen."""
    spec: dict[str, Any] = {"renewTime": format_micro_time(now)}
    if seconds is not None and seconds != lease.duration:
        spec["leaseDurationSeconds"] = seconds
    return {"metadata": {"resourceVersion": lease.resource_version}, "spec": spec}


def release_patch(lease: LeaseState, run: str, now: datetime) -> dict[str, Any]:
    """Merge patch that frees the lease. The object stays, as a trace of who held it last and until when."""
    note = json.dumps({"run": run, "at": format_time(now)}, sort_keys=True)
    return {
        "metadata": {"resourceVersion": lease.resource_version, "annotations": {names.RELEASED_ANNOTATION: note}},
        "spec": {"holderIdentity": None},
    }


def _holder_text(annotation: str | None, holder: object) -> str:
    """Who stands behind a run, if the note is of that run."""
    try:
        note = json.loads(annotation or "")
    except ValueError:
        return ""
    if not isinstance(note, Mapping) or note.get("run") != holder:
        return ""
    user, host = note.get("user"), note.get("host")
    return f"{user}@{host}" if user and host else ""

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking and giving back the lock of a cluster. PRIVATE to the collection."""

from __future__ import annotations

import getpass
import socket
from dataclasses import dataclass
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import LEASE_API, lease_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.namespaces import ensure_namespace, namespace_action
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import TRIES, passes, pause
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import lease as rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.lease import LeaseState, LockDecision, Sighting
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.names import LEASE_NAME

_LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class LockRequest:
    """Who wants the lock.

    :param seconds: length of the lease.
    :param wait: seconds to wait for another run that is alive.
    """

    namespace: str
    run: str
    seconds: int = rules.DEFAULT_DURATION
    wait: float = 0.0

    @property
    def title(self) -> str:
        """The lock in words."""
        return f"{self.namespace}/{LEASE_NAME}"


@dataclass(frozen=True)
class LockChange:
    """What was done about the lock, or is to be.

    :param found: the lease as it was.
    :param lease: the lease as it is now; in check mode None.
    """

    found: LeaseState | None
    decision: LockDecision
    actions: tuple[str, ...] = ()
    lease: LeaseState | None = None

    @property
    def taken_over(self) -> str | None:
        """The dead run that it was taken from."""
        return self.found.holder if self.found and self.decision.kind == rules.TAKE_OVER else None


def identify() -> dict[str, str]:
    """The user and the machine behind this run, for those who meet its lock."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return {"user": user, "host": socket.gethostname()}


class Lock:
    """The lock of a cluster: the Lease ``kubegpu-rollout``."""

    def __init__(self, api: KubeApi, clock: Clock, request: LockRequest) -> None:
        self._api = api
        self._clock = clock
        self._request = request
        self._path = lease_path(request.namespace)

    def read(self) -> LeaseState | None:
        """The lease, None if there is none."""
        obj = self._api.get_or_none(self._path)
        return rules.observe_lease(obj) if obj else None

    def acquire(self, check_mode: bool) -> LockChange:
        """Take or renew the lock. In check mode, find out whether it would be taken.

        :raises KubeGpuError: another run holds it and gave it up in none of ``wait`` seconds.
        """
        for attempt in range(TRIES):
            found, decision = self._decide(check_mode)
            actions = self._actions(found, decision)
            if check_mode or decision.kind == rules.KEEP:
                return LockChange(found, decision, actions, None if check_mode else found)
            try:
                return LockChange(found, decision, actions, self._write(found, decision))
            except ApiError as error:
                trouble = self._bear(error, attempt)
        raise trouble

    def release(self, check_mode: bool) -> LockChange:
        """Give the lock back if it is this run's own. Another run's is left alone.

        In check mode the run has never taken it. It is taken as its own if it could have been had.
        """
        for attempt in range(TRIES):
            found = self.read()
            own = found is not None and found.holder == self._request.run
            actions = (f"patch Lease {self._request.title}: released by run {self._request.run}",)
            if check_mode and (own or self._available(found)):
                return LockChange(found, LockDecision(rules.KEEP), actions)
            if found is None or not own:
                return LockChange(found, LockDecision(rules.KEEP), lease=found)
            try:
                obj = self._api.patch(self._path, rules.release_patch(found, self._request.run, self._clock.now()))
            except ApiError as error:
                trouble = self._bear(error, attempt)
            else:
                return LockChange(found, LockDecision(rules.KEEP), actions, rules.observe_lease(obj))
        raise trouble

    def _available(self, lease: LeaseState | None) -> bool:
        return lease is None or lease.holder is None or lease.expired(self._clock.now())

    def _bear(self, error: ApiError, attempt: int) -> ApiError:
        """Get over a trouble that passes, or a lease that is no longer the one that was looked at."""
        if not passes(error) and error.status != 404:
            raise error
        pause(self._clock, attempt, error)
        return error

    def _decide(self, check_mode: bool) -> tuple[LeaseState | None, LockDecision]:
        """Look at the lease until it can be had, or until it is no use to wait on. In check mode, look once."""
        started = self._clock.monotonic()
        seen: LeaseState | None = None
        seen_at, renewed = started, False
        while True:
            asked = self._clock.monotonic()
            lease = self.read()
            now = self._clock.monotonic()
            if lease is None or seen is None or lease.pulse != seen.pulse:
                renewed = lease is not None and seen is not None and lease.holder is not None
                seen, seen_at = lease, now
            sighting = Sighting(max(0.0, asked - seen_at), renewed)
            decision = rules.decide_lock(lease, self._request.run, self._clock.now(), self._request.seconds, sighting)
            if decision.kind != rules.WAIT:
                return lease, decision
            if check_mode and decision.dead:
                return lease, LockDecision(rules.TAKE_OVER)
            # Making sure that a dead run is dead is no waiting for another run: it takes the length of a lease at most.
            if not decision.dead and (check_mode or now - started >= self._request.wait):
                raise self._held(lease, sighting, now - started)
            self._clock.sleep(min(decision.wait, _LOOK_SECONDS))

    def _held(self, lease: LeaseState | None, sighting: Sighting, seconds: float) -> KubeGpuError:
        if lease is None:
            raise AssertionError("a lock that does not exist is free")
        waited = f" It was waited for {seconds:.0f} s." if seconds >= 1 else ""
        if sighting.renewed:
            waited += " It was renewed meanwhile, so that run is alive."
        expires = rules.format_time(lease.expires) if lease.expires else "now"
        return KubeGpuError(
            f"Cannot take the lock {self._request.title} for run {self._request.run}: it is held by {lease.describe()}.{waited} "
            "Wait until that run has ended, or set kubegpu_lock_wait (wait_seconds) to wait for it. If it is dead, a run that is "
            f"started after {expires} takes the lock over, once it has seen no sign of life for {lease.duration} s.",
            **describe(lease),
        )

    def _actions(self, found: LeaseState | None, decision: LockDecision) -> tuple[str, ...]:
        lines = []
        if decision.kind == rules.CREATE:
            lines += namespace_action(self._api, self._request.namespace)
        words = {
            rules.CREATE: f"create Lease {self._request.title}: held by run {self._request.run}",
            rules.TAKE: f"patch Lease {self._request.title}: held by run {self._request.run}",
            rules.TAKE_OVER: f"patch Lease {self._request.title}: run {self._request.run} takes it over from dead run "
            f"{found.holder if found else ''}",
        }
        return (*lines, words[decision.kind]) if decision.kind in words else ()

    def _write(self, found: LeaseState | None, decision: LockDecision) -> LeaseState:
        """Write the decision. It holds only for the lease that was looked at."""
        now = self._clock.now()
        if decision.kind == rules.CREATE:
            ensure_namespace(self._api, self._clock, self._request.namespace)
            return rules.observe_lease(self._create())
        if found is None:
            raise AssertionError("all other decisions are about a lease that exists")
        if decision.kind == rules.RENEW:
            body = rules.renew_patch(found, now, self._request.seconds)
        else:
            body = rules.acquire_patch(found, self._request.run, now, self._request.seconds, identify())
        return rules.observe_lease(self._api.patch(self._path, body))

    def _create(self) -> dict[str, Any]:
        body = rules.acquire_patch(None, self._request.run, self._clock.now(), self._request.seconds, identify())
        body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", **body}
        body["metadata"].update({"name": LEASE_NAME, "namespace": self._request.namespace})
        return self._api.create(api_path("leases", self._request.namespace, api=LEASE_API), body)


def describe(lease: LeaseState | None) -> dict[str, Any]:
    """A lease for a result."""
    if lease is None:
        return {"holder": None, "since": None, "expires": None}
    return {
        "holder": lease.holder,
        "since": rules.format_time(lease.acquired) if lease.acquired and lease.holder else None,
        "expires": rules.format_time(lease.expires) if lease.expires and lease.holder else None,
    }

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No write without the lock. PRIVATE to the collection.

A run that was paused (a laptop asleep, a network cut) may wake up when another run has long taken the lock over. So
every write asks here first, and long waits ask here all the time, which also renews the lease.
"""

from __future__ import annotations

import contextlib
import threading
from typing import Protocol

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import passes
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.lease import (
    LeaseState,
    observe_lease,
    renew_patch,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.names import LEASE_NAME

LEASE_API = "apis/coordination.k8s.io/v1"
_TRIES = 3


class LeaseLostError(KubeGpuError):
    """The lock is not, or no longer, this run's: it must not write anything."""


class Fence(Protocol):
    """Asked before every write."""

    @property
    def patience(self) -> float:
        """Seconds after which a wait must ask again, so that the lock is renewed in good time."""

    def check(self) -> None:
        """Return if this run may write now.

        :raises LeaseLostError: it may not, and will not again in this call.
        """


class LeaseFence:
    """Checks and renews a run's lease. Makes no request before it is asked for the first time.

    :param seconds: the length to renew the lease for.
    """

    def __init__(self, api: KubeApi, clock: Clock, namespace: str, run: str, seconds: int) -> None:
        self._api = api
        self._clock = clock
        self._run = run
        self._seconds = seconds
        self.path = lease_path(namespace)
        self.title = f"{namespace}/{LEASE_NAME}"
        self._guard = threading.Lock()
        self._confirmed: float | None = None  # by the clock that only grows: since when the lease certainly runs
        self._duration = float(seconds)
        self._lost: LeaseLostError | None = None

    @property
    def patience(self) -> float:
        """Half of the time after which the lease is renewed: two thirds of it are left when the first try comes."""
        return self._duration / 6

    def check(self) -> None:
        """Return if the lease is ours. Renews it once a third of it has gone by."""
        with self._guard:
            if self._lost is not None:
                raise self._lost
            try:
                self._renew()
            except LeaseLostError as error:
                self._lost = error
                raise

    def _renew(self) -> None:
        # What an answer says may no longer be true when it comes: a process may have been stopped meanwhile. So each is followed
        # by a look at the time.
        for _attempt in range(_TRIES):
            if self._age() < self._duration / 3:
                return
            try:
                self._confirm()
            except ApiError as error:
                # Nobody may take the lease before it has run out, so a passing trouble of the API is borne till then. What does not
                # pass is told at once: without permission, or with the lease deleted, the next write would be no better off.
                if not passes(error) or self._age() >= self._duration * 2 / 3:
                    raise
                return
        if self._age() >= self._duration * 2 / 3:
            raise LeaseLostError(
                f"Cannot write for run {self._run}: {_TRIES} times the answer to a renewal of the lock {self.title} came so late that "
                f"it may have run out meanwhile (it lasts {self._duration:.0f} s). See what holds this machine or its way to the "
                "API server up, then run again.",
                holder=self._run,
            )

    def _age(self) -> float:
        return float("inf") if self._confirmed is None else self._clock.monotonic() - self._confirmed

    def _confirm(self) -> None:
        first = self._confirmed is None
        for _attempt in range(_TRIES):
            asked = self._clock.monotonic()
            lease = self._read()
            age = (self._clock.now() - lease.renewed).total_seconds() if lease.renewed else float("inf")
            if first and 0 <= age < lease.duration and lease.duration == self._seconds:
                # Known now, so that a renewal that fails is borne as long as one by a step that has asked before.
                self._confirmed, self._duration = asked - age, float(lease.duration)
                if age < lease.duration / 3:
                    return
            try:
                self._api.patch(self.path, renew_patch(lease, self._clock.now(), self._seconds))
            except ApiError as error:
                if error.status != 409:
                    raise
                self._confirmed = None  # somebody wrote it meanwhile: see who
                continue
            self._confirmed, self._duration = asked, float(self._seconds)
            return
        raise LeaseLostError(
            f"Cannot renew the lock {self.title} of run {self._run}: the Lease was changed {_TRIES} times while it was being "
            "renewed. Find out what else writes it, then run again."
        )

    def _read(self) -> LeaseState:
        obj = self._api.get_or_none(self.path)
        lease = observe_lease(obj) if obj else None
        if lease is None or lease.holder is None:
            raise LeaseLostError(
                f"Cannot write for run {self._run}: nobody holds the lock {self.title}. Take it first (maintenance_lock with "
                "state present); if this run had it, it was released or deleted meanwhile: run again.",
                holder=None,
            )
        if lease.holder != self._run:
            raise LeaseLostError(
                f"Cannot write for run {self._run}: the lock {self.title} is held by {lease.describe()}. This run has stopped; "
                "let that run end, then run again.",
                holder=lease.holder,
            )
        return lease


def ask_ahead(fence: Fence) -> None:
    """Have the fence asked while something else is read, so that the first write need not wait for that.

    It changes nothing: that write asks all the same, and is told then what is wrong.
    """

    def ask() -> None:
        with contextlib.suppress(KubeGpuError):
            fence.check()

    threading.Thread(target=ask, name="ask the fence", daemon=True).start()


def lease_path(namespace: str) -> str:
    """The API path of the cluster's lock."""
    return api_path("leases", namespace, LEASE_NAME, api=LEASE_API)

#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take or give back the lock of a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: maintenance_lock
short_description: Let only one rollout at a time change a cluster
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Holds the Lease V(kubegpu-rollout) for a run, so that of two rollouts, also from two control nodes, exactly one proceeds.
    The other one is told who holds the lock and since when.
  - Every step of a rollout checks before each write that the lock is still its own, and renews it while it waits.
  - The lock of a dead run is taken over once its time is past and it shows no sign of life. To make sure, it is watched for its
    whole length, by this machine's own clock, whatever the times in it say. A run that renews it meanwhile is alive.
  - Giving back releases only the run's own lock. The Lease object stays, as a trace of who held it last.
  - Creates the namespace if it is missing. Touches nothing else.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubegpu.sharing.rollout
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    support: full
    details:
      - A live lock of another run fails in check mode as well, as it would in earnest. A lock whose time is past is taken
        as free, without watching it.
      - With O(state=absent), a lock that the run could have had is taken as its own, since in check mode it never took it.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - A lock that is held already may be renewed, which is a write but no change.
options:
  state:
    description:
      - V(present) takes the lock, or renews it if the run holds it already.
      - V(absent) gives it back. A lock of another run is left alone.
    type: str
    choices: [present, absent]
    default: present
  wait_seconds:
    description:
      - Seconds to wait for another run that holds the lock. V(0) refuses a live lock at once.
      - A lock whose time is past is watched for its whole length in any case, since taking it over is no waiting for a run.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: Take the lock
  kubegpu.sharing.maintenance_lock:
    run: 20260301-120000-a1b2c3

- name: Take the lock, waiting up to ten minutes for another rollout to end
  kubegpu.sharing.maintenance_lock:
    run: 20260301-120000-a1b2c3
    wait_seconds: 600

- name: See whether the lock could be taken
  kubegpu.sharing.maintenance_lock:
    run: 20260301-120000-a1b2c3
  check_mode: true
  diff: true

- name: Give the lock back
  kubegpu.sharing.maintenance_lock:
    run: 20260301-120000-a1b2c3
    state: absent
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, one line each.
  returned: success
  type: list
  elements: str
  sample: ["create Lease kubegpu-system/kubegpu-rollout: held by run 20260301-120000-a1b2c3"]
holder:
  description: The run that holds the lock now, in check mode as it was found. Also returned when the lock could not be had.
  returned: always
  type: str
  sample: 20260301-120000-a1b2c3
since:
  description: When that run took it.
  returned: always
  type: str
  sample: "2026-03-01T12:00:00.125Z"
expires:
  description: When it runs out unless it is renewed.
  returned: always
  type: str
  sample: "2026-03-01T12:01:00.125Z"
taken_over:
  description: The dead run that the lock was taken from.
  returned: success
  type: str
  sample: 20260228-090000-0f0e0d
taken_over_from:
  description: That run in words, with who started it where, and its last sign of life. Null if the lock was taken from no dead run.
  returned: success
  type: str
  sample: run 20260228-090000-0f0e0d (op@control) since 2026-02-28T09:00:01.000Z, last renewed 2026-02-28T09:10:21.000Z, for 60 s
requests:
  description: Requests that were made to the API.
  returned: success
  type: dict
  sample: {get: 2, write: 2, review: 0, dry_run: 0, bytes: 1841}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock, SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.lock import Lock, LockRequest, describe
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import RUN_SPEC, check_run_options


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options: dict[str, dict[str, Any]] = {
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "wait_seconds": {"type": "float", "default": 0},
    }
    return RUN_SPEC.merge(ArgumentSpec(options=options))


def run(params: Mapping[str, Any], api: KubeApi, clock: Clock, check_mode: bool) -> Outcome:
    """Take, renew or give back the lock."""
    check_run_options(params)
    request = LockRequest(params["lock_namespace"], params["run"], params["lease_seconds"], params["wait_seconds"])
    lock = Lock(api, clock, request)
    change = lock.acquire(check_mode) if params["state"] == "present" else lock.release(check_mode)
    released = params["state"] == "absent"
    before = params["run"] if released else change.found.holder if change.found else None
    return Outcome(
        actions=change.actions,
        before={"holder": before} if change.actions else {},
        after={"holder": None if released else params["run"]} if change.actions else {},
        facts={
            **describe(change.found if check_mode else change.lease),
            "taken_over": change.taken_over,
            "taken_over_from": change.found.describe() if change.found and change.taken_over else None,
            "requests": api.requests.to_dict(),
        },
    )


def main() -> None:
    """Run as a module."""
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module), SystemClock(), module.check_mode))


if __name__ == "__main__":
    main()

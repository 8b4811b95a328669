#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record how a cluster was before a rollout."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_snapshot
short_description: Record how a cluster was before a rollout
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Writes immutable ConfigMaps with all that is needed to go back, for each node of the plan the labels that the rollout
    changes, its revision, whether it was cordoned, what it advertised, the layout of its MIG instances
    where the plan has one for it, and what the plan makes of it. Also the parts of other owners' DaemonSets that it
    changes, and the objects of the collection that serve the nodes now.
  - The state of a large fleet is spread over several ConfigMaps, since one object may have about 1 MiB.
  - A run that has a snapshot already keeps it, and so does a run that does the rest of a rollout that was interrupted, see
    O(plan_id). A run that starts a plan records a new one, even if that plan was carried out before and taken back.
  - Of a node that a run left out of service, it records how the node was before that run, as the note on it says.
  - Of complete snapshots, the last ones are kept and older ones deleted. Nothing is deleted that lacks the label
    C(app.kubernetes.io/managed-by=kubegpu.sharing).
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubegpu.sharing.rollout
  - kubegpu.sharing.rollout.plan
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - The diff names snapshots. It does not show what is in them.
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) makes the snapshot if there is none yet.
    type: str
    choices: [present]
    default: present
  plan_id:
    description:
      - The plan_id under which the rollout was accepted, if that is not the plan's own. A rollout that was interrupted goes on under
        the id that it began with.
    type: str
    default: ""
  keep:
    description:
      - Number of snapshots to keep, the new one included.
    type: int
    default: 5
"""

EXAMPLES = r"""
- name: Record the state to go back to
  kubegpu.sharing.rollout_snapshot:
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3

- name: See whether a snapshot would be made, and which would be deleted
  kubegpu.sharing.rollout_snapshot:
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
  check_mode: true
  diff: true

- name: Go on with a rollout that was interrupted, and keep twenty snapshots
  kubegpu.sharing.rollout_snapshot:
    plan_path: "{{ run_dir }}/plan.json"
    plan_id: 0123456789abcdef
    run: 20260301-130000-d4e5f6
    keep: 20
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, one line each.
  returned: success
  type: list
  elements: str
  sample: ["create ConfigMap kubegpu-system/kubegpu-snapshot-20260301-120000-a1b2c3-0"]
snapshot:
  description: Name of the snapshot's main ConfigMap, the one that was kept or the new one.
  returned: success
  type: str
  sample: kubegpu-snapshot-20260301-120000-a1b2c3
snapshot_run:
  description: The run that made it.
  returned: success
  type: str
  sample: 20260301-120000-a1b2c3
plan_id:
  description: The plan that it belongs to.
  returned: success
  type: str
  sample: 0123456789abcdef
requests:
  description: Requests that were made to the API.
  returned: success
  type: dict
  sample: {get: 5, write: 2, review: 0, dry_run: 0, bytes: 30422}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock, SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.snapshots import keep_snapshot
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import PLAN_SPEC, Session, load_plan


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options: dict[str, dict[str, Any]] = {
        "state": {"type": "str", "choices": ["present"], "default": "present"},
        "plan_id": {"type": "str", "default": ""},
        "keep": {"type": "int", "default": 5},
    }
    return PLAN_SPEC.merge(ArgumentSpec(options=options))


def run(params: Mapping[str, Any], api: KubeApi, clock: Clock, check_mode: bool) -> Outcome:
    """Make the snapshot if there is none yet."""
    session = Session.begin(api, clock, params, check_mode)
    return keep_snapshot(session, load_plan(params["plan_path"]))


def main() -> None:
    """Run as a module."""
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module), SystemClock(), module.check_mode))


if __name__ == "__main__":
    main()

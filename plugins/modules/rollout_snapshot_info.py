#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whether a plan goes on with a rollout that was approved before."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_snapshot_info
short_description: Tell whether a plan goes on with a rollout that was approved before
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - A rollout that was interrupted has done a part of its plan. Planned anew, the rest has another plan_id, although nobody wants
    anything else than what was approved.
  - Looks for the snapshot that M(kubegpu.sharing.rollout_snapshot) made under the approved id, and compares. The plan may go
    on under that id if each node that it changes is to become the very key and revision that the approved plan had for it,
    or if it changes nothing.
  - Changes nothing, and needs no lock.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubegpu.sharing.rollout.plan
  - kubernetes.core.k8s_auth_options
options:
  plan_id:
    description:
      - The plan_id that was approved.
    type: str
    required: true
  lock_namespace:
    description:
      - Namespace of the snapshots, which is that of the lock.
    type: str
    default: kubegpu-system
seealso:
  - module: kubegpu.sharing.rollout_snapshot
"""

EXAMPLES = r"""
- name: See whether this plan goes on with the one that was approved
  kubegpu.sharing.rollout_snapshot_info:
    plan_path: "{{ run_dir }}/plan.json"
    plan_id: 0123456789abcdef
  register: approved

- name: Stop if it is another one
  ansible.builtin.assert:
    that: approved.resumable
    fail_msg: "{{ approved.reason }}"
"""

RETURN = r"""
resumable:
  description: The plan does a part of the approved one, and nothing else.
  returned: success
  type: bool
  sample: true
reason:
  description: Why, as a sentence.
  returned: success
  type: str
  sample: Plan 0123456789abcdef was begun by run 20260301-120000-a1b2c3, and what is left (3 nodes) is a part of it.
snapshot:
  description: Name of the main ConfigMap of the approved plan's snapshot. Null if there is none.
  returned: success
  type: str
  sample: kubegpu-snapshot-20260301-120000-a1b2c3
requests:
  description: Requests that were made to the API.
  returned: success
  type: dict
  sample: {get: 1, write: 0, review: 0, dry_run: 0, bytes: 8114}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import KUBE_AUTH_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.snapshots import find_resume
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import load_plan


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options: dict[str, dict[str, Any]] = {
        "plan_path": {"type": "path", "required": True},
        "plan_id": {"type": "str", "required": True},
        "lock_namespace": {"type": "str", "default": "kubegpu-system"},
    }
    return ArgumentSpec(options=options).merge(KUBE_AUTH_SPEC)


def run(params: Mapping[str, Any], api: KubeApi) -> Outcome:
    """Compare the plan with the snapshot of the approved one."""
    if not params["plan_id"]:
        raise InputError("options", ["plan_id is empty. Give the plan_id that was approved."])
    plan = load_plan(params["plan_path"])
    resume = find_resume(api, params["lock_namespace"], params["plan_id"], plan)
    return Outcome(
        facts={
            "resumable": resume.resumable,
            "reason": resume.reason,
            "snapshot": resume.snapshot,
            "requests": api.requests.to_dict(),
        }
    )


def main() -> None:
    """Run as a module."""
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module)))


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask whether a rollout is permitted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: access_info
short_description: Ask whether the user may do all that a rollout does, before it begins
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Asks the API server by access reviews whether the credentials suffice, so that a rollout is refused as a whole and does
    not stop half-way at the first thing that is denied.
  - Answers with everything that is missing at once.
  - An access review is a POST request, but changes nothing. Reviews are counted apart from writes.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubernetes.core.k8s_auth_options
options:
  plan_path:
    description:
      - File with the plan to be rolled out. Its namespace is the one that counts. The DaemonSets that it takes off nodes, or
        brings back, are asked about as well, evictions if it has pods evicted, and a list of all DaemonSets if it lays out MIG
        instances.
      - If not given, what any rollout needs is asked about.
    type: path
  namespace:
    description: Namespace of the lock, the snapshots and the collection's device plugins, if O(plan_path) is not given.
    type: str
    default: kubegpu-system
  runtime_classes:
    description:
      - Names of RuntimeClasses that the rollout sees to. They are read, and where one is missing, it is asked whether it may be
        made.
      - If not given, nothing is asked about them.
    type: list
    elements: str
    default: []
requirements:
  - python >= 3.9
  - kubernetes >= 24.2.0
  - PyYAML
seealso:
  - module: kubegpu.sharing.rollout_status_info
"""

EXAMPLES = r"""
- name: Ask whether a rollout would be permitted
  kubegpu.sharing.access_info:
  register: access

- name: Refuse to go on without the permissions for this plan
  kubegpu.sharing.access_info:
    plan_path: /var/lib/kubegpu/plan.json
  register: access
  failed_when: access is failed or access.missing | length > 0
"""

RETURN = r"""
missing:
  description: Permissions that the user does not have. An empty namespace stands for the whole cluster.
  returned: success
  type: list
  elements: dict
  sample: [{"verb": "patch", "resource": "nodes", "namespace": ""}]
asked:
  description: How many permissions were asked about.
  returned: success
  type: int
  sample: 23
msg:
  description: What to grant, in words. Empty if nothing is missing.
  returned: success
  type: str
  sample: ""
requests:
  description: How many requests were made of the API server, by kind, and the size of its answers in bytes.
  returned: success
  type: dict
  sample: {get: 0, write: 0, review: 23, dry_run: 0, bytes: 13050}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.access import describe_missing, needed_access
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.access import (
    find_missing,
    find_missing_for_runtime_classes,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import KUBE_AUTH_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.documents import read_document
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import read_plan


def argument_spec() -> ArgumentSpec:
    return KUBE_AUTH_SPEC.merge(
        ArgumentSpec(
            options={
                "plan_path": {"type": "path"},
                "namespace": {"type": "str", "default": "kubegpu-system"},
                "runtime_classes": {"type": "list", "elements": "str", "default": []},
            }
        )
    )


def run(params: Mapping[str, Any], client: KubeClient) -> Outcome:
    path = params["plan_path"]
    plan = read_plan(read_document(path, "plan"), path) if path else None
    needs = needed_access(plan, plan.namespace if plan else params["namespace"])
    asked, denied = find_missing_for_runtime_classes(client, params["runtime_classes"])
    missing = [*find_missing(client, needs), *denied]
    return Outcome(
        facts={
            "missing": [access.to_dict() for access in missing],
            "asked": len(needs) + asked,
            "msg": describe_missing(missing),
            "requests": client.requests.to_dict(),
        }
    )


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module)))


if __name__ == "__main__":
    main()

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there is a kubeconfig to read."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubeconfig_problem
short_description: Tell why no kubeconfig can be read
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Looks for the kubeconfig that the modules of this collection would use on the control node, and tells why it cannot be read.
  - Looks at that file alone, not into it. Finds nothing wrong where E(K8S_AUTH_HOST) or a pod's service account is used instead.
options:
  _input:
    description:
      - Path of the kubeconfig. If empty, that of the environment variables E(K8S_AUTH_KUBECONFIG) and E(KUBECONFIG), or
        C(~/.kube/config).
    type: raw
    required: true
"""

EXAMPLES = r"""
- name: Refuse to begin without a kubeconfig
  ansible.builtin.assert:
    that: (kubegpu_kubeconfig | default('') | kubegpu.sharing.kubeconfig_problem) == ''
    fail_msg: "{{ kubegpu_kubeconfig | default('') | kubegpu.sharing.kubeconfig_problem }}"
"""

RETURN = r"""
_value:
  description: What is wrong and what to do, in sentences that name the path and where it comes from; empty if nothing is wrong.
  type: str
  sample: >-
    The kubeconfig of kubegpu_kubeconfig cannot be used: /etc/kubegpu/config does not exist. So the cluster was not asked, and nothing
    was changed. Set kubegpu_kubeconfig in the inventory or with -e.
"""

import os
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.plugin_utils import _kubeconfig
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain


def kubeconfig_problem(kubeconfig: Any) -> str:
    """Why no kubeconfig can be read."""
    return _kubeconfig.find_problem(to_plain(kubeconfig), os.environ)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"kubeconfig_problem": kubeconfig_problem}

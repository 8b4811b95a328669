# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How every module of the collection behaves: check mode, diff mode, idempotency, where it runs. PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Extend C(kubegpu.sharing.attributes) first, then the parts that apply, then say what is special in the module itself."""

    # What the attributes mean. A module states its own ``support`` and ``details``, or takes INFO_MODULE's.
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description:
      - In check mode the module reads and plans as always, writes nothing, and reports the same RV(ignore:changed) and
        RV(ignore:diff) as a real run.
  diff_mode:
    description:
      - In diff mode the module returns what differs between the observed and the desired state as RV(ignore:diff).
  idempotent:
    description:
      - Run twice with the same options, the second run reports no change and makes no write, as long as nobody else has
        changed what the module looks at.
"""

    # For modules that only read.
    INFO_MODULE = r"""
options: {}
attributes:
  check_mode:
    support: full
    details:
      - This module changes nothing.
  diff_mode:
    support: N/A
    details:
      - This module changes nothing.
  idempotent:
    support: full
    details:
      - This module changes nothing.
"""

    # For modules that talk to the Kubernetes API, on the control node.
    ACTIONGROUP_K8S = r"""
options: {}
attributes:
  action_group:
    description:
      - Use C(group/kubegpu.sharing.k8s) in C(module_defaults) to set the options of the Kubernetes connection once for all
        modules of the group.
    support: full
    membership:
      - kubegpu.sharing.k8s
"""

    # For modules of which an action plugin does a part, or all, on the control node.
    ACTION = r"""
options: {}
attributes:
  action:
    description:
      - An action plugin of the same name does a part of the work on the control node.
    support: full
"""

    # For modules that run on GPU nodes.
    PLATFORM_LINUX = r"""
options: {}
attributes:
  platform:
    description:
      - Systems on which the module runs.
    support: full
    platforms: linux
"""

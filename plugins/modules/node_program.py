#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the program that stays on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_program
short_description: Install the program that stays on a node
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Builds one file on the control node, of this collection's own code and C(pynvml), and installs it on the node. It needs
    nothing there but Python 3.8. It restores MIG layouts when the node boots, and writes for Prometheus who uses GPU memory.
  - The same collection and the same C(pynvml) give the same file, so it is sent and replaced only when something differs.
  - Starts nothing. The roles P(kubegpu.sharing.mig_config#role) and P(kubegpu.sharing.gpu_usage_exporter#role) install the units that run it, each
    its own copy.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.action
  - kubegpu.sharing.attributes.platform_linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(present) installs the program, or replaces one that differs.
      - V(absent) removes it, and its directory if nothing else is in it.
    type: str
    choices: [present, absent]
    default: present
  path:
    description: Where the program is to be on the node.
    type: path
    default: /usr/local/lib/kubegpu-sharing/kubegpu-sharing.pyz
  digest:
    description: SHA-256 of the program. Set by the action plugin, which builds it.
    type: str
  source:
    description: The program on the node, ready to be moved into its place. Set by the action plugin when it has sent it.
    type: path
requirements:
  - nvidia-ml-py >= 12.550.52 on the control node
"""

EXAMPLES = r"""
- name: Install the program
  kubegpu.sharing.node_program:
  become: true
  register: program

- name: Show which Python of the node runs it
  ansible.builtin.debug:
    msg: "{{ program.interpreter }} {{ program.path }} --version"

- name: Remove it
  kubegpu.sharing.node_program:
    state: absent
  become: true
"""

RETURN = r"""
path:
  description: Where the program is.
  type: str
  returned: success
  sample: /usr/local/lib/kubegpu-sharing/kubegpu-sharing.pyz
interpreter:
  description: The node's Python that Ansible uses, which can run the program; by the name that an upgrade of the system keeps, if it has one.
  type: str
  returned: success
  sample: /usr/bin/python3
digest:
  description: SHA-256 of the program; null where it is absent.
  type: str
  returned: success
source_needed:
  description: Whether the program differs and still has to be sent. The action plugin then sends it.
  type: bool
  returned: success
actions:
  description: What was done, or would be done in check mode.
  type: list
  elements: str
  returned: success
  sample: [install /usr/local/lib/kubegpu-sharing/kubegpu-sharing.pyz]
"""

import sys
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._boot.installing import (
    Wanted,
    find_change,
    find_interpreter,
    install,
    remove,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome


def argument_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "path": {"type": "path", "default": "/usr/local/lib/kubegpu-sharing/kubegpu-sharing.pyz"},
            # these two are the action plugin's
            "digest": {"type": "str"},
            "source": {"type": "path"},
        },
        required_if=[("state", "present", ["digest"])],
    )


def run(params: Mapping[str, Any], check_mode: bool) -> Outcome:
    wanted = Wanted(params["path"], params["digest"] if params["state"] == "present" else None)
    change = find_change(wanted)
    waits = bool(change.action) and wanted.digest is not None and not params["source"]
    if change.action and not check_mode and not waits:
        if wanted.digest is None:
            remove(wanted)
        else:
            install(wanted, params["source"])
    return Outcome(
        actions=(change.action,) if change.action else (),
        before={"digest": change.before},
        after={"digest": wanted.digest},
        facts={
            "path": wanted.path,
            "interpreter": find_interpreter(sys.executable),
            "digest": wanted.digest,
            "source_needed": waits and not check_mode,
        },
    )


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, module.check_mode))


if __name__ == "__main__":
    main()

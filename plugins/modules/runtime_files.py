#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the settings of a node's container runtime by a plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runtime_files
short_description: Change the settings of a node's container runtime, and put the old ones back where it does not serve with them
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Carries out a plan that M(kubegpu.sharing.container_runtime) has made on the control node. It is that module which is meant to be used.
  - A file is replaced only if it still has the content that the plan was made for. All new files lie on the disk before the first old one
    is replaced, and going back takes no space.
  - After the restart the runtime itself is asked, through the interface that the kubelet uses. If it does not serve in time, the old files
    are put back, it is restarted with them, and the error has what it logged.
  - A process that is killed leaves a marker, by which the next run finishes what was begun, the restart included. If that fails it goes
    back to what stood before the first of them.
  - The configuration of systemd is never reloaded, because that can take GPUs away from containers that run.
  - Needs nothing installed on the node.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.platform_linux
attributes:
  check_mode:
    support: full
    details:
      - Of O(step=applied) it checks all that can be checked without writing, free space and the other servers of a cluster included.
      - O(step=staged) is the same in check mode. It writes the candidate alone, and takes it away again.
  diff_mode:
    support: none
    details:
      - The plan has the diff, and M(kubegpu.sharing.container_runtime) shows it.
  idempotent:
    support: full
    details:
      - The same plan is refused the second time, because the files are not what it was made for. A plan that is made anew has nothing to do.
options:
  step:
    description:
      - V(staged) puts the plan's candidate on the node, has the runtime's own program read it, and takes it away.
      - V(applied) carries out the plan.
      - V(result) tells what has become of a plan that is carried out detached, and V(confirmed) says that the node can still be reached.
    type: str
    choices: [staged, applied, confirmed, result]
    default: applied
  plan:
    description: The plan. Required for V(staged) and V(applied) of O(step).
    type: dict
  dump:
    description:
      - What the runtime's program has to make of the files once they are written, apart from the list of imported files. Otherwise they are put
        back before any restart.
    type: dict
    suboptions:
      argv: {description: The command., type: list, elements: str, required: true}
      stdout: {description: "What it has to print, as RV(dump.stdout) of the candidate.", type: str, required: true}
  detached:
    description:
      - Let a transient unit of the host carry out the plan. Needed where the connection to the node hangs on its container runtime.
      - All is put back unless O(step=confirmed) comes within O(confirm_seconds) after the runtime serves, and also if the unit is killed.
    type: bool
    default: false
  program:
    description: The program on the node that M(kubegpu.sharing.node_program) installs. Required with O(detached=true).
    type: path
  confirm_seconds: {description: How long a detached change waits to be confirmed., type: float, default: 120}
  restart_seconds:
    description: How long the runtime may take to be restarted and to serve, if the plan does not say.
    type: float
    default: 60
  keep_backups: {description: How many runs' copies of replaced files are kept on the node., type: int, default: 5}
  state_dir:
    description: Directory on the node for the marker, the record of what is ours, copies of replaced files, and detached runs.
    type: path
    default: /var/lib/kubegpu-sharing/runtime
  run:
    description: The run that this is part of. At most 40 lower-case letters, digits, V(-) and V(.).
    type: str
    default: manual
  lock_path:
    description: Lock of the host. It has to be the same file for all runs.
    type: path
    default: /run/lock/kubegpu-sharing.lock
  lock_wait_seconds: {description: How long to wait for another run that holds the lock., type: float, default: 0}
  root:
    description: Where the root directory of the node is mounted. All paths of the node are found below it.
    type: path
    default: /
seealso:
  - module: kubegpu.sharing.container_runtime_info
"""

EXAMPLES = r"""
- name: Have the runtime read a candidate
  kubegpu.sharing.runtime_files:
    step: staged
    plan: "{{ plan }}"
  register: candidate
  become: true

- name: Carry out the plan
  kubegpu.sharing.runtime_files:
    plan: "{{ plan }}"
    dump:
      argv: "{{ found.runtime.dump.argv }}"
      stdout: "{{ candidate.dump.stdout }}"
  become: true

- name: See what became of a plan that was carried out detached
  kubegpu.sharing.runtime_files:
    step: result
    run: 20260301-120000-a1b2c3
  become: true
"""

RETURN = r"""
dump:
  description: What the command said of the candidate.
  type: dict
  returned: with O(step=staged)
  contains:
    argv: {description: The command., type: list, elements: str, returned: success}
    rc: {description: "Its exit status; 127 if it could not be started, 124 if it took too long.", type: int, returned: success}
    stdout: {description: What it printed., type: str, returned: success}
    stderr: {description: What it complained of., type: str, returned: success}
restarted:
  description: Whether the runtime was restarted; in check mode, whether it would be.
  type: bool
  returned: with O(step=applied), also on failure
rolled_back:
  description: Whether files that had been replaced were put back.
  type: bool
  returned: with O(step=applied), also on failure
restored:
  description: Whether all old files are back and the runtime serves with them.
  type: bool
  returned: on failure
files_back:
  description: Whether all old files are back.
  type: bool
  returned: on failure
serves:
  description: Whether the runtime serves, as far as it was restarted.
  type: bool
  returned: on failure
backups:
  description: Copies of the files that were replaced.
  type: list
  elements: str
  returned: with O(step=applied), also on failure
log_lines:
  description: What the runtime logged last.
  type: list
  elements: str
  returned: with O(step=applied), also on failure
started:
  description: Whether a transient unit is at work.
  type: bool
  returned: with O(detached=true)
unit:
  description: Its name.
  type: str
  returned: with O(detached=true)
phase:
  description:
    - How far a detached change has come. V(running), V(waiting) to be confirmed, V(confirmed), V(rolled_back), V(failed) before anything was
      replaced, or V(lost) if it ended without a word.
  type: str
  returned: with O(step=result)
result:
  description: What the change itself returned, or C(msg) and the rest that it failed with.
  type: dict
  returned: with O(step=result)
"""

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.steps import take_step


def argument_spec() -> ArgumentSpec:
    dump = {
        "argv": {"type": "list", "elements": "str", "required": True},
        "stdout": {"type": "str", "required": True},
    }
    return ArgumentSpec(
        options={
            "step": {"type": "str", "choices": ["staged", "applied", "confirmed", "result"], "default": "applied"},
            "plan": {"type": "dict"},
            "dump": {"type": "dict", "options": dump},
            "detached": {"type": "bool", "default": False},
            "program": {"type": "path"},
            "confirm_seconds": {"type": "float", "default": 120},
            "restart_seconds": {"type": "float", "default": 60},
            "keep_backups": {"type": "int", "default": 5},
            "state_dir": {"type": "path", "default": "/var/lib/kubegpu-sharing/runtime"},
            "run": {"type": "str", "default": "manual"},
            "lock_path": {"type": "path", "default": "/run/lock/kubegpu-sharing.lock"},
            "lock_wait_seconds": {"type": "float", "default": 0},
            "root": {"type": "path", "default": "/"},
        },
        required_if=[("step", "staged", ["plan"]), ("step", "applied", ["plan"]), ("detached", True, ["program"])],
        # A plan holds whole files of the host.
        logged=False,
    )


def run(params: dict[str, Any], check_mode: bool) -> Outcome:
    return take_step(params, check_mode)


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, module.check_mode))


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a node's container runtime able to start GPU containers. The work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_runtime
short_description: Make a node's container runtime able to start GPU containers
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Adds the nvidia handler to containerd, CRI-O, Docker, k3s, RKE2 or MicroK8s, or takes out exactly what was added.
  - Never leaves a node with a dead runtime. If the runtime does not come back with the new files, the old ones do. containerd also tells what it makes
    of a candidate before anything is written, and if anything but the handler would differ, the change is refused.
  - Changes nothing that is not its own by a byte, does not overwrite what somebody changed meanwhile, and finishes what a run that was killed has begun.
  - All that stands against a change of a host is told in one message. Nothing was changed then.
  - Starts no runtime that somebody has stopped. If one that is stopped, and has not failed, would have to be restarted, the change is refused.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.action
  - kubegpu.sharing.attributes.platform_linux
attributes:
  check_mode:
    support: full
    details:
      - With containerd, a candidate is put beside the files for a moment, for it to tell what it makes of it, and taken away again. O(dest_dir) is
        written too.
  diff_mode:
    support: full
  idempotent:
    support: full
  action:
    details:
      - The action plugin plans on the control node. M(kubegpu.sharing.container_runtime_info) reads the node, M(kubegpu.sharing.runtime_files) writes there.
options:
  state:
    description:
      - V(present) makes the handler be there as described.
      - V(absent) takes out what V(present) has put in. If nobody else has edited the files since, they are what they were, to the byte. Else only values
        that still are the collection's go, and what was changed since stays and is told.
    type: str
    choices: [present, absent]
    default: present
  engine:
    description:
      - The container runtime. V(auto) finds it by units, sockets and paths. Of several it takes the one that runs, and of several that run the one that
        the kubelet uses. Where nothing tells which one that is, it refuses.
    type: str
    choices: [auto, containerd, crio, docker, k3s, rke2, microk8s]
    default: auto
  name:
    description: Name of the handler.
    type: str
    default: nvidia
  binary:
    description: The program that the handler runs, by its absolute path on the node.
    type: str
    default: /usr/bin/nvidia-container-runtime
  default:
    description: Whether the handler becomes the default, which starts every container that names no RuntimeClass.
    type: bool
    default: false
  privileged_without_host_devices:
    description:
      - Whether privileged containers of this handler lose the host's devices. V(inherit) takes what the default runtime has.
      - With V(true), storage drivers and Docker in Docker break where they run with this handler.
    type: str
    choices: [inherit, 'true', 'false']
    default: inherit
  cdi:
    description: Whether the runtime itself injects CDI devices. V(inherit) leaves it as it is.
    type: str
    choices: [inherit, 'true', 'false']
    default: inherit
  take_over:
    description:
      - Whether a file of nvidia-ctk or of the GPU Operator that defines the same handler is taken over (containerd, CRI-O). V(absent) of O(state) puts
        it back.
      - With other engines no file of others is replaced, which is told where this is set.
    type: bool
    default: false
  restore_runc:
    description:
      - Whether a runc handler whose program was replaced by O(binary) gets its own back (containerd).
      - With other engines such a handler is reported where it is seen (CRI-O, k3s, RKE2, MicroK8s), and put right by hand.
    type: bool
    default: false
  allow_missing_binary:
    description: Whether O(binary) may be missing on the node.
    type: bool
    default: false
  permit_live_loss:
    description:
      - Whether a restart may end containers, as it does for Docker without live-restore, and for a runtime whose unit has another C(KillMode)
        than C(process).
    type: bool
    default: false
  permit_unproven:
    description:
      - Whether a restart may also bring in what somebody else has changed in the runtime's files since it was started. If the runtime does not
        start with that, what it ran with before is not to be had any more.
    type: bool
    default: false
  visible_devices:
    description:
      - How containers may ask for devices, in the toolkit's own config.toml. V(both) accepts volume mounts beside the environment variable,
        V(volume_mounts) refuses the environment variable of unprivileged containers. V(unchanged) sets nothing, and takes back what an earlier run
        has set.
    type: str
    choices: [unchanged, both, volume_mounts]
    default: unchanged
  restart_seconds:
    description: Longest time for the runtime to answer after a restart, in seconds, from 3 to 3600.
    type: int
    default: 60
  detached:
    description:
      - Whether the change runs as a transient unit on the host, which takes it back unless this task finds the host again and confirms.
      - Needed where the connection itself hangs on the runtime, as one through a pod does.
    type: bool
    default: false
  confirm_seconds:
    description: How long such a unit waits to be confirmed, in seconds, from 3 to 3600.
    type: int
    default: 120
  keep_backups:
    description: How many backups are kept on the node, from 1 to 100. The files that a change has replaced are one.
    type: int
    default: 5
  state_dir:
    description: Directory on the node for the record, for backups, and for what an interrupted run has left to do.
    type: path
    default: /var/lib/kubegpu-sharing/runtime
  lock_path:
    description: Lock file on the node, the same for all runs.
    type: path
    default: /run/lock/kubegpu-sharing.lock
  lock_wait_seconds:
    description: How long to wait for another run on the node, in seconds.
    type: float
    default: 0
  run:
    description: Name of the run, for the lock and the record of a change under way.
    type: str
    default: manual
  node_name:
    description: The Kubernetes node that the host is, for the file in O(dest_dir). The host's own name by default.
    type: str
  dest_dir:
    description:
      - Directory on the control node for a file that tells what would change on the host, for M(kubegpu.sharing.sharing_plan).
      - What stands against a change is in the file as well then, and does not fail the task in check mode.
    type: path
  objections:
    description:
      - What the caller has found that stands against the change, one sentence each. Any of them refuses it, in one message with what is found here.
    type: list
    elements: str
    default: []
  expected_digest:
    description:
      - RV(digest) of the change that was planned before. Another one is refused, unless nothing is left to do. What a run that was killed has done of
        the planned change is part of it still.
    type: str
  caller:
    description: Whose options messages name. V(module) names those of this module, V(role) the variables C(kubegpu_runtime_*) of the role.
    type: str
    choices: [module, role]
    default: module
  root:
    description: Where the node's file system is seen. Another one than V(/) is for tests.
    type: path
    default: /
requirements:
  - tomlkit >= 0.12 on the control node
seealso:
  - module: kubegpu.sharing.container_runtime_info
  - module: kubegpu.sharing.runtime_class_info
"""

EXAMPLES = r"""
- name: Let the node start GPU containers
  kubegpu.sharing.container_runtime:
  become: true

- name: Show what making it the default would change
  kubegpu.sharing.container_runtime:
    default: true
  become: true
  check_mode: true
  diff: true

- name: Take out exactly what was put in
  kubegpu.sharing.container_runtime:
    state: absent
  become: true
"""

RETURN = r"""
engine:
  description: The container runtime that was found.
  type: str
  returned: success
  sample: containerd
version:
  description: Its version, as the program that its unit runs tells.
  type: str
  returned: success
  sample: 1.6.20~ds1
found:
  description: How it was found, and what else was seen that needs nothing done.
  type: list
  elements: str
  returned: success
  sample: ["containerd.service is active."]
actions:
  description: What was done, or in check mode would be, one line each.
  type: list
  elements: str
  returned: success
  sample: ["put the runtime nvidia into the main file (/etc/containerd/config.toml)", "restart containerd.service"]
would_change:
  description: Whether something is to be done. In check mode the same as RV(ignore:changed).
  type: bool
  returned: success
restart:
  description: Whether that takes a restart of the runtime.
  type: bool
  returned: success
units:
  description: The units that are restarted.
  type: list
  elements: str
  returned: success
  sample: [containerd.service]
one_at_a_time:
  description: Whether the node is a server of k3s or RKE2, of which one after the other has to be restarted.
  type: bool
  returned: success
was_default:
  description: Whether the handler that was put in earlier is the default on the node.
  type: bool
  returned: success
was_name:
  description: Name of the handler that was put in earlier, null where none was.
  type: str
  returned: success
  sample: nvidia
digest:
  description: What tells this change from another one.
  type: str
  returned: success
backups:
  description: Backups of the files that were written.
  type: list
  elements: str
  returned: when something was written
restarted:
  description: Whether the runtime was restarted.
  type: bool
  returned: when something was done, also where it was taken back
restored:
  description: Whether all old files are back and the runtime serves with them.
  type: bool
  returned: when something was taken back
files_back:
  description: Whether all old files are back.
  type: bool
  returned: when something was taken back
serves:
  description: Whether the runtime serves, as far as it was restarted.
  type: bool
  returned: when something was taken back
dest:
  description: The file on the control node.
  type: str
  returned: if O(dest_dir) is given
told:
  description: One line on what was done, also where it was taken back.
  type: str
  returned: when something was done
problems:
  description: Everything that stands against the change. Elsewhere a change that is refused has it in RV(ignore:msg).
  type: list
  elements: str
  returned: in check mode, if O(dest_dir) is given
"""

#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read which container runtime a node has, and how it is set up."""

from __future__ import annotations

DOCUMENTATION = r"""
module: container_runtime_info
short_description: Read which container runtime a node has, and how it is set up
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Finds the container runtime of a node by its services, sockets and files, asks the very program that its service runs for its
    version and, of containerd, for the settings that it makes of all its files, and reads these files with their checksums.
  - Also reads what earlier runs left on the node, which are a record of what was changed, and the marker of a change that was not finished.
  - Writes nothing and restarts nothing. Needs nothing installed on the node.
  - What cannot be found out is said in RV(runtime); the module succeeds all the same.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.platform_linux
options:
  engine:
    description:
      - The container runtime to look at. V(auto) finds it. Of several, the one that runs is meant, and of several that run the one that the
        kubelet says it uses. Where nothing tells which one that is, RV(runtime) says so.
    type: str
    choices: [auto, containerd, crio, docker, k3s, rke2, microk8s]
    default: auto
  binary:
    description: A program of the node that a runtime may name, to see whether it is there.
    type: path
    default: /usr/bin/nvidia-container-runtime
  state_dir:
    description: Directory on the node in which runs note what they have changed.
    type: path
    default: /var/lib/kubegpu-sharing/runtime
  lock_path:
    description: Lock of the host, to say whether a change is under way. It is neither taken nor waited for.
    type: path
    default: /run/lock/kubegpu-sharing.lock
  root:
    description: Where the root directory of the node is mounted. All paths of the node are found below it, and returned without it.
    type: path
    default: /
seealso:
  - module: kubegpu.sharing.runtime_files
"""

EXAMPLES = r"""
- name: Read which container runtime a node has
  kubegpu.sharing.container_runtime_info:
  register: found
  become: true

- name: Look at containerd, whatever else is there
  kubegpu.sharing.container_runtime_info:
    engine: containerd
    binary: /usr/local/nvidia/toolkit/nvidia-container-runtime
  become: true
"""

RETURN = r"""
runtime:
  description: What was found.
  type: dict
  returned: success
  contains:
    engine: {description: The container runtime that is meant; none if RV(runtime.problem) says why., type: str, returned: success}
    problem:
      description:
        - Why nothing can be planned for it. It cannot be told which runtime is meant, systemd could not start it anew, or a change of it is going
          on at this moment. None if nothing hinders.
      type: str
      returned: success
    candidates:
      description:
        - All runtimes of which something was found, each with the evidence, its services (name, load, active, sub, enabled, argv, kill_mode), its
          socket, whether it is active, and the role of this node (V(server) or V(agent)) in K3s and RKE2.
      type: list
      elements: dict
      returned: success
    version: {description: Its version as its program says., type: str, returned: success, sample: 1.6.20~ds1}
    version_problem: {description: Why the version is not known., type: str, returned: success}
    program: {description: The program that its service starts., type: str, returned: success, sample: /usr/bin/containerd}
    config_path: {description: Its main file of settings., type: str, returned: success, sample: /etc/containerd/config.toml}
    root: {description: O(root)., type: str, returned: success}
    files:
      description:
        - Files that concern it, by path, each with its type (V(file), V(missing), V(directory), V(other)), the path it links to, sha256,
          content, mode, uid, gid, size, mtime, whether it can be replaced, why there is no content, and whether it was changed since the runtime
          was started.
      type: dict
      returned: success
    listings: {description: "Names in directories of settings, by path; none for one that is not there.", type: dict, returned: success}
    binaries: {description: "Programs by path, each with exists, executable and link.", type: dict, returned: success}
    dump: {description: "What containerd makes of its files, with argv, rc, stdout and stderr.", type: dict, returned: success}
    live:
      description: What a running Docker says. Whether containers survive its restart, swarm mode, the names of containers that run, runtimes.
      type: dict
      returned: success
    ending:
      description: Pods that its restart would end, as namespace/name, since its service's C(KillMode) has systemd end what watches over them.
      type: list
      elements: str
      returned: success
    record: {description: What the last run noted about its changes., type: dict, returned: success}
    record_problem: {description: Why that cannot be read., type: str, returned: success}
    pending:
      description:
        - A change that was not finished, with run, since, phase, files (with the checksums before and after), and whether a restart of the
          runtime is owed. If it was not interrupted, but its way back failed, C(failed) says how.
      type: dict
      returned: success
    kubelet_endpoint: {description: "The socket that the kubelet says it uses, if it does.", type: str, returned: success}
    lock_free: {description: Whether no change of this host is under way., type: bool, returned: success}
"""

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observing import Look, observe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root


def argument_spec() -> ArgumentSpec:
    engines = ["auto", "containerd", "crio", "docker", "k3s", "rke2", "microk8s"]
    return ArgumentSpec(
        options={
            "engine": {"type": "str", "choices": engines, "default": "auto"},
            "binary": {"type": "path", "default": "/usr/bin/nvidia-container-runtime"},
            "state_dir": {"type": "path", "default": "/var/lib/kubegpu-sharing/runtime"},
            "lock_path": {"type": "path", "default": "/run/lock/kubegpu-sharing.lock"},
            "root": {"type": "path", "default": "/"},
        },
    )


def run(params: dict[str, Any]) -> Outcome:
    look = Look(
        engine=params["engine"],
        binaries=(params["binary"],),
        state_dir=params["state_dir"],
        lock_path=params["lock_path"],
        root=Root(params["root"]),
    )
    return Outcome(facts={"runtime": observe(look)})


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params))


if __name__ == "__main__":
    main()

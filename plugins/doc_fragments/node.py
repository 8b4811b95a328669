# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options about the node that a module reads. PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Extend C(kubegpu.sharing.node)."""

    DOCUMENTATION = r"""
options:
  nvml_library:
    description:
      - File on the node to use as C(libnvidia-ml.so.1), where the dynamic loader would find none or another one.
      - A driver that comes in a container keeps it below C(/run/nvidia/driver), for example
        C(/run/nvidia/driver/usr/lib64/libnvidia-ml.so.1) or C(/run/nvidia/driver/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1).
      - Its soname must be C(libnvidia-ml.so.1), as it is in NVIDIA's drivers. That this very file is used is verified.
    type: path
  proc_root:
    description: Where the node's procfs is mounted. Differs from the default when the node is seen through a mount.
    type: path
    default: /proc
  kubelet_root:
    description: Root directory of the node's kubelet. MicroK8s has it in C(/var/snap/microk8s/common/var/lib/kubelet), k0s in C(/var/lib/k0s/kubelet).
    type: path
    default: /var/lib/kubelet
  log_root:
    description:
      - Directory of the node that has the kubelet's C(pods) and C(containers), the logs of containers. Their names tell which
        pod is which; the logs themselves are not read.
    type: path
    default: /var/log
  pynvml_path:
    description:
      - File on the node to import as C(pynvml), instead of what is installed there.
      - Set by the action plugin when it has sent the control node's copy.
    type: path
"""

#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the NVIDIA driver's error reports from a node's kernel log."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_xid_info
short_description: Read the errors of GPUs (Xids) from a node's kernel log
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Finds what the NVIDIA driver has reported of its GPUs (Xids), with the GPU, the process and the driver's own words.
  - Reads what the log has now and waits for nothing. Whoever else reads the log loses nothing by it.
  - Succeeds where the log cannot be read, and says in RV(reason) why.
  - Needs nothing installed on the node, and changes nothing on it.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.platform_linux
options:
  kernel_log:
    description:
      - The log, as C(/dev/kmsg) gives it, or a file with lines of that format or of C(dmesg)'s.
      - Most distributions let only root read it.
    type: path
    default: /dev/kmsg
  since_seconds:
    description:
      - How old an entry may be. All that the log still has if it is not given.
      - The clock of a kernel's log drifts, by seconds in a week, so an exact moment is told by O(since_sequence).
    type: float
  since_sequence:
    description:
      - RV(last_sequence) of an earlier call. Entries that were there then are left out. O(since_seconds) does not matter then,
        unless the node was booted since, or the log's format has no such numbers. Give it all the same, for
        numbers begin anew at a boot, and it tells that there was one.
    type: int
  proc_root:
    description: Where the node's procfs is mounted. The driver tells there which GPUs it has.
    type: path
    default: /proc
seealso:
  - module: kubegpu.sharing.gpu_info
  - module: kubegpu.sharing.rollout_health_info
"""

EXAMPLES = r"""
- name: Read what the driver has reported in the last hour
  kubegpu.sharing.gpu_xid_info:
    since_seconds: 3600
  become: true
  register: errors

- name: Remember where the log ends
  kubegpu.sharing.gpu_xid_info:
    since_seconds: 0
  become: true
  register: before

- name: Read what has been reported since
  kubegpu.sharing.gpu_xid_info:
    since_sequence: "{{ before.last_sequence | default(omit, true) }}"
  become: true
  register: errors

- name: Show it
  ansible.builtin.debug:
    msg: "GPU {{ item.gpu_index }}: Xid {{ item.xid }} {{ item.text }}"
  loop: "{{ errors.xids }}"
"""

RETURN = r"""
xids:
  description: What was reported, oldest first. Empty if the log could not be read.
  returned: success
  type: list
  elements: dict
  contains:
    seconds_ago: {description: "How long ago, by the clock of the log.", type: float, sample: 12.5}
    pci_bus_id: {description: "PCI address of the GPU.", type: str, sample: "0000:3b:00.0"}
    gpu_index: {description: "Index of the GPU as NVML counts it; null if the driver does not have it any more.", type: int, sample: 0}
    gpu_instance_id: {description: "GPU instance (MIG) that it is about; null for the whole GPU.", type: int}
    xid: {description: "Number of the error.", type: int, sample: 31}
    pid: {description: "Process on the host; null if the driver does not know it.", type: int, sample: 812}
    process: {description: "Its name.", type: str, sample: python3}
    text: {description: "The driver's words.", type: str, sample: "Ch 00000010, intr 00000000. MMU Fault: ENGINE CE2"}
log_available:
  description: Whether the log could be read.
  returned: success
  type: bool
  sample: true
reason:
  description: Why it could not. Empty if it could.
  returned: success
  type: str
  sample: ""
last_sequence:
  description: Number of the newest entry, of whatever kind, for O(since_sequence). Null if the log has none.
  returned: success
  type: int
  sample: 4711
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml import kernel_log_file
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.kernel_log import (
    Since,
    find_xids,
    last_sequence,
    read_records,
)


def argument_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options={
            "kernel_log": {"type": "path", "default": "/dev/kmsg"},
            "since_seconds": {"type": "float"},
            "since_sequence": {"type": "int"},
            "proc_root": {"type": "path", "default": "/proc"},
        }
    )


def run(params: Mapping[str, Any]) -> Outcome:
    try:
        text = kernel_log_file.read_kernel_log(params["kernel_log"])
    except OSError as error:
        reason = kernel_log_file.explain(params["kernel_log"], error)
        return Outcome(facts={"xids": [], "log_available": False, "reason": reason, "last_sequence": None})
    records = list(read_records(text))
    since = Since(params["since_seconds"], params["since_sequence"])
    cards = kernel_log_file.card_addresses(params["proc_root"])
    xids = find_xids(records, kernel_log_file.seconds_since_boot(), since, cards)
    return Outcome(facts={"xids": xids, "log_available": True, "reason": "", "last_sequence": last_sequence(records)})


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params))


if __name__ == "__main__":
    main()

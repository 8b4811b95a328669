# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NVML's error codes, and what each means for the person who runs the node. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

# Return codes of nvmlReturn_t (nvml.h) that are told apart here.
INVALID_ARGUMENT = 2
NOT_SUPPORTED = 3
NO_PERMISSION = 4
NOT_FOUND = 6
DRIVER_NOT_LOADED = 9
LIBRARY_NOT_FOUND = 12
FUNCTION_NOT_FOUND = 13
GPU_IS_LOST = 15
RESET_REQUIRED = 16
OPERATING_SYSTEM = 17
LIB_RM_VERSION_MISMATCH = 18
IN_USE = 19
INSUFFICIENT_RESOURCES = 23
GPU_NOT_FOUND = 28

# What a library answers that knows a question but not the card, or not yet the question.
UNANSWERED = frozenset({NOT_SUPPORTED, FUNCTION_NOT_FOUND})


class NvmlError(Exception):
    """A call into NVML failed.

    :param code: value of nvmlReturn_t.
    :param text: NVML's own words for it.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} (NVML error {code})")
        self.code = code
        self.text = text


class NvmlUnavailableError(Exception):
    """NVML cannot be used on this node at all. A finding, not a failure: the module reports it.

    :param code: one of library_not_found, driver_not_loaded, driver_library_mismatch, no_permission, no_gpu, unknown.
    :param reason: what was attempted, what was seen, what to do.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class NodeEvidence:
    """What else the node shows about its driver, to make a reason concrete.

    :param library: the library file in question, or the name it was looked up by.
    :param kernel_driver: version of the loaded kernel module (procfs ``driver/nvidia/version``), or None if none is loaded.
    :param pci_devices: NVIDIA functions on the PCI bus (procfs ``bus/pci/devices``), or None if that cannot be read.
    :param user_id: effective user id of this process.
    """

    library: str
    kernel_driver: Optional[str] = None
    pci_devices: Optional[int] = None
    user_id: int = 0

    def describe(self) -> str:
        """One sentence on kernel module and PCI bus."""
        module = (
            f"kernel module nvidia {self.kernel_driver} is loaded"
            if self.kernel_driver
            else "no kernel module nvidia is loaded"
        )
        if self.pci_devices is None:
            return f"Seen: {module}."
        bus = "no NVIDIA device" if self.pci_devices == 0 else f"NVIDIA devices ({self.pci_devices})"
        return f"Seen: {module}, the PCI bus shows {bus}."


def library_missing(observed: str, evidence: NodeEvidence) -> NvmlUnavailableError:
    """The library could not be loaded.

    :param observed: the loader's words.
    """
    if evidence.kernel_driver:
        cure = (
            "The driver probably lives in a container: name its library with nvml_library, "
            "for example /run/nvidia/driver/usr/lib64/libnvidia-ml.so.1."
        )
    elif evidence.pci_devices == 0:
        cure = "A node without a GPU needs nothing; leave it out of the group of GPU nodes."
    else:
        cure = "Install the NVIDIA driver, or name its library with nvml_library if it is kept elsewhere."
    reason = f"Loading {evidence.library} failed: {observed}. {evidence.describe()} {cure}"
    return NvmlUnavailableError("library_not_found", reason)


def initialisation_failed(error: NvmlError, evidence: NodeEvidence) -> NvmlUnavailableError:
    """The library was loaded, but will not serve."""
    if error.code == GPU_NOT_FOUND:  # what nvmlInit gives where the driver is loaded and drives nothing
        return no_gpu(evidence)
    attempted = f"NVML of {evidence.library} answers: {error}. {evidence.describe()}"
    if error.code == DRIVER_NOT_LOADED:
        cure = "Load the module (modprobe nvidia) and look for NVRM in the kernel log; a missing GPU also keeps the module from loading."
        return NvmlUnavailableError("driver_not_loaded", f"{attempted} {cure}")
    if error.code == LIB_RM_VERSION_MISMATCH:
        cure = "Library and kernel module are of different driver versions, as after an upgrade: drain the node and reboot it."
        return NvmlUnavailableError("driver_library_mismatch", f"{attempted} {cure}")
    if error.code in (NO_PERMISSION, OPERATING_SYSTEM):
        cure = f"This ran as uid {evidence.user_id}: run it with become, and see that /dev/nvidiactl and /dev/nvidia0 may be opened."
        return NvmlUnavailableError("no_permission", f"{attempted} {cure}")
    cure = "Run nvidia-smi on the node; from inside a container, this is also what a cgroup without access to /dev/nvidiactl looks like."
    return NvmlUnavailableError("unknown", f"{attempted} {cure}")


def no_gpu(evidence: NodeEvidence) -> NvmlUnavailableError:
    """Driver and library work and know no GPU."""
    cure = "If the node should have one, look for Xid 79 and NVRM in the kernel log."
    return NvmlUnavailableError("no_gpu", f"{evidence.library} knows no GPU on this node. {evidence.describe()} {cure}")


# state of one GPU, and what to do, by the code with which NVML refused it
_GPU_STATES = {
    GPU_IS_LOST: ("lost", "It has fallen off the bus (Xid 79): cordon the node, then reset the GPU or reboot."),
    RESET_REQUIRED: ("reset_required", "Empty it, then reset it (nvidia-smi --gpu-reset) or reboot the node."),
    NO_PERMISSION: ("no_permission", "Run with become, and see that its /dev/nvidia* file may be opened."),
    OPERATING_SYSTEM: ("no_permission", "Run with become, and see that its /dev/nvidia* file may be opened."),
}


def describe_gpu_failure(index: int, error: NvmlError) -> tuple[str, str]:
    """State and reason of a GPU that NVML does not answer for."""
    state, cure = _GPU_STATES.get(
        error.code, ("unknown", "Run nvidia-smi on the node and look for NVRM in the kernel log.")
    )
    return state, f"Reading GPU {index} failed: {error}. {cure}"

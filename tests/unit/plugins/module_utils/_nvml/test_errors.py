# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reasons that a node gives: what was seen, what to do."""

from __future__ import annotations

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    NodeEvidence,
    NvmlError,
    initialisation_failed,
    library_missing,
    no_gpu,
)

pytestmark = pytest.mark.node_side

LOADED = NodeEvidence("libnvidia-ml.so.1", kernel_driver="570.158.01", pci_devices=1)
BARE = NodeEvidence("libnvidia-ml.so.1", kernel_driver=None, pci_devices=0, user_id=1000)
NO_DRIVER = NodeEvidence("libnvidia-ml.so.1", kernel_driver=None, pci_devices=2)
HIDDEN = NodeEvidence("libnvidia-ml.so.1", kernel_driver=None, pci_devices=None)


@pytest.mark.parametrize(
    ("evidence", "seen", "cure"),
    [
        pytest.param(
            LOADED,
            "kernel module nvidia 570.158.01 is loaded",
            "name its library with nvml_library",
            id="driver-container",
        ),
        pytest.param(BARE, "the PCI bus shows no NVIDIA device", "leave it out of the group", id="no-gpu"),
        pytest.param(NO_DRIVER, "the PCI bus shows NVIDIA devices (2)", "Install the NVIDIA driver", id="no-driver"),
        pytest.param(HIDDEN, "Seen: no kernel module nvidia is loaded.", "Install the NVIDIA driver", id="no-procfs"),
    ],
)
def test_library_missing_reason_follows_the_evidence(evidence: NodeEvidence, seen: str, cure: str) -> None:
    error = library_missing("cannot open shared object file", evidence)
    assert error.code == "library_not_found"
    assert "Loading libnvidia-ml.so.1 failed: cannot open shared object file." in error.reason
    assert seen in error.reason
    assert cure in error.reason


@pytest.mark.parametrize(
    ("code", "expected", "cure"),
    [
        pytest.param(9, "driver_not_loaded", "modprobe nvidia", id="driver-not-loaded"),
        pytest.param(18, "driver_library_mismatch", "drain the node and reboot it", id="mismatch"),
        pytest.param(4, "no_permission", "This ran as uid 1000: run it with become", id="no-permission"),
        pytest.param(17, "no_permission", "run it with become", id="blocked-by-the-system"),
        pytest.param(999, "unknown", "a cgroup without access to /dev/nvidiactl", id="unknown"),
        pytest.param(10, "unknown", "Run nvidia-smi", id="timeout"),
    ],
)
def test_initialisation_failed_tells_causes_apart(code: int, expected: str, cure: str) -> None:
    error = initialisation_failed(NvmlError(code, "words of NVML"), BARE)
    assert error.code == expected
    assert error.reason.startswith(f"NVML of libnvidia-ml.so.1 answers: words of NVML (NVML error {code}). Seen:")
    assert cure in error.reason


def test_no_gpu_says_what_the_bus_shows() -> None:
    error = no_gpu(LOADED)
    assert error.code == "no_gpu"
    assert "the PCI bus shows NVIDIA devices (1)" in error.reason

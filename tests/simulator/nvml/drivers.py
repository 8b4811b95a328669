# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from a driver's version."""

from __future__ import annotations

DEFAULT_DRIVER = "570.158.01"

# The newest CUDA that a driver branch supports, as nvmlSystemGetCudaDriverVersion counts: major * 1000 + minor * 10.
_CUDA_BY_BRANCH = (
    (590, 13010),
    (580, 13000),
    (575, 12090),
    (570, 12080),
    (565, 12070),
    (560, 12060),
    (555, 12050),
    (550, 12040),
    (545, 12030),
    (535, 12020),
    (530, 12010),
    (525, 12000),
    (520, 11080),
    (515, 11070),
    (510, 11060),
    (495, 11050),
    (470, 11040),
    (465, 11030),
    (460, 11020),
    (450, 11000),
)

# Driver 535 cannot list a card's MIG profiles while MIG is off; that 550 is the first branch that can is assumed.
_LISTS_PROFILES_WITHOUT_MIG = 550


def branch(driver_version: str) -> int:
    """570 of 570.158.01."""
    return int(driver_version.split(".", 1)[0])


def lists_profiles_without_mig(driver_version: str) -> bool:
    """Whether the driver lists MIG profiles also while MIG is off."""
    return branch(driver_version) >= _LISTS_PROFILES_WITHOUT_MIG


def cuda_driver_version(driver_version: str) -> int:
    """The CUDA version of a driver, as major * 1000 + minor * 10."""
    for least, cuda in _CUDA_BY_BRANCH:
        if branch(driver_version) >= least:
            return cuda
    raise ValueError(f"driver {driver_version} is older than the library knows (450)")

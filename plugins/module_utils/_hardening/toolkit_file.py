# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node's container toolkit lets containers name their devices. Pure. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import TomlError, parse
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toolkit_config import (
    ENVIRONMENT,
    PATH,
    VOLUME_MOUNTS,
)


@dataclass(frozen=True)
class ToolkitSwitches:
    """What a node's config.toml says.

    :param volume_mounts: devices are taken from mounts below /var/run/nvidia-container-devices. They win over the environment.
    :param environment: NVIDIA_VISIBLE_DEVICES of unprivileged containers is heeded; otherwise it is passed over without a word.
    :param problem: why the file cannot be understood, as a sentence; "" if it can.
    """

    volume_mounts: bool = False
    environment: bool = True
    problem: str = ""


def read_switches(text: object) -> ToolkitSwitches:
    """The switches of a file's text; the toolkit's defaults where it does not say, or where it is None or empty, for there is no file."""
    try:
        document = parse("" if text is None else str(text), PATH)
    except TomlError as error:
        return ToolkitSwitches(problem=str(error))
    mounts, environment = document.get(VOLUME_MOUNTS, False), document.get(ENVIRONMENT, True)
    if not isinstance(mounts, bool) or not isinstance(environment, bool):
        return ToolkitSwitches(problem=f"{VOLUME_MOUNTS} or {ENVIRONMENT} is neither true nor false.")
    return ToolkitSwitches(mounts, environment)

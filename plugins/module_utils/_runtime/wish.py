# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container runtime shall be like. Pure. PRIVATE to the collection."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Any, Dict, List, Mapping

ENGINES = ("containerd", "crio", "docker", "k3s", "rke2", "microk8s")
TRISTATE = ("inherit", "true", "false")
#: Who set the options, and so how messages name them.
CALLERS = ("module", "role")
VISIBLE_DEVICES = ("unchanged", "both", "volume_mounts")
STATE_DIR = "/var/lib/kubegpu-sharing/runtime"

# A RuntimeClass's handler is a DNS label, and engines use the name as a key of their files.
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Options that are said in a record: what others do not change about the files.
_OF_FILES = (
    "state",
    "name",
    "binary",
    "default",
    "privileged_without_host_devices",
    "cdi",
    "take_over",
    "restore_runc",
    "visible_devices",
)


@dataclass(frozen=True)
class Wish:
    """The options of one run.

    :param engine: "auto" or one of ``ENGINES``. The engine that is planned for is that of the observation.
    :param state: "present" or "absent".
    :param name: name of the runtime, which is a RuntimeClass's handler too.
    :param binary: absolute path of the runtime's executable on the node.
    :param default: make it the runtime of pods that name no RuntimeClass.
    :param privileged_without_host_devices: "inherit" takes what the engine's default runtime has.
    :param cdi: whether the engine's CRI part injects CDI devices; "inherit" leaves it as it is.
    :param take_over: may replace what NVIDIA's toolkit or the GPU Operator wrote for the same runtime.
    :param restore_runc: may give a runc whose executable was replaced by ``binary`` its own executable back.
    :param allow_missing_binary: ``binary`` need not be on the node yet.
    :param visible_devices: how NVIDIA's toolkit accepts a list of devices: see its config.toml.
    :param restart_seconds: how long the engine may take to come back before the old files do.
    :param keep_backups: how many former versions of each file are kept on the node.
    :param state_dir: directory on the node for record, marker and backups.
    :param permit_live_loss: may restart a runtime whose containers end with it.
    :param permit_unproven: may restart a runtime into files that were changed since its last start.
    :param caller: whose options messages name: those of the "module", or what a user of the "role" sets.
    """

    engine: str = "auto"
    state: str = "present"
    name: str = "nvidia"
    binary: str = "/usr/bin/nvidia-container-runtime"
    default: bool = False
    privileged_without_host_devices: str = "inherit"
    cdi: str = "inherit"
    take_over: bool = False
    restore_runc: bool = False
    allow_missing_binary: bool = False
    visible_devices: str = "unchanged"
    restart_seconds: int = 60
    keep_backups: int = 5
    state_dir: str = STATE_DIR
    permit_live_loss: bool = False
    permit_unproven: bool = False
    caller: str = "module"

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Wish:
        """A wish of a plugin's options. Options that are not of a wish, or None, are passed over."""
        known = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in options.items() if key in known and value is not None})

    @property
    def present(self) -> bool:
        """Whether the runtime shall be there."""
        return self.state == "present"

    def called(self, option: str, value: str = "") -> str:
        """An option as whoever set it knows it, for messages; with a value as it is to be written."""
        name = f"kubegpu_runtime_{option}" if self.caller == "role" else option
        return f"{name}: {value}" if value else name

    def of_files(self) -> Dict[str, Any]:
        """The options that decide what stands in files, for the record."""
        return {key: getattr(self, key) for key in _OF_FILES}


def wish_problems(wish: Wish) -> List[str]:
    """What is wrong with a wish by itself, one sentence each."""
    found = []
    if wish.engine not in ("auto", *ENGINES):
        found.append(f"{wish.called('engine')} is {wish.engine!r}, which is none of auto, {', '.join(ENGINES)}.")
    if wish.state not in ("present", "absent"):
        found.append(f"{wish.called('state')} is {wish.state!r}, which is neither present nor absent.")
    if not _NAME.fullmatch(wish.name):
        found.append(
            f"{wish.called('name')} is {wish.name!r}. A RuntimeClass's handler consists of at most 63 small letters, digits and hyphens "
            "and begins and ends with a letter or digit, such as nvidia."
        )
    if wish.name in ("runc", "crun"):
        found.append(
            f"{wish.called('name')} is {wish.name!r}, which is the engine's own runtime. Choose another one, such as nvidia."
        )
    if not wish.binary.startswith("/"):
        found.append(
            f"{wish.called('binary')} is {wish.binary!r}, which is relative: engines look for it in different directories, or refuse it. "
            "Give the absolute path on the node, such as /usr/bin/nvidia-container-runtime."
        )
    if not wish.state_dir.startswith("/"):
        found.append(
            f"{wish.called('state_dir')} is {wish.state_dir!r}, which is relative, so that each run might look elsewhere for what the one "
            f"before has noted. Give an absolute path on the node, such as {STATE_DIR}."
        )
    if any(ord(letter) < 32 for letter in wish.binary):
        found.append(
            f"{wish.called('binary')} is {wish.binary!r}, in which there is a control character. Give a plain path."
        )
    choices = {
        "privileged_without_host_devices": TRISTATE,
        "cdi": TRISTATE,
        "visible_devices": VISIBLE_DEVICES,
    }
    for option, allowed in choices.items():
        if getattr(wish, option) not in allowed:
            found.append(f"{wish.called(option)} is {getattr(wish, option)!r}, which is none of {', '.join(allowed)}.")
    return found

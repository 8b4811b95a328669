# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of MIG profiles, such as 1g.12gb, 1g.10gb+me, 1g.24gb-me and 1c.3g.20gb. PRIVATE to the collection.

A GPU instance is so many compute slices (g) with so much memory (gb), and attributes: +me has media engines of its own, +me.all has
all of them, -me none, +gfx draws. A prefix names a compute instance that is a part (c) of a GPU instance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Tuple

_NUMBER = "([1-9][0-9]{0,3})"
_WORD = r"[a-z]+(?:\.[a-z]+)*"
_NAME = re.compile(rf"(?:MIG )?(?:{_NUMBER}c\.)?{_NUMBER}g\.{_NUMBER}gb(?:([+-])({_WORD}(?:,{_WORD})*))?")


@dataclass(frozen=True)
class ProfileName:
    """A name taken apart.

    :param compute: slices of the compute instance; as many as ``slices`` where it is the whole GPU instance.
    :param attributes: each with its sign, such as "+me" or "-me".
    """

    compute: int
    slices: int
    memory_gb: int
    attributes: Tuple[str, ...] = ()

    @property
    def gpu_instance(self) -> str:
        """The profile's name without the compute instance's part: 3g.20gb of 1c.3g.20gb."""
        sign = self.attributes[0][0] if self.attributes else ""
        return f"{self.slices}g.{self.memory_gb}gb{sign}{','.join(one[1:] for one in self.attributes)}"

    @property
    def is_whole(self) -> bool:
        """The compute instance takes all of its GPU instance."""
        return self.compute == self.slices

    def __str__(self) -> str:
        return self.gpu_instance if self.is_whole else f"{self.compute}c.{self.gpu_instance}"


def parse_name(text: str) -> ProfileName:
    """Take a name apart; "MIG " may stand before it, as nvidia-smi and NVML write it. 3c.3g.20gb is 3g.20gb.

    :raises ValueError: with what is wrong, and what a name looks like.
    """
    found = _NAME.fullmatch(text.strip()) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"{text!r} is no MIG profile; give a name such as 1g.12gb, 1g.10gb+me or 1c.3g.20gb")
    compute, slices, memory, sign, words = found.groups()
    attributes = tuple(sorted(f"{sign}{word}" for word in words.split(","))) if words else ()
    name = ProfileName(int(compute or slices), int(slices), int(memory), attributes)
    if name.compute > name.slices:
        raise ValueError(
            f"{text!r} asks for {name.compute} compute slices of a GPU instance that has {name.slices}; "
            f"give at most {name.slices}c"
        )
    return name


def compute_name(profile: str, compute: int) -> str:
    """The name of a compute instance of so many slices in a GPU instance of that profile, which may have no proper name."""
    try:
        name = parse_name(profile)
    except ValueError:
        return profile
    return str(ProfileName(compute, name.slices, name.memory_gb, name.attributes))


def resource_name(text: str) -> str:
    """What the device plugin advertises under the strategy mixed, which has no "+": nvidia.com/mig-1g.10gb.me.

    :raises ValueError: it is no profile.
    """
    return f"nvidia.com/mig-{str(parse_name(text)).replace('+', '.')}"

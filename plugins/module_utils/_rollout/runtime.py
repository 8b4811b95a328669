# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the host of a node does about its container runtime. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping


@dataclass(frozen=True)
class RuntimeStep:
    """The runtime part of a node's entry in a plan.

    :param digest: of what is to be done; the host refuses to do anything else.
    """

    engine: str
    digest: str

    def to_dict(self) -> dict[str, str]:
        """As a snapshot keeps it."""
        return {"engine": self.engine, "digest": self.digest}


def read_runtime_step(entry: Mapping[str, Any] | None) -> RuntimeStep | None:
    """From a plan. None for a node whose runtime is left alone, or is as wanted."""
    return RuntimeStep(str(entry["engine"]), str(entry["digest"])) if entry else None

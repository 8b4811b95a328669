# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of NVIDIA's device plugin. PRIVATE to the collection."""

from __future__ import annotations

import re
from typing import Tuple

Version = Tuple[int, int, int]

# Image tags: v0.14.5, 0.17.1, v0.15.0-rc.2, v0.17.4-ubi9.
_TAG = re.compile(r"v?([0-9]+)\.([0-9]+)\.([0-9]+)(?:[-+].*)?")

DEFAULT_VERSION = "v0.20.0"
# The config file came with v0.12.0, and replicas were not spread over the cards of a node before v0.13.0.
OLDEST: Version = (0, 13, 0)


def parse_version(text: str) -> Version:
    """(0, 14, 5) from "v0.14.5".

    :raises ValueError: the text is no version of the plugin.
    """
    found = _TAG.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a version such as {DEFAULT_VERSION}")
    major, minor, patch = (int(part) for part in found.groups())
    return (major, minor, patch)


def show_version(version: Version) -> str:
    """(0, 14, 5) as v0.14.5."""
    return "v" + ".".join(str(part) for part in version)

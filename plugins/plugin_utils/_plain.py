# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plain Python values out of what Ansible hands to an action plugin. PRIVATE to the collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def to_plain(value: Any) -> Any:
    """The value with exact built-in types throughout.

    Since ansible-core 2.19, strings, numbers and containers may be subclasses that carry tags (origin, trust). They equal the
    plain ones, but libraries that look at the exact type refuse them: JMESPath's ``contains()``, YAML dumpers.
    Keys become strings; what is none of JSON's types becomes its string.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, Mapping):
        return {str.__str__(str(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray)):
        return [to_plain(item) for item in value]
    return str.__str__(str(value))

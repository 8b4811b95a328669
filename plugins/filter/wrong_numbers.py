# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables whose values are no numbers, or none that can be meant."""

from __future__ import annotations

DOCUMENTATION = r"""
name: wrong_numbers
short_description: Find variables with numbers of no use
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - The check of a role's argument_specs tells of its own options, with all that they could be. This tells of the variables that
    were typed, of all at once.
  - A number may also be text, as C(-e name=value) makes it.
options:
  _input:
    description:
      - "By the name of the variable a mapping of C(value), and, where it is not a whole number of 0 or more: C(least), C(most), and
        C(wanted), what it should be, for the sentence. Where C(least) is text with a point in it, the number need not be whole."
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Refuse numbers of no use
  ansible.builtin.assert:
    that: numbers | kubegpu.sharing.wrong_numbers | length == 0
  vars:
    numbers:
      kubegpu_soak_seconds: {value: "{{ kubegpu_soak_seconds | default(30) }}"}
      kubegpu_measure_interval_seconds:
        value: "{{ kubegpu_measure_interval_seconds | default(1) }}"
        least: "0.1"
        wanted: a number of seconds, 0.1 or more
"""

RETURN = r"""
_value:
  description: A sentence for each variable that cannot be used, in the order in which they were given.
  type: list
  elements: str
  sample: ["kubegpu_soak_seconds is 'half a minute'; give a whole number, 0 or more."]
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

_NUMBER = re.compile(r"\s*[+-]?[0-9]+(\.[0-9]*)?\s*")
_WANTED = "a whole number, 0 or more"


def wrong_numbers(given: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each variable of no use."""
    return [
        f"{name} is {_show(entry['value'])}; give {entry.get('wanted') or _WANTED}."
        for name, entry in given.items()
        if not _is_right(entry)
    ]


def _is_right(entry: Mapping[str, Any]) -> bool:
    value, least = entry["value"], str(entry.get("least", 0))
    if isinstance(value, bool) or not _NUMBER.fullmatch(str(value)):
        return False
    number = Decimal(str(value).strip())
    if "." not in least and number != number.to_integral_value():
        return False
    return Decimal(least) <= number <= Decimal(str(entry.get("most", "Infinity")))


def _show(value: Any) -> str:
    # Templates give text of a kind of Ansible's own.
    return repr(str(value)) if isinstance(value, str) else str(value)


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"wrong_numbers": wrong_numbers}

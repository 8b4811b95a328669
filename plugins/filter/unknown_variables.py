# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that look like the collection's and are none."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unknown_variables
short_description: Find misspelt variables of this collection
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Ansible takes no notice of a variable that nothing reads, so a misspelt one is a setting that is not made.
  - Looks at names that begin with C(kubegpu_) alone, and says which of the known names each may stand for.
positional: known
options:
  _input:
    description: Names of variables, of whatever sort.
    type: list
    elements: str
    required: true
  known:
    description: Names that are read.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Tell what has no effect
  ansible.builtin.debug:
    msg: "{{ query('ansible.builtin.varnames', '^kubegpu_') | kubegpu.sharing.unknown_variables(['kubegpu_wave', 'kubegpu_window']) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each name that is not known, in alphabetical order.
  type: list
  elements: str
  sample: ["The variable kubegpu_waves is unknown and has no effect. Did you mean kubegpu_wave?"]
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

PREFIX = "kubegpu_"
# How like two names have to be. A letter more, less or other always is; the common prefix does not count.
_LIKENESS = 0.65


def unknown_variables(names: Iterable[Any], known: Iterable[Any]) -> list[str]:
    """A sentence for each variable of the prefix that is not known."""
    endings = {str(name)[len(PREFIX) :] for name in known}
    found = {str(name)[len(PREFIX) :] for name in names if str(name).startswith(PREFIX)}
    return [_tell(name, get_close_matches(name, endings, 1, _LIKENESS)) for name in sorted(found - endings)]


def _tell(name: str, likely: list[str]) -> str:
    advice = (
        f"Did you mean {PREFIX}{likely[0]}?" if likely else f"Variables of your own had better not begin with {PREFIX}."
    )
    return f"The variable {PREFIX}{name} is unknown and has no effect. {advice}"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"unknown_variables": unknown_variables}

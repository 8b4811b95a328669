# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a wave may begin now."""

from __future__ import annotations

DOCUMENTATION = r"""
name: window_state
short_description: Tell whether a window of time is open
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Tells whether a moment lies in a window of time that recurs on days of the week, and when it closes, or opens next.
  - The window is one by the clock of its time zone, so it begins at the same hour in summer and in winter.
positional: now
options:
  _input:
    description:
      - The window, with the optional keys C(days) (those on which it starts, such as C([mon, fri]); all if not given), C(start)
        and C(end) (such as C("22:00"); midnight if not given) and C(timezone) (C(UTC) if not given).
      - A window whose end is not after its start reaches over midnight.
      - An empty one is always open.
    type: raw
    required: true
  now:
    description: The moment in question, as RFC 3339 text. The present moment if not given.
    type: str
"""

EXAMPLES = r"""
- name: Begin nothing outside the night from Friday to Saturday
  ansible.builtin.assert:
    that: (night | kubegpu.sharing.window_state).open
    fail_msg: "{{ (night | kubegpu.sharing.window_state).reason }}"
  vars:
    night: {days: [fri], start: "22:00", end: "05:00", timezone: Europe/Berlin}
"""

RETURN = r"""
_value:
  description:
    - C(open) tells whether the window is open, C(closes) or C(opens) when that changes, and C(reason) says both in a sentence.
  type: dict
  sample:
    open: false
    opens: Friday 2026-03-06 22:00 Europe/Berlin
    closes: null
    reason: "The window is closed: it is Friday 2026-03-06 12:00 Europe/Berlin, and the next one opens Friday 2026-03-06 22:00 Europe/Berlin."
"""

from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kubegpu.sharing.plugins.plugin_utils import _window
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain


def window_state(window: Any, now: str | None = None) -> dict[str, Any]:
    """State of a window at a moment."""
    try:
        moment = datetime.fromisoformat(now.replace("Z", "+00:00")) if now else datetime.now(timezone.utc)
        return _window.window_state(_window.read_window(to_plain(window)), moment)
    except ValueError as error:
        raise AnsibleFilterError(f"Cannot read the window {window!r}: {error}.") from error


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"window_state": window_state}

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which refused writes are worth another try, after another look. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError

TRIES = 6
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0


def passes(error: ApiError) -> bool:
    """A conflict, or a trouble that passes. The object is to be read before the next try, so that no write is blind."""
    return error.status is None or error.status in (409, 429) or error.status >= 500


def pause(clock: Clock, attempt: int, error: ApiError) -> None:
    """Sleep before the next try: as long as the API asks for, or longer each time."""
    seconds = error.retry_after if error.retry_after is not None else _FIRST_PAUSE_SECONDS * 2**attempt
    clock.sleep(min(seconds, _LONGEST_PAUSE_SECONDS))

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Work with the simulated library in a process of its own: a library is loaded once in each, and may end it."""

from __future__ import annotations

import importlib
import json
import os
import signal
from typing import Any, Callable

_KILLED = -signal.SIGKILL
# Read once here, not in every process that is forked off.
importlib.import_module("pynvml")


def apart(work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What the work returns; nothing if its process was killed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        status = 1
        try:
            with os.fdopen(writer, "w", encoding="utf-8") as pipe:
                json.dump(work(), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, _KILLED), "the traceback is above"
    return dict(json.loads(text)) if status == 0 else {}

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is killed by signal 9 before a change of the host of one's choice.

Each call by which names in the file system change is such a moment, and each restart of a service. A process of its own counts them and
kills itself before the one whose turn it is, so that all of them come up, whatever the code becomes.
"""

from __future__ import annotations

import os
import signal
from typing import Any, Callable

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import systemd

CALLS = ("rename", "replace", "link", "unlink", "mkdir", "rmdir")
KILLED = -signal.SIGKILL
# More than there are; a loop that never comes to an end would not say what is wrong.
MOST = 400


def die_before(turn: int) -> None:
    """Have this process killed before the change whose turn it is."""
    count = 0

    def watch(call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == turn:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return watched

    for owner, names in ((os, CALLS), (systemd, ("restart",))):
        for name in names:
            setattr(owner, name, watch(getattr(owner, name)))


def run_until(turn: int, act: Callable[[], object]) -> int:
    """Do it in a process of its own; 0 if it comes to its end, negative for the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            die_before(turn)
            act()
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)

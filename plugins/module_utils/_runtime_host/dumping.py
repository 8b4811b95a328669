# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a runtime makes of its files, compared as text. PRIVATE to the collection."""

from __future__ import annotations

import os
from typing import Any, List, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.diffs import without_secrets
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import commands
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.engines import flag_value

_SECONDS = 30.0
_MOST_LINES = 6


def run_dump(argv: Sequence[str]) -> commands.Done:
    """What the runtime makes of its files: of a main file that is not there, its defaults, as it does when it is started.

    Asked for its dump, containerd before 2.0 would fail then.

    :returns: as if the command itself had said so.
    """
    path = flag_value(argv, ("--config", "-c"))
    if path is None or os.path.exists(path):
        return commands.run(argv, _SECONDS)
    done = commands.run([argv[0], "config", "default"], _SECONDS)
    return commands.Done(tuple(argv), done.rc, done.stdout, done.stderr)


def find_difference(expected: Optional[Mapping[str, Any]]) -> Optional[str]:
    """Why the files that were written do not come to what their candidate came to; None if they do, or nothing is expected."""
    if not expected:
        return None
    done = run_dump([str(word) for word in expected["argv"]])
    if done.rc:
        return done.complaint()
    wanted, found = (_without_imports(text) for text in (str(expected["stdout"]), done.stdout))
    if wanted == found:
        return None
    lines = [f"- {line.strip()}" for line in wanted if line not in found] + [
        f"+ {line.strip()}" for line in found if line not in wanted
    ]
    # A dump has the passwords of registries, and an error goes into logs.
    told = [without_secrets(line) for line in lines[:_MOST_LINES]]
    return f"{' '.join(done.argv)} shows something else than it did of the candidate: {'; '.join(told) or 'another order'}."


def _without_imports(text: str) -> List[str]:
    """Lines of a dump but for the list of imported files, in which the names of candidates stand."""
    found: List[str] = []
    inside = False
    for line in text.splitlines():
        inside = inside or line.startswith("imports =")
        if not inside:
            found.append(line.rstrip())
        elif line.rstrip().endswith("]"):
            inside = False
    return found

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidates: files that are put on a node for as long as a command reads them. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Iterable, List, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import commands
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import CANDIDATE, staging_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

_SECONDS = 30.0


def dump_candidate(plan: Mapping[str, Any], root: Root) -> Dict[str, Any]:
    """What the command says of the candidate: rc, stdout, stderr. The candidate is gone when this returns.

    :raises KubeGpuError: it cannot be put on the node.
    """
    files, argv = staging_of(plan)
    sweep(files, root)
    made: List[str] = []
    try:
        for path, text in files.items():
            made += _make_directories(os.path.dirname(root.real(path)))
            _write(root.real(path), path, text)
        return commands.run([_real_word(root, word, files) for word in argv], _SECONDS).to_dict()
    finally:
        sweep(files, root)
        # The innermost first, whichever file it was made for.
        for directory in sorted(made, key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(directory)


def sweep(paths: Iterable[str], root: Root) -> None:
    """Remove candidates that a killed process left there: a runtime that reads whole directories would take them for its settings."""
    for directory in {os.path.dirname(root.real(path)) for path in paths}:
        with contextlib.suppress(OSError):
            for name in os.listdir(directory):
                if name.startswith(CANDIDATE):
                    os.unlink(os.path.join(directory, name))


def _write(real: str, path: str, text: str) -> None:
    try:
        # Settings may hold secrets of registries.
        opened = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(opened, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise KubeGpuError(
            f"Putting the candidate {path} on the node failed: {error.strerror}. Nothing was changed. See that its directory can be written "
            "to and has space left, then run again."
        ) from error


def _make_directories(directory: str) -> List[str]:
    """Those that are missing, made."""
    found: List[str] = []
    while not os.path.isdir(directory):
        found.append(directory)
        directory = os.path.dirname(directory)
    try:
        for one in reversed(found):
            os.mkdir(one, 0o755)
    except OSError as error:
        raise KubeGpuError(f"Making the directory {found[0]} failed: {error.strerror}. Nothing was changed.") from error
    return found


def _real_word(root: Root, word: str, files: Mapping[str, str]) -> str:
    """A word of the command as it is said here: candidates and programs of the node lie below its root."""
    real = root.real(word)
    return real if word in files or (word.startswith("/") and os.path.exists(real)) else word

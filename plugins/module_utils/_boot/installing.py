# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting the program into its place on a node, and taking it away. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass
from typing import Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import UNFINISHED, replace_file

_MODE = 0o755


@dataclass(frozen=True)
class Wanted:
    """What is to be at ``path``.

    :param digest: SHA-256 of the program; None: nothing.
    """

    path: str
    digest: Optional[str]


@dataclass(frozen=True)
class Change:
    """What there is to do; ``action`` is "" if there is nothing."""

    action: str
    before: Optional[str]


def find_change(wanted: Wanted) -> Change:
    """How the file differs from what is wanted."""
    found = _digest_of(wanted.path)
    if found == wanted.digest:
        return Change("", found)
    if wanted.digest is None:
        return Change(f"remove {wanted.path}", found)
    return Change(f"{'install' if found is None else 'replace'} {wanted.path}", found)


def find_interpreter(running: str) -> str:
    """The interpreter that runs this, by a name that outlives an upgrade of the system: python3 rather than python3.11."""
    lasting = os.path.join(os.path.dirname(running), "python3")
    return lasting if os.path.realpath(lasting) == os.path.realpath(running) else running


def install(wanted: Wanted, source: str) -> None:
    """Put the program into its place, whole or not at all.

    :raises KubeGpuError: the source is not the program that is wanted, or the place cannot be written to.
    """
    try:
        with open(source, "rb") as file:
            program = file.read()
        if hashlib.sha256(program).hexdigest() != wanted.digest:
            raise KubeGpuError(
                f"Installing {wanted.path} failed: {source} is not the program that was announced, so nothing was changed. "
                "Leave source and digest to the action plugin."
            )
        os.makedirs(os.path.dirname(wanted.path), mode=0o755, exist_ok=True)
        # No lock is held: two runs may install it at once.
        replace_file(wanted.path, program, _MODE, f".{os.getpid()}{UNFINISHED}")
    except OSError as error:
        raise _failed("Installing", wanted.path, error) from error


def remove(wanted: Wanted) -> None:
    """Take the program away, and its directory if nothing else is in it."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(wanted.path)
    except OSError as error:
        raise _failed("Removing", wanted.path, error) from error
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(wanted.path))


def _digest_of(path: str) -> Optional[str]:
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _failed("Reading", path, error) from error


def _failed(attempted: str, path: str, error: OSError) -> KubeGpuError:
    return KubeGpuError(
        f"{attempted} {path} failed: {error.strerror}. Run with become, and see that the place may be written to."
    )

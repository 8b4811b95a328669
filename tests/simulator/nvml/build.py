# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the simulated libnvidia-ml.so.1."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SONAME = "libnvidia-ml.so.1"

_SOURCE = Path(__file__).parent
_BUILD = Path(__file__).resolve().parents[3] / "build" / "simulator"
_FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror")
# -Bsymbolic: a call within the library stays in it, also where a client loads two nodes' libraries side by side.
_LINK = ("-shared", f"-Wl,-soname,{SONAME}", "-Wl,-Bsymbolic", "-Wl,-z,defs", "-s", "-pthread", "-ldl")


def library(*, extra_flags: tuple[str, ...] = (), source: Path = _SOURCE, build: Path = _BUILD) -> Path:
    """The compiled library; compiles it where no build of the same sources and flags is there.

    Safe to call from several processes at once. Raises RuntimeError with the compiler's words when there is no gcc or it fails.
    """
    sources = sorted(source.glob("*.c"))
    digest = hashlib.sha256(repr((_FLAGS, _LINK, extra_flags)).encode())
    for path in [*sources, *sorted(source.glob("*.h"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    target = build / f"nvml-{digest.hexdigest()[:16]}" / SONAME
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _compile(sources, target, extra_flags)
    return target


def _compile(sources: list[Path], target: Path, extra_flags: tuple[str, ...]) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        raise RuntimeError(
            f"cannot build {SONAME}: gcc is not on the PATH. Install it (Debian: apt install gcc libc6-dev)."
        )
    # Into a file beside it, then renamed: nobody loads half a library.
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
    os.close(handle)
    command = [compiler, *_FLAGS, *extra_flags, "-o", temporary, *map(str, sources), *_LINK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        os.unlink(temporary)
        raise RuntimeError(f"cannot build {SONAME}: gcc failed with {done.returncode}:\n{done.stderr}")
    os.chmod(temporary, 0o644)
    os.rename(temporary, target)

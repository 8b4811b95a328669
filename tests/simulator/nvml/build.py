# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiles the simulated libnvidia-ml.so.1, and the nvidia-smi that goes with it."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SONAME = "libnvidia-ml.so.1"
COMMAND = "nvidia-smi"

_SOURCE = Path(__file__).parent
_COMMAND_SOURCE = _SOURCE / "smi"
_BUILD = Path(__file__).resolve().parents[3] / "build" / "simulator"
_FLAGS = ("-std=gnu11", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", f"-I{_SOURCE}")
# -Bsymbolic: a call within the library stays in it, also where a client loads two nodes' libraries side by side.
_LINK = ("-shared", f"-Wl,-soname,{SONAME}", "-Wl,-Bsymbolic", "-Wl,-z,defs", "-s", "-pthread", "-ldl")
_LINK_COMMAND = ("-s", "-ldl")


def library(*, extra_flags: tuple[str, ...] = (), source: Path = _SOURCE, build: Path = _BUILD) -> Path:
    """The compiled library; compiles it where no build of the same sources and flags is there.

    Safe to call from several processes at once. Raises RuntimeError with the compiler's words when there is no gcc or it fails.
    """
    return _built(SONAME, source, extra_flags + _LINK, build)


def command(*, source: Path = _COMMAND_SOURCE, build: Path = _BUILD) -> Path:
    """The compiled nvidia-smi; otherwise as library()."""
    return _built(COMMAND, source, _LINK_COMMAND, build)


def _built(name: str, source: Path, flags: tuple[str, ...], build: Path) -> Path:
    sources = sorted(source.glob("*.c"))
    digest = hashlib.sha256(repr((name, _FLAGS, flags)).encode())
    for path in [*sources, *sorted(source.glob("*.h")), *sorted(_SOURCE.glob("*.h"))]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    target = build / f"nvml-{digest.hexdigest()[:16]}" / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _compile(sources, target, flags)
    return target


def _compile(sources: list[Path], target: Path, flags: tuple[str, ...]) -> None:
    compiler = shutil.which("gcc")
    if compiler is None:
        raise RuntimeError(
            f"cannot build {target.name}: gcc is not on the PATH. Install it (Debian: apt install gcc libc6-dev)."
        )
    # Into a file beside it, then renamed: nobody loads half a library.
    handle, temporary = tempfile.mkstemp(dir=target.parent, suffix=".tmp")
    os.close(handle)
    # Flags last: libraries come after the sources that need them.
    command_line = [compiler, *_FLAGS, "-o", temporary, *map(str, sources), *flags]
    done = subprocess.run(command_line, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        os.unlink(temporary)
        raise RuntimeError(f"cannot build {target.name}: gcc failed with {done.returncode}:\n{done.stderr}")
    os.chmod(temporary, 0o755 if target.name == COMMAND else 0o644)
    os.rename(temporary, target)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of Debian packages, of other releases than this machine's too: unpacked once, installed nowhere.

A directory of them lies over the root of a test host as one more layer, and its programs run on this machine as well.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hosts.packages import HostsUnavailableError, codename, mirror

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "hosts"
_FORMAT = 1  # of what is done to the files
_SECONDS = 300
#: What a root has as links: a directory of that name in a layer would hide the link, and with it the whole root.
_MERGED = ("bin", "lib", "lib64", "sbin")
_NOT_NEEDED = ("usr/share/bash-completion", "usr/share/doc", "usr/share/lintian", "usr/share/man", "usr/share/zsh")


@dataclass(frozen=True)
class Packages:
    """Packages of one release, and what of their files is wanted.

    :param root: a root that they are for. What they need and it has not comes along; without one, they come alone.
    :param unwanted: files to leave out, for the space that they take.
    """

    suite: str
    names: tuple[str, ...]
    root: Path | None = None
    unwanted: tuple[str, ...] = ()

    @property
    def directory(self) -> Path:
        """Where they lie."""
        digest = hashlib.sha256(repr((_FORMAT, self)).encode()).hexdigest()[:12]
        return CACHE / f"{self.suite}-{self.names[0]}-{digest}"


def unpacked(packages: Packages) -> Path:
    """The directory of their files, as they lie in a root. Safe to call from several processes at once.

    :raises HostsUnavailableError: they cannot be had.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    # Of its own: the root of hosts is built under the other one, which takes longer.
    with open(CACHE / "lock-packages", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not packages.directory.exists():
            _build(packages)
    return packages.directory


def _build(packages: Packages) -> None:
    print(f"Getting {' '.join(packages.names)} of Debian's {packages.suite}, once.", flush=True)
    temporary = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=CACHE))
    try:
        files = temporary / "files"
        files.mkdir()
        for archive in _download(packages, temporary / "apt"):
            _call(["dpkg-deb", "--extract", str(archive), str(files)])
        _adapt(files, packages.unwanted)
        os.rename(files, packages.directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _download(packages: Packages, state: Path) -> list[Path]:
    """Into an apt of its own, which knows that release alone. Proxies and keys are those of this machine's."""
    archives = state / "cache/archives"
    for directory in (state / "lists/partial", archives / "partial"):
        directory.mkdir(parents=True)
    sources = state / "sources.list"
    sources.write_text(f"deb {mirror(codename())} {packages.suite} main\n", encoding="utf-8")
    installed = "/dev/null" if packages.root is None else str(packages.root / "var/lib/dpkg/status")
    settings = {
        "Dir::Etc::SourceList": str(sources),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::Etc::Preferences": "/dev/null",
        "Dir::Etc::PreferencesParts": "/dev/null",
        "Dir::State": str(state),
        "Dir::State::Lists": str(state / "lists"),
        "Dir::State::Status": installed,
        "Dir::Cache": str(state / "cache"),
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "5",
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]
    _call([*apt, "update"])
    if packages.root is None:
        _call([*apt, "download", *packages.names], archives)
    else:
        _call([*apt, "install", "--yes", "--download-only", "--no-install-recommends", *packages.names])
    return sorted(archives.glob("*.deb"))


def _adapt(files: Path, unwanted: Sequence[str]) -> None:
    for name in _MERGED:
        if (files / name).is_dir():
            shutil.copytree(files / name, files / "usr" / name, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(files / name)
    for path in (*_NOT_NEEDED, *unwanted):
        remove: Callable[[Path], None] = _remove_tree if (files / path).is_dir() else _remove_file
        remove(files / path)


def _remove_tree(path: Path) -> None:
    shutil.rmtree(path)


def _remove_file(path: Path) -> None:
    path.unlink(missing_ok=True)


def _call(command: Sequence[str], directory: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostsUnavailableError(f"Debian packages could not be had: {error}") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise HostsUnavailableError(f"{command[0]} failed with {done.returncode}: {last}")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root that all test hosts share, built once by debootstrap."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from hosts.packages import HostsUnavailableError, codename, mirror

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "hosts"
#: What a host needs to be reached by Ansible, and to show what a service does. Kept small: it is the time of a cold start.
PACKAGES = ("containerd", "dbus", "iproute2", "openssh-server", "procps", "python3", "systemd", "systemd-sysv", "udev")
#: Trixie's fails in a container.
MASKED = ("systemd-modules-load.service",)
#: Started by the scenarios that have containers; the others need not wait for it at every boot.
NOT_AT_BOOT = ("containerd.service",)
_BUILD_SECONDS = 600
_FORMAT = 2  # of what is done to the root after debootstrap


def base() -> Path:
    """The root, built if this machine has not yet. Safe to call from several processes at once.

    :raises HostsUnavailableError: it cannot be built.
    """
    suite = codename()
    digest = hashlib.sha256(repr((_FORMAT, suite, PACKAGES, MASKED, NOT_AT_BOOT)).encode()).hexdigest()[:12]
    target = CACHE / f"{suite}-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _build(suite, target)
    return target


def _build(suite: str, target: Path) -> None:
    started = time.monotonic()
    print(f"Building the root of test hosts ({suite}), once; this takes a minute or two.", flush=True)
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=CACHE))
    try:
        # Device nodes and setuid programs of a root are no business of other users of this machine.
        temporary.chmod(0o700)
        root = temporary / "root"
        _run_debootstrap(suite, root)
        _adapt(root)
        # Renamed as a whole: nobody starts a host from half a root.
        os.rename(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f"Built it in {time.monotonic() - started:.0f} s.", flush=True)


def _run_debootstrap(suite: str, root: Path) -> None:
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(root), mirror(suite)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostsUnavailableError(f"debootstrap failed: {error}") from error
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["no message"])[-1]
        raise HostsUnavailableError(f"debootstrap failed with {done.returncode}: {last}")


def _adapt(root: Path) -> None:
    """Take out what only takes time or space."""
    for path in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale", "usr/share/man"):
        shutil.rmtree(root / path, ignore_errors=True)
    for unit in MASKED:
        (root / "etc/systemd/system" / unit).symlink_to("/dev/null")
    for unit in NOT_AT_BOOT:
        (root / "etc/systemd/system/multi-user.target.wants" / unit).unlink(missing_ok=True)
    # debootstrap takes this machine's; a host bears its own.
    (root / "etc/hostname").unlink(missing_ok=True)
    # Each host gets its own as well; and a journal that outlives a reboot shows what a boot was like.
    (root / "etc/machine-id").write_text("", encoding="utf-8")
    (root / "var/log/journal").mkdir(parents=True, exist_ok=True)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replacing files, with a way back that needs no space on the disk. PRIVATE to the collection.

New files are written beside, all of them, before the first old one is replaced. Old ones keep a second name until the runtime answers,
so that going back is renaming. All names follow from the path alone: whoever comes after a process that was killed finds them.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import new_file, sync_directory
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.documents import make_directory
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observed_files import (
    digest,
    digest_of,
    read_bytes,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.pending import written
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import FileStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

#: Directory of second names, below the state directory.
KEPT = "kept"


class Swap:
    """Replaces files of a node.

    :param state_dir: where second names of old files go, if that is on the same file system: what lies beside a runtime's
        settings may be read by it.
    """

    def __init__(self, root: Root, state_dir: str) -> None:
        self._root = root
        self._kept = os.path.join(root.real(state_dir), KEPT)

    def note(self, step: FileStep, backup: Optional[str]) -> Dict[str, Any]:
        """What has to be known of a file to go back, whoever does so."""
        return {
            "before": step.seen,
            "after": step.after,
            "backup": backup,
            "made": _missing_directories(os.path.dirname(self._root.real(step.path)), self._root),
        }

    def stage(self, step: FileStep, noted: Mapping[str, Any]) -> None:
        """Write the new file beside its place, and give the old one its second name.

        :raises KubeGpuError: that is not possible; nothing was replaced.
        """
        path = self._root.real(step.path)
        try:
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            self._keep(step.path, noted)
            if step.content is not None:
                _write_beside(_staged_name(path), path, step)
        except OSError as error:
            raise KubeGpuError(f"Preparing {step.path} failed: {error.strerror}. {_cure(error)}") from error

    def replace(self, step: FileStep) -> None:
        """Put the new file into its place, if what is there is still what was planned for.

        :raises KubeGpuError: it is not, or it cannot be replaced.
        """
        path = self._root.real(step.path)
        problem = self.compare(step)
        if problem:
            raise KubeGpuError(problem)
        try:
            if step.content is None:
                os.unlink(path)
            else:
                os.rename(_staged_name(path), path)
            sync_directory(os.path.dirname(path))
        except OSError as error:
            raise KubeGpuError(f"Replacing {step.path} failed: {error.strerror}. {_cure(error)}") from error

    def compare(self, step: FileStep) -> Optional[str]:
        """Why a file is not as it was planned for; None if it is."""
        path = self._root.real(step.path)
        if os.path.islink(path):
            return f"{step.path} is a symbolic link now, and was none when the change was planned. It was not touched; run again."
        try:
            found = digest_of(path)
        except OSError as error:
            return f"{step.path} cannot be read: {error.strerror}. It was not touched."
        if found == step.seen:
            return None
        what = "is gone" if found is None else "was made" if step.seen is None else "was changed"
        return (
            f"{step.path} {what} by somebody else since the change was planned (checksum {_short(found)} instead of {_short(step.seen)}). "
            "It was not touched; run again, which plans for what is there now."
        )

    def is_replaced(self, path: str, noted: Mapping[str, Any]) -> bool:
        """Whether the new file is in its place, and is another one than the old."""
        try:
            found = digest_of(self._root.real(path))
        except OSError:
            return False
        return found != noted["before"] and found in written(noted)

    def put_back(self, path: str, noted: Mapping[str, Any]) -> Optional[str]:
        """Bring the old file back. What hinders it; None if it is there.

        A file that is neither the old nor the new one is somebody else's and stays.
        """
        real = self._root.real(path)
        try:
            found = digest_of(real)
            if found == noted["before"]:
                return None
            if found not in written(noted):
                return f"{path} was changed by somebody else meanwhile and was left as it is."
            if noted["before"] is None:
                os.unlink(real)
            else:
                self._bring_back(path, real, noted)
            sync_directory(os.path.dirname(real))
            for directory in noted.get("made") or ():
                with contextlib.suppress(OSError):
                    os.rmdir(self._root.real(directory))
        except OSError as error:
            kept = f" Its old content is in {noted.get('backup')}." if noted.get("backup") else ""
            return f"{path} could not be put back: {error.strerror}.{kept}"
        return None

    def clean(self, path: str, noted: Mapping[str, Any]) -> None:
        """Take away what is only there for the way back. What cannot be, does no harm."""
        real = self._root.real(path)
        for name in (_staged_name(real), *self._kept_names(real)):
            with contextlib.suppress(OSError):
                os.unlink(name)
        if not os.path.lexists(real):
            for directory in noted.get("made") or ():
                with contextlib.suppress(OSError):
                    os.rmdir(self._root.real(directory))

    def forget(self) -> None:
        """Remove second names in the state directory, all of them: no change is under way any more."""
        shutil.rmtree(self._kept, ignore_errors=True)

    def _keep(self, path: str, noted: Mapping[str, Any]) -> None:
        """Have the old content under a second name. After a process that was killed it has one already."""
        real = self._root.real(path)
        if noted["before"] is None or self._find_kept(real, noted) is not None:
            return
        if digest_of(real) != noted["before"]:
            # what a killed process replaced, and whose second name is gone
            return
        make_directory(self._kept)
        for name in self._kept_names(real):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
            with contextlib.suppress(OSError):
                os.link(real, name, follow_symlinks=False)
                sync_directory(os.path.dirname(name))
                return
        # This file system has no second names: a copy takes space, and is as good.
        copy, there = self._kept_names(real)[-1], os.stat(real)
        _write_beside(copy, real, FileStep(path, None, read_bytes(real)))
        # By its time the next look tells whether the runtime was started with it.
        os.utime(copy, ns=(there.st_atime_ns, there.st_mtime_ns))

    def _bring_back(self, path: str, real: str, noted: Mapping[str, Any]) -> None:
        kept = self._find_kept(real, noted)
        if kept is not None:
            with contextlib.suppress(OSError):
                os.rename(kept, real)
                return
        # It was lost: the copy is as good, but for the space that it takes.
        source = kept or self._root.real(str(noted.get("backup")))
        content = read_bytes(source)
        if digest(content) != noted["before"]:
            raise OSError(errno.EIO, f"{source} has not the content that {path} had")
        _write_beside(_staged_name(real), real, FileStep(path, noted["after"], content))
        os.rename(_staged_name(real), real)

    def _find_kept(self, real: str, noted: Mapping[str, Any]) -> Optional[str]:
        for name in self._kept_names(real):
            with contextlib.suppress(OSError):
                if digest_of(name) == noted["before"]:
                    return name
        return None

    def _kept_names(self, real: str) -> List[str]:
        name = f"{_hash(real)}-{os.path.basename(real)}.old"
        return [os.path.join(self._kept, name), os.path.join(_beside(real), f".kubegpu-kept-{_hash(real)}")]


def _staged_name(real: str) -> str:
    return os.path.join(_beside(real), f".kubegpu-new-{_hash(real)}")


def _beside(real: str) -> str:
    """A directory on the file system of a file in which the runtime does not take what it finds for its settings.

    Of a directory of drop-ins it may read all there is, whatever its name.
    """
    directory = os.path.dirname(real)
    parent = os.path.dirname(directory)
    if directory.endswith(".d"):
        with contextlib.suppress(OSError):
            if os.stat(parent).st_dev == os.stat(directory).st_dev:
                return parent
    return directory


def _hash(real: str) -> str:
    return hashlib.sha256(real.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _missing_directories(directory: str, root: Root) -> List[str]:
    """Directories that have to be made, the innermost first."""
    found: List[str] = []
    while not os.path.isdir(directory):
        found.append(root.node(directory))
        directory = os.path.dirname(directory)
    return found


def _write_beside(temporary: str, path: str, step: FileStep) -> None:
    """A new file with mode, owner and attributes of the one that it will replace, on the disk when this returns."""
    with new_file(temporary, 0o600) as file:
        file.write(step.content or b"")
        _dress(file.fileno(), path, step.mode)


def _dress(opened: int, path: str, mode: int) -> None:
    try:
        there = os.stat(path)
    except FileNotFoundError:
        os.fchmod(opened, mode)
        return
    if (there.st_uid, there.st_gid) != (os.geteuid(), os.getegid()):
        os.fchown(opened, there.st_uid, there.st_gid)
    os.fchmod(opened, there.st_mode & 0o7777)
    # Labels of SELinux among them; a file system that has none says so.
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                os.setxattr(opened, name, os.getxattr(path, name))


def _short(checksum: Optional[str]) -> str:
    return checksum[:12] if checksum else "none"


def _cure(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Make space on that file system, then run again."
    if error.errno == errno.EROFS:
        return (
            "The file system is read-only: find out why (the kernel log tells of a disk with errors), then run again."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Run with become, and see that it is not immutable ('lsattr' tells)."
    return "Put that right, then run again."

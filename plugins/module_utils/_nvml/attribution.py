# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a process is, remembered from sample to sample. Read only. PRIVATE to the collection.

A pid alone is no identity: Linux gives it anew. With the time at which the process began it is one. So every look-up reads
``/proc/<pid>/stat`` once, and the cgroup only of a process that was not seen before: a process stays in its container.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import Dict, Iterable, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.processes import PodOfProcess, parse_cgroup

# values of Attributed.attribution
CONTAINER = "container"
POD = "pod"
HOST = "host"
RUNTIME_UNKNOWN = "runtime_unknown"
ENDED = "ended"

# More than any node runs on GPUs at one time; what a caller that never forgets would keep.
_MOST = 8192
_CHUNK = 65536


@dataclass(frozen=True)
class Attributed:
    """Whose a process is.

    :param start: when it began, in clock ticks since boot; None if it has ended or procfs does not tell.
    :param pod_uid: as the kubelet knows it; None outside of pods.
    :param container_id: 64 hex digits; None outside of containers of pods, or if the runtime's spelling is not known.
    :param command: the program's name, never its arguments.
    :param attribution: container; pod (in a pod's cgroup, in none of its containers); host (outside of pods); runtime_unknown
        (the cgroup is one of Kubernetes in an unknown spelling); ended (gone, or may not be looked at).
    """

    start: Optional[int] = None
    pod_uid: Optional[str] = None
    container_id: Optional[str] = None
    command: Optional[str] = None
    attribution: str = ENDED


class AttributionCache:
    """Looks processes up, the cgroup of each only once.

    :param files: the node's files.
    """

    def __init__(self, files: NodeFiles) -> None:
        self._files = files
        self._known: Dict[int, Attributed] = {}

    def look_up(self, pid: int) -> Attributed:
        """Whose a process is. One that has ended since it was last looked up is still whose it was."""
        known = self._known.get(pid)
        if known is None:
            return self._remember(pid, self._read(pid))
        told = _parse_stat(_read(os.path.join(self._files.proc_root, str(pid), "stat")))
        if told is None:
            # NVML named it a moment ago: it is the one that was here, and not a new one with its pid
            return known
        command, start = told
        if start == known.start:
            # the program may have become another one meanwhile, or may have been given another name
            return known if command == known.command or not command else replace(known, command=command)
        return self._remember(pid, self._read(pid))

    def retain(self, pids: Iterable[int]) -> None:
        """Forget all others. Call it after every sample with the processes of the sample: then a pid that comes back later is new."""
        wanted = set(pids)
        self._known = {pid: known for pid, known in self._known.items() if pid in wanted}

    def _remember(self, pid: int, found: Attributed) -> Attributed:
        self._known.pop(pid, None)
        if found.start is not None:
            while len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[pid] = found
        return found

    def _read(self, pid: int) -> Attributed:
        """All of a process, by files of one and the same: a directory that is open is never that of a later process."""
        try:
            directory = os.open(
                os.path.join(self._files.proc_root, str(pid)), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
            )
        except OSError:
            return Attributed()
        try:
            stat, cgroup = _read("stat", directory), _read("cgroup", directory)
            command, start = _parse_stat(stat) or (None, None)
            command = command or _name(_read("comm", directory)) or _program(_read("cmdline", directory))
        finally:
            os.close(directory)
        if stat is None and cgroup is None:
            return Attributed()
        pod = parse_cgroup(cgroup or "")
        return Attributed(start, pod.pod_uid, pod.container_id, command, _kind(pod, cgroup))


def _kind(pod: PodOfProcess, cgroup: Optional[str]) -> str:
    if cgroup is None:
        return ENDED
    if pod.runtime_unknown:
        return RUNTIME_UNKNOWN
    if pod.container_id:
        return CONTAINER
    return POD if pod.pod_uid else HOST


def _parse_stat(text: Optional[str]) -> Optional[Tuple[str, int]]:
    """Name and start of ``/proc/<pid>/stat``, None if it is not one. The name may hold anything, brackets and spaces too."""
    if not text:
        return None
    head, _separator, tail = text.rpartition(")")
    fields = tail.split()
    # starttime is field 22 of proc(5), whose third comes first after the name
    if len(fields) < 20 or not fields[19].isdigit():
        return None
    return head.partition("(")[2], int(fields[19])


def _read(path: str, directory: Optional[int] = None) -> Optional[str]:
    """The text of a file, None if it is gone. Without Python's layers: this is done for every process of every sample."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return None
    try:
        text = b""
        while True:
            part = os.read(descriptor, _CHUNK)
            text += part
            if not part:
                return text.decode("utf-8", "replace")
    except OSError:
        # it ended between the two
        return None
    finally:
        os.close(descriptor)


def _name(text: Optional[str]) -> Optional[str]:
    return (text or "").strip() or None


def _program(text: Optional[str]) -> Optional[str]:
    """The program of a command line. Its arguments may hold secrets."""
    return os.path.basename((text or "").split("\0", 1)[0]) or None

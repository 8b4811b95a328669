# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of pods and containers, as the node itself knows them. Read only. PRIVATE to the collection.

The kubelet keeps every container's log in ``<log_root>/pods/<namespace>_<pod>_<uid>/<container>/<restart>.log`` and a link to it in
``<log_root>/containers/<pod>_<namespace>_<container>-<id>.log``. So a node names its pods without the API. Namespaces, pods and
containers have no underscore in their names. Both are the kubelet's custom and no API: what is not there is not told.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field
from typing import Callable, Dict, Optional, Tuple

_POD = re.compile(r"([^_]+)_([^_]+)_([^_]+)")
# The kubelet cuts the file's name to what file systems take, and the id is what it ends with.
_CONTAINER = re.compile(r"([^_]+)_([^_]+)_([^_]+)-([0-9a-f]{12,64})\.log")
# A directory's time is no finer than the kernel's clock tick: what changed that recently may change again unseen.
_SETTLED_NANOSECONDS = 1_000_000_000
# More than a node ever runs at one time; beyond it, names of those that are gone are forgotten.
_MOST = 4096

# namespace, pod and, of a container, its own
Names = Dict[str, Tuple[str, ...]]


@dataclass(frozen=True)
class PodName:
    """What the node knows of a process's pod; None each where it does not."""

    namespace: Optional[str] = None
    pod: Optional[str] = None
    container: Optional[str] = None


@dataclass
class _Listing:
    """Names in a directory, read again only after it has changed."""

    path: str
    parse: Callable[[str], Optional[Tuple[str, Tuple[str, ...]]]]
    names: Names = field(default_factory=dict)
    seen: int = -1

    def find(self, key: str) -> Optional[Tuple[str, ...]]:
        if key not in self.names:
            self._refresh()
        return self.names.get(key)

    def _refresh(self) -> None:
        try:
            changed = os.stat(self.path).st_mtime_ns
            if changed == self.seen:
                return
            found = dict(filter(None, map(self.parse, os.listdir(self.path))))
        except OSError:
            return
        settled = time.time_ns() - changed > _SETTLED_NANOSECONDS
        self.seen = changed if settled else -1
        # those that are gone keep their names: what they used is still to be told
        self.names = {**self.names, **found} if len(self.names) < _MOST else found


class PodNames:
    """Names by UID and container id.

    :param log_root: where the kubelet keeps ``pods`` and ``containers``.
    """

    def __init__(self, log_root: str = "/var/log") -> None:
        self._root = os.path.join(log_root, "pods")
        self._pods = _Listing(self._root, _parse_pod)
        self._containers = _Listing(os.path.join(log_root, "containers"), _parse_container)

    def look_up(self, pod_uid: Optional[str], container_id: Optional[str] = None) -> PodName:
        """The names of a pod and of one of its containers; of the container alone where the pod's UID is not known."""
        if not pod_uid:
            return PodName(*self._containers.find(container_id) or ()) if container_id else PodName()
        found = self._pods.find(pod_uid)
        namespace, pod = found[:2] if found else (None, None)
        directory = f"{namespace}_{pod}_{pod_uid}" if found else None
        return PodName(namespace, pod, self._container(directory, container_id) if container_id else None)

    def uid_of(self, namespace: str, pod: str) -> Optional[str]:
        """The UID of a pod, None if the node knows none or several of that name, as of one that was just replaced."""
        self._pods.find("")
        uids = [uid for uid, name in self._pods.names.items() if name[:2] == (namespace, pod)]
        return uids[0] if len(uids) == 1 else None

    def _container(self, directory: Optional[str], container_id: str) -> Optional[str]:
        found = self._containers.find(container_id)
        if found:
            return found[2]
        cut = [names[2] for key, names in self._containers.names.items() if _begins(container_id, key)]
        if len(cut) == 1:
            return cut[0]
        # no link, or one that lost its id: with a single container there is no doubt (in a gVisor pod, processes are the sandbox's)
        return _only_entry(os.path.join(self._root, directory)) if directory else None


def _begins(container_id: str, key: str) -> bool:
    return len(key) < len(container_id) and container_id.startswith(key)


def _only_entry(directory: str) -> Optional[str]:
    try:
        entries = os.listdir(directory)
    except OSError:
        return None
    return entries[0] if len(entries) == 1 else None


def _parse_pod(name: str) -> Optional[Tuple[str, Tuple[str, ...]]]:
    match = _POD.fullmatch(name)
    return (match.group(3), (match.group(1), match.group(2))) if match else None


def _parse_container(name: str) -> Optional[Tuple[str, Tuple[str, ...]]]:
    match = _CONTAINER.fullmatch(name)
    return (match.group(4), (match.group(2), match.group(1), match.group(3))) if match else None

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a container runtime answers, if its settings say another place than the usual one. PRIVATE to the collection.

A runtime that is asked at the wrong place is taken for dead, however well it is.
"""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any, Callable, Dict, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.detection import Candidate, is_socket
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.engines import flag_value
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

Files = Mapping[str, Mapping[str, Any]]
_UNIX = "unix://"
# As containerd prints it, whatever its files look like.
_GRPC = re.compile(
    r"^\[(?:grpc|plugins\.[\"']io\.containerd\.server\.v1\.grpc[\"'])\]\n(?:[ \t]+.*\n)*?[ \t]+address = [\"'](/[^\"']+)[\"']",
    re.MULTILINE,
)
_LISTEN = re.compile(r"^[ \t]*listen[ \t]*=[ \t]*[\"'](/[^\"']+)[\"']", re.MULTILINE)


def with_own_socket(root: Root, chosen: Candidate, argv: Sequence[str], seen: Mapping[str, Any]) -> Candidate:
    """The runtime with the socket that its settings name.

    :param argv: what its service starts.
    :param seen: what is known of it: files, dump.
    """
    told = _TELLERS.get(chosen.engine.name, _none)(argv, seen)
    if told is None or told == chosen.socket or told in chosen.engine.sockets:
        return chosen
    there = f"Its settings have it answer at {told}, {'which is there' if is_socket(root.real(told)) else 'where nothing is'}."
    return dataclasses.replace(chosen, socket=told, evidence=[*chosen.evidence, there])


def _none(argv: Sequence[str], seen: Mapping[str, Any]) -> Optional[str]:
    return None


def _containerd(argv: Sequence[str], seen: Mapping[str, Any]) -> Optional[str]:
    found = _GRPC.search((seen.get("dump") or {}).get("stdout") or "")
    return flag_value(argv, ("--address", "-a")) or (found.group(1) if found else None)


def _crio(argv: Sequence[str], seen: Mapping[str, Any]) -> Optional[str]:
    files: Files = seen["files"]
    # By their names, as it reads them: the last one counts.
    said = [
        found for path in sorted(files) if "/crio" in path for found in _LISTEN.findall(files[path]["content"] or "")
    ]
    return _path(flag_value(argv, ("--listen",))) or next(iter(said[::-1]), None)


def _docker(argv: Sequence[str], seen: Mapping[str, Any]) -> Optional[str]:
    files: Files = seen["files"]
    try:
        hosts = json.loads((files.get(seen["config_path"]) or {}).get("content") or "{}").get("hosts") or []
    except (ValueError, AttributeError):
        hosts = []
    said = [flag_value(argv, ("-H", "--host")), *(hosts if isinstance(hosts, list) else [])]
    return next((path for path in map(_path, said) if path), None)


def _path(address: Any) -> Optional[str]:
    if not isinstance(address, str):
        return None
    path = address[len(_UNIX) :] if address.startswith(_UNIX) else address
    return path if path.startswith("/") else None


_TELLERS: Dict[str, Callable[[Sequence[str], Mapping[str, Any]], Optional[str]]] = {
    "containerd": _containerd,
    "crio": _crio,
    "docker": _docker,
}

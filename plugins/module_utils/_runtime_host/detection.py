# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which container runtime a node has. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.engines import (
    ENGINES,
    KUBELET,
    Engine,
    flag_value,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.systemd import Unit, command_line

AUTO = "auto"
_KUBELET_FILES = (
    ("/var/lib/kubelet/config.yaml", re.compile(r"^containerRuntimeEndpoint:\s*[\"']?([^\s\"']+)", re.MULTILINE)),
    ("/var/lib/kubelet/kubeadm-flags.env", re.compile(r"--container-runtime-endpoint[= ]([^\s\"']+)")),
    ("/etc/default/kubelet", re.compile(r"--container-runtime-endpoint[= ]([^\s\"']+)")),
    ("/etc/sysconfig/kubelet", re.compile(r"--container-runtime-endpoint[= ]([^\s\"']+)")),
)
# What the end of an endpoint tells: Docker is reached by a service of its own.
_ENDPOINTS = (
    ("containerd.sock", "containerd"),
    ("crio.sock", "crio"),
    ("cri-dockerd.sock", "docker"),
    ("dockershim.sock", "docker"),
)
_NO_CRI = re.compile(r"^\s*disabled_plugins\s*=\s*\[[^\]]*[\"'](?:io\.containerd\.grpc\.v1\.)?cri[\"']", re.MULTILINE)


@dataclass(frozen=True)
class Candidate:
    """A runtime of which something was found.

    :param evidence: sentences that say what.
    :param masked: names of its services that systemd is forbidden to start.
    """

    engine: Engine
    units: Tuple[Unit, ...]
    socket: Optional[str]
    role: Optional[str]
    evidence: List[str] = field(default_factory=list)
    masked: Tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        """Whether it runs."""
        return any(unit.runs for unit in self.units)

    @property
    def main_unit(self) -> Optional[Unit]:
        """The service that runs it, or would."""
        return next((unit for unit in self.units if unit.runs), next(iter(self.units), None))

    def to_dict(self) -> Dict[str, Any]:
        """As an observation has it."""
        return {
            "engine": self.engine.name,
            "evidence": list(self.evidence),
            "units": [unit.to_dict() for unit in self.units],
            "socket": self.socket,
            "active": self.active,
            "role": self.role,
        }


def find_candidates(root: Root, units: Sequence[Unit]) -> List[Candidate]:
    """All runtimes of which a service or a socket is there."""
    # Somebody's own unit may have the usual name as its alias.
    by_name = {name: unit for unit in units for name in (*unit.names, unit.name)}
    found = [_candidate(root, engine, by_name) for engine in ENGINES.values()]
    return [one for one in found if one.units or one.masked or (one.socket and one.engine.socket_is_own)]


def kubelet_endpoint(root: Root, units: Sequence[Unit]) -> Optional[str]:
    """The socket at which the kubelet looks for its runtime, as far as its command line and its files say."""
    kubelet = next((unit for unit in units if unit.name == KUBELET), None)
    if kubelet and kubelet.pid:
        said = flag_value(command_line(kubelet.pid), ("--container-runtime-endpoint",))
        if said:
            return said
    for path, pattern in _KUBELET_FILES:
        found = pattern.search(_text(root, path))
        if found:
            return found.group(1)
    return None


def choose(
    root: Root, wanted: str, candidates: Sequence[Candidate], endpoint: Optional[str]
) -> Tuple[Optional[Candidate], Optional[str]]:
    """The runtime that is meant, or why it cannot be told which."""
    if wanted != AUTO:
        named = next((one for one in candidates if one.engine.name == wanted), None)
        return (named, None) if named else (None, _missing(ENGINES[wanted], candidates))
    if not candidates:
        looked = ", ".join(unit for engine in ENGINES.values() for unit, _role in engine.units)
        return (
            None,
            f"No container runtime was found on this node: systemd knows none of {looked}. Install one, or name its engine (kubegpu_runtime_engine).",
        )
    could_run = [one for one in candidates if one.units or not one.masked]
    left = [one for one in candidates if one.active] or could_run or list(candidates)
    if len(left) > 1:
        used = _engine_of(endpoint)
        left = [one for one in left if one.engine.name == used] or left
    if len(left) == 2 and {one.engine.name for one in left} == {"containerd", "docker"} and _serves_docker_alone(root):
        left = [one for one in left if one.engine.name == "docker"]
    if len(left) == 1:
        return left[0], None
    listed = "; ".join(f"{one.engine.name} ({' '.join(one.evidence)})" for one in left)
    return None, (
        f"More than one container runtime was found on this node, and nothing tells which one the kubelet uses: {listed} "
        f"Name the one that is meant as engine (kubegpu_runtime_engine): {' or '.join(one.engine.name for one in left)}."
    )


def _candidate(root: Root, engine: Engine, by_name: Mapping[str, Unit]) -> Candidate:
    known = {by_name[name].name: (by_name[name], role) for name, role in reversed(engine.units) if name in by_name}
    loaded = [(unit, role) for unit, role in reversed(list(known.values())) if unit.load == "loaded"]
    running = [(unit, role) for unit, role in loaded if unit.runs]
    # A node is a server or an agent; of two services that are installed, the one that runs tells.
    counted = running or loaded
    socket = next((path for path in engine.sockets if is_socket(root.real(path))), None)
    evidence = [f"{unit.name} is {unit.active}." for unit, _role in loaded]
    masked = tuple(name for name, _role in engine.units if name in by_name and by_name[name].load == "masked")
    evidence += [f"{name} is masked." for name in masked]
    evidence += [f"The socket {socket} is there."] if socket else []
    evidence += [f"{engine.config_path} is there."] if os.path.lexists(root.real(engine.config_path)) else []
    role = next((role for _unit, role in counted), None)
    return Candidate(engine, tuple(unit for unit, _role in counted), socket, role, evidence, masked)


def _missing(engine: Engine, candidates: Sequence[Candidate]) -> str:
    there = ", ".join(one.engine.name for one in candidates) or "nothing else"
    return (
        f"The engine {engine.name} is not on this node: systemd knows no {' and no '.join(unit for unit, _role in engine.units)}. "
        f"There is {there}. Install it, or name the engine that is there (kubegpu_runtime_engine)."
    )


def _engine_of(endpoint: Optional[str]) -> Optional[str]:
    return next((name for end, name in _ENDPOINTS if endpoint and endpoint.endswith(f"/{end}")), None)


def _serves_docker_alone(root: Root) -> bool:
    """Whether containerd is there for Docker only: its package ships it without what a kubelet needs."""
    return bool(_NO_CRI.search(_text(root, ENGINES["containerd"].config_path)))


def is_socket(path: str) -> bool:
    """Whether a socket is at that path here."""
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False


def _text(root: Root, path: str) -> str:
    try:
        with open(root.real(path), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""

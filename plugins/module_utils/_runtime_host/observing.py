# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's container runtime as it is. Nothing is written. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import (
    DEFAULT_PATH,
    is_being_changed,
    read_holder,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import commands, pending, unix_http
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.detection import (
    AUTO,
    Candidate,
    choose,
    find_candidates,
    kubelet_endpoint,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.documents import (
    SCHEMA_VERSION,
    read_document,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.dumping import run_dump
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.engines import all_units
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.looking import Looking
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.monitors import pods_that_end
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observed_files import is_changed_since
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.sockets import with_own_socket
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.systemd import read_units

STATE_DIR = "/var/lib/kubegpu-sharing/runtime"
RECORD = "record.json"
_VERSION_SECONDS = 20.0
_VERSIONS = {
    "containerd": re.compile(r"^containerd \S+ v?(\S+)", re.MULTILINE),
    "microk8s": re.compile(r"^containerd \S+ v?(\S+)", re.MULTILINE),
    "crio": re.compile(r"^(?:crio version|Version:)\s+v?(\S+)", re.MULTILINE),
    "docker": re.compile(r"^Docker version v?([^\s,]+)", re.MULTILINE),
    "k3s": re.compile(r"^k3s version (\S+)", re.MULTILINE),
    "rke2": re.compile(r"^rke2 version (\S+)", re.MULTILINE),
}
# Of the toolkit, where its packages and the GPU Operator put it; a runtime of ours may be one of them.
#: Programs of NVIDIA's toolkit, in all places where k3s and RKE2 look for them at their start: they take the first.
TOOLKIT = (
    "/usr/bin/nvidia-ctk",
    *(
        f"{directory}/nvidia-container-runtime{kind}"
        for directory in ("/usr/local/nvidia/toolkit", "/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin")
        for kind in ("", "-experimental", ".cdi")
    ),
)
_LOW_LEVEL = ("runc", "crun")
_EMPTY: Dict[str, Any] = {
    "engine": None,
    "candidates": [],
    "problem": None,
    "version": None,
    "version_problem": None,
    "program": None,
    "config_path": None,
    "files": {},
    "listings": {},
    "binaries": {},
    "dump": None,
    "live": None,
    "ending": [],
    "kubelet_endpoint": None,
}


@dataclass(frozen=True)
class Look:
    """What to look for. :param binaries: more programs of the node, by path."""

    engine: str = AUTO
    binaries: Tuple[str, ...] = ()
    state_dir: str = STATE_DIR
    lock_path: str = DEFAULT_PATH
    root: Root = field(default_factory=Root)


def observe(look: Look) -> Dict[str, Any]:
    """The node's runtime, its files, and what earlier runs left. What cannot be found out is said in it; never raises."""
    found = {"schema_version": SCHEMA_VERSION, **_EMPTY, "root": look.root.prefix or "/", **_left_by_runs(look)}
    try:
        units = read_units(all_units())
    except KubeGpuError as error:
        found["problem"] = error.msg
        return found
    under_way = found["problem"]
    candidates = find_candidates(look.root, units)
    endpoint = kubelet_endpoint(look.root, units)
    chosen, problem = choose(look.root, look.engine, candidates, endpoint)
    found.update(kubelet_endpoint=endpoint, problem=problem)
    found["binaries"] = _binaries(look)
    if chosen is not None:
        facts, better = _engine_facts(look, chosen, _recorded(found["record"]))
        candidates = [better if one is chosen else one for one in candidates]
        found.update(facts)
    found["problem"] = under_way or found["problem"]
    found["candidates"] = [one.to_dict() for one in candidates]
    return found


def _left_by_runs(look: Look) -> Dict[str, Any]:
    record, problem = read_document(os.path.join(look.root.real(look.state_dir), RECORD))
    marker = pending.Pending.of(look.root, look.state_dir).read()
    return {
        "record": record,
        "record_problem": problem,
        "pending": pending.show(look.root, marker),
        "lock_free": not is_being_changed(look.root.real(look.lock_path)),
        "problem": _under_way(look, marker),
    }


def _under_way(look: Look, marker: Optional[Mapping[str, Any]]) -> Optional[str]:
    """What is said of a change that goes on: it was not interrupted, and nothing can be planned on files that may go back in a moment."""
    holder = read_holder(look.root.real(look.lock_path)) if marker else None
    if marker is None or holder is None or not holder.pid or holder.pid != marker.get("pid"):
        return None
    return (
        f"The container runtime of this node is being changed at this moment, by {holder.describe()}. "
        f"{holder.advice or 'Wait until it has ended, then run again.'}"
    )


def _engine_facts(look: Look, chosen: Candidate, recorded: Sequence[str]) -> Tuple[Dict[str, Any], Candidate]:
    """What is known of the runtime, and itself with the socket that its settings name."""
    unit = chosen.main_unit
    looking = Looking(look.root, chosen.engine, unit.argv if unit else (), recorded)
    looking.look()
    started_at = unit.started_at if unit else None
    for one in looking.files.values():
        one["changed_since_start"] = is_changed_since(one, started_at)
    program = chosen.engine.program or (unit.program if unit else None)
    version, version_problem = _version(look.root, chosen, program)
    facts = {
        "engine": chosen.engine.name,
        "problem": looking.problem if unit else _without_unit(chosen),
        "version": version,
        "version_problem": version_problem,
        "program": program,
        "config_path": looking.config_path,
        "files": looking.files,
        "listings": looking.listings,
        "dump": _dump(look.root, chosen, program, looking.config_path),
    }
    chosen = with_own_socket(look.root, chosen, unit.argv if unit else (), facts)
    return {**facts, "live": _live(look.root, chosen), "ending": pods_that_end(look.root, chosen.units)}, chosen


def _recorded(record: Optional[Mapping[str, Any]]) -> List[str]:
    """Files of a record, whatever somebody has made of it."""
    files = (record or {}).get("files")
    return [path for path in files if path.startswith("/")] if isinstance(files, dict) else []


def _without_unit(chosen: Candidate) -> str:
    if chosen.masked:
        unit = chosen.masked[0]
        return (
            f"{unit} is masked, so systemd does not start it, and {chosen.engine.name} could not be restarted. Type 'systemctl unmask "
            f"{unit}' there if it is this node's container runtime; if another one is, name that one as engine "
            "(kubegpu_runtime_engine)."
        )
    return (
        f"{chosen.engine.name} answers at {chosen.socket}, but systemd has no unit {chosen.engine.units[0][0]} that could be restarted. "
        f"Run it by systemd; if a unit of another name does, give that one the alias {chosen.engine.units[0][0]}."
    )


def _version(root: Root, chosen: Candidate, program: Optional[str]) -> Tuple[Optional[str], Optional[str]]:
    """Of the program that the service runs: another one of that name may lie on the path."""
    if program is None:
        return (
            None,
            f"The version of {chosen.engine.name} is not known: its service does not say which program it starts.",
        )
    done = commands.run([root.real(program), "--version"], _VERSION_SECONDS)
    said = _VERSIONS[chosen.engine.name].search(done.stdout)
    if done.rc or said is None:
        return (
            None,
            f"The version of {chosen.engine.name} is not known: {done.complaint()} See that {program} is whole.",
        )
    return said.group(1), None


def _dump(root: Root, chosen: Candidate, program: Optional[str], config_path: str) -> Optional[Dict[str, Any]]:
    if chosen.engine.name != "containerd" or program is None:
        return None
    return run_dump([root.real(program), "--config", root.real(config_path), "config", "dump"]).to_dict()


def _live(root: Root, chosen: Candidate) -> Optional[Dict[str, Any]]:
    """What Docker alone knows: whether a restart kills containers, and which."""
    if chosen.engine.name != "docker" or not chosen.socket:
        return None
    info = unix_http.get_json(root.real(chosen.socket), "/info")
    if not isinstance(info, dict):
        return None
    swarm = info.get("Swarm") or {}
    running = unix_http.get_json(root.real(chosen.socket), "/containers/json")
    names = [_container_name(one) for one in running] if isinstance(running, list) else None
    return {
        "live_restore": info.get("LiveRestoreEnabled"),
        "swarm": swarm.get("LocalNodeState") not in (None, "", "inactive"),
        "containers": names,
        "runtimes": info.get("Runtimes"),
        "default_runtime": info.get("DefaultRuntime"),
        "cgroup_driver": info.get("CgroupDriver"),
    }


def _container_name(container: Dict[str, Any]) -> str:
    names: Sequence[str] = container.get("Names") or [container.get("Id") or "?"]
    return names[0].lstrip("/")


def _binaries(look: Look) -> Dict[str, Dict[str, Any]]:
    paths: List[str] = [*look.binaries, *TOOLKIT]
    found = {path: _binary(look.root, path) for path in dict.fromkeys(paths)}
    for name in _LOW_LEVEL:
        there = commands.find(name)
        found[name] = (
            _binary(look.root, look.root.node(there)) if there else {"exists": False, "executable": False, "link": None}
        )
    return found


def _binary(root: Root, path: str) -> Dict[str, Any]:
    real = root.real(path)
    link = root.node(os.path.realpath(real)) if os.path.islink(real) else None
    is_file = os.path.isfile(real)
    return {"exists": is_file, "executable": is_file and os.access(real, os.X_OK), "link": link}

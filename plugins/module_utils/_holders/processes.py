# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the processes are that have NVIDIA's driver open on a node. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence, Set, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import TERMINAL_PHASES
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import PROGRAM

if TYPE_CHECKING:
    from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.find import Request

_IGNORE = "kubegpu_mig_ignore_holders"
_SERVICES = "kubegpu_mig_host_services"


@dataclass
class Processes:
    """All of them, sorted.

    :param daemonsets: "namespace/name" of those whose pods hold the driver.
    :param stopped: processes of units that are stopped on the host: {pid, command, unit}.
    """

    daemonsets: Set[str] = field(default_factory=set)
    stopped: List[Dict[str, Any]] = field(default_factory=list)
    ignored: Set[str] = field(default_factory=set)
    problems: List[str] = field(default_factory=list)


def sort_processes(
    holders: Sequence[Mapping[str, Any]], pods: Sequence[Mapping[str, Any]], request: Request
) -> Processes:
    """Sort what gpu_info saw.

    A pod that was given a device leaves with it, or keeps one that stays; it is no holder.

    :param holders: {pid, command, pod_uid, unit, ...}.
    :param pods: of the node, as the cluster file has them.
    """
    found = Processes()
    by_uid = {pod["uid"]: pod for pod in pods}
    of_pods: Dict[str, List[Mapping[str, Any]]] = {}
    of_host: Dict[Tuple[str, str], List[Mapping[str, Any]]] = {}
    for process in holders:
        if process.get("pod_uid"):
            of_pods.setdefault(str(process["pod_uid"]), []).append(process)
        else:
            of_host.setdefault((_unit(process), str(process.get("command") or "")), []).append(process)
    for uid, processes in sorted(of_pods.items()):
        _sort_pod(found, by_uid.get(uid), processes, request)
    for (unit, command), processes in sorted(of_host.items()):
        _sort_host(found, (unit, command), processes, request)
    return found


def _sort_pod(
    found: Processes, pod: Mapping[str, Any] | None, processes: Sequence[Mapping[str, Any]], request: Request
) -> None:
    if pod is None:
        _sort_unknown(found, processes, request)
        return
    if pod.get("requests"):
        return
    shown = _shown(processes)
    owner = pod.get("owner") or {}
    title = f"{pod.get('namespace')}/{pod.get('name')}"
    if owner.get("kind") == "DaemonSet":
        found.daemonsets.add(f"{pod.get('namespace')}/{owner.get('name')}")
    elif title in request.ignore or pod.get("name") in request.ignore:
        found.ignored.add(title)
    elif not (pod.get("phase") in TERMINAL_PHASES or pod.get("terminating")):
        if pod.get("mirror"):
            found.problems.append(
                f"static pod {title} keeps NVIDIA's driver open ({shown}) and cannot be evicted. Move its manifest away for the "
                f"time, or leave it as it is ({_IGNORE}: [{title}])."
            )
        elif request.scope != "all" and pod["uid"] not in request.leaving:
            found.problems.append(
                f"pod {title} keeps NVIDIA's driver open ({shown}) without having asked for a GPU, so it is not evicted. Have all "
                f"pods evicted (scope all), take it off the node, or leave it as it is ({_IGNORE}: [{title}])."
            )


def _sort_unknown(found: Processes, processes: Sequence[Mapping[str, Any]], request: Request) -> None:
    """Processes of a pod that is not on the node by the API."""
    command = _command(processes)
    if command in request.ignore:
        found.ignored.add(command)
        return
    found.problems.append(
        f"{_shown(processes)} of a pod that the API does not list keeps NVIDIA's driver open; a static pod is known to its kubelet "
        f"by another uid. Stop it, then plan again, or leave it as it is ({_IGNORE}: [{command}])."
    )


def _sort_host(
    found: Processes, name: Tuple[str, str], processes: Sequence[Mapping[str, Any]], request: Request
) -> None:
    unit, command = name
    if command == PROGRAM:
        # a measurement, which is over at any time, and lets go as soon as a change begins
        return
    if _bare(unit) in {_bare(one) for one in request.host_services} - {""}:
        found.stopped.extend({"pid": one.get("pid"), "command": command, "unit": unit} for one in processes)
        return
    ignored = {unit, _bare(unit), command} & {*request.ignore} - {""}
    if ignored:
        found.ignored.update(ignored)
        return
    cure = f"stop it, or have it stopped for the time ({_SERVICES} with {_bare(unit)} added)" if unit else "end it"
    where = f"unit {unit}" if unit else "no unit"
    keep = "keep" if processes[1:] else "keeps"
    found.problems.append(
        f"{_shown(processes)} on its host, of {where}, {keep} NVIDIA's driver open: {cure}, or leave it as it is "
        f"({_IGNORE}: [{_bare(unit) or command}])."
    )


def _unit(process: Mapping[str, Any]) -> str:
    return str(process.get("unit") or "")


def _bare(unit: str) -> str:
    return unit[: -len(".service")] if unit.endswith(".service") else unit


def _command(processes: Sequence[Mapping[str, Any]]) -> str:
    return str(processes[0].get("command") or "?")


def _shown(processes: Sequence[Mapping[str, Any]]) -> str:
    pids = ", ".join(str(one.get("pid")) for one in processes)
    return f"process{'es' if processes[1:] else ''} {pids} ({_command(processes)})"

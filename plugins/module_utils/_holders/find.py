# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds everything on a node that keeps NVIDIA's driver open while nothing may. PRIVATE to the collection.

MIG instances can be changed only while no process holds the GPU: with one left, the driver says "in use" and the mode
stays as it is, and the pods that were evicted before were evicted for nothing. So all of it is found beforehand, and
what cannot be taken off the node for the time is a problem that says what to do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Collection, Dict, List, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import TERMINAL_PHASES
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.daemonsets import title_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.kinds import (
    DEVICE_PLUGIN,
    DRIVER,
    MIG_MANAGER,
    kind_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.methods import (
    Method,
    Place,
    choose_method,
    opt_in_command,
    works,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.processes import Processes, sort_processes
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.record import (
    Record,
    labels_before,
    read_record,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.selection import selects
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import MANAGED_BY, MANAGED_BY_LABEL

#: The variable by which somebody leaves a holder out, named in messages.
IGNORE = "kubegpu_mig_ignore_holders"


@dataclass(frozen=True)
class Request:
    """What is known besides the cluster and the host.

    :param gone: device plugins, DaemonSets "namespace/name", that leave the node at the switch, or come to it then.
    :param scope: which pods leave the node: none, affected, gpu_pods or all.
    :param leaving: UIDs of pods that leave it in any case.
    :param ignore: DaemonSets ("namespace/name", or just the name), units or commands that are left as they are.
    :param host_services: systemd units, with or without ".service", that are stopped on the host.
    :param observed: DaemonSets that were seen earlier to hold the driver.
    :param planned: how DaemonSets are to be paused by the plan that was approved; None: there is no such plan.
    """

    gone: Collection[str] = frozenset()
    scope: str = "affected"
    leaving: Collection[str] = frozenset()
    ignore: Sequence[str] = ()
    host_services: Sequence[str] = ()
    observed: Collection[str] = frozenset()
    planned: Mapping[str, Method] | None = None


@dataclass(frozen=True)
class Holder:
    """A DaemonSet that is to be paused on the node.

    :param kind: see kinds.py; "" for one that is known only because it was seen.
    :param observed: it was seen to hold the driver.
    """

    daemonset: str
    uid: str
    kind: str
    observed: bool
    method: Method

    def to_dict(self) -> Dict[str, Any]:
        """For the plan."""
        return {
            "daemonset": self.daemonset,
            "uid": self.uid,
            "kind": self.kind,
            "observed": self.observed,
            "method": self.method.kind,
            "label": self.method.label or None,
            "value": self.method.value,
        }


@dataclass(frozen=True)
class Found:
    """What holds the driver of a node.

    :param holders: DaemonSets, by name.
    :param host: processes of the host whose units are stopped there: {pid, command, unit}.
    :param ignored: names of what is left as it is.
    :param problems: why the node cannot be repartitioned, as sentences without its name.
    """

    holders: Tuple[Holder, ...] = ()
    host: Tuple[Mapping[str, Any], ...] = ()
    ignored: Tuple[str, ...] = ()
    problems: Tuple[str, ...] = ()

    def to_dict(self) -> Dict[str, Any]:
        """For the plan."""
        return {
            "daemonsets": [holder.to_dict() for holder in self.holders],
            "host": [dict(process) for process in self.host],
            "ignored": list(self.ignored),
        }


@dataclass
class _DaemonSets:
    """What became of the DaemonSets of the cluster."""

    holders: List[Holder] = field(default_factory=list)
    ignored: List[str] = field(default_factory=list)
    problems: List[str] = field(default_factory=list)


def find(name: str, cluster: Mapping[str, Any], facts: Mapping[str, Any] | None, request: Request) -> Found:
    """Everything that holds the driver of a node.

    :param cluster: the cluster file, or as much of it as concerns the node: nodes, daemonsets, label_users.
    :param facts: of gpu_info; None if nobody has looked at the host.
    """
    entry = cluster["nodes"][name]
    processes = sort_processes((facts or {}).get("holders") or (), entry.get("pods") or (), request)
    found = _find_daemonsets(name, cluster, processes, request)
    return Found(
        holders=tuple(found.holders),
        host=tuple(processes.stopped),
        ignored=tuple(sorted({*found.ignored, *processes.ignored})),
        problems=(*found.problems, *processes.problems, *_unread(facts)),
    )


def _unread(facts: Mapping[str, Any] | None) -> List[str]:
    """Why it is not known who holds the driver, if somebody has looked and was not allowed to see."""
    if facts is None or facts.get("holders", ()) is not None:
        return []
    reason = facts.get("holders_reason") or "no reason given. Read the facts as root (become)."
    return [f"who keeps NVIDIA's driver open could not be read: {reason}"]


def _find_daemonsets(name: str, cluster: Mapping[str, Any], processes: Processes, request: Request) -> _DaemonSets:
    entry = cluster["nodes"][name]
    record = read_record(((entry.get("maintenance") or {}).get("restore")) or {}) or Record()
    labels = _unpaused(entry.get("labels") or {}, record)
    running = _on_node(entry)
    seen = {*processes.daemonsets, *request.observed, *record.daemonsets}
    found = _DaemonSets()
    candidates: List[Tuple[Mapping[str, Any], str, bool]] = []
    for daemonset in sorted(cluster.get("daemonsets") or (), key=title_of):
        title, kind = title_of(daemonset), kind_of(daemonset)
        here = title in running or selects(daemonset, name, labels)
        if _is_switched(daemonset, request) or not (title in seen or (kind and here)):
            continue
        if kind == DRIVER or {title, str(daemonset.get("name"))} & {*request.ignore}:
            found.ignored.append(title)
        elif kind == MIG_MANAGER:
            found.problems.append(_other_manager(name, daemonset))
        else:
            candidates.append((daemonset, kind, title in seen))
    together = {title_of(daemonset) for daemonset, _kind, _seen in candidates}
    place = Place(labels, cluster.get("label_users") or {}, together)
    for daemonset, kind, observed in candidates:
        method, problem = _method_for(daemonset, place, request)
        if method is None:
            found.problems.append(problem)
        else:
            uid = str(daemonset.get("uid") or "")
            found.holders.append(Holder(title_of(daemonset), uid, kind, observed, method))
    return found


def _method_for(daemonset: Mapping[str, Any], place: Place, request: Request) -> Tuple[Method | None, str]:
    """The means, or why there is none."""
    title = title_of(daemonset)
    if request.planned is None:
        method = choose_method(daemonset, place)
        return method, "" if method else _not_to_be_paused(daemonset)
    if title not in request.planned:
        return None, f"DaemonSet {title} keeps NVIDIA's driver open and came since the plan was made. Make a new plan."
    planned = request.planned[title]
    if works(planned, daemonset, place):
        return planned, ""
    how = f"by the label {planned.label}" if planned.label else "by a taint"
    return None, (
        f"DaemonSet {title} can no longer be paused {how}, as the plan says: it, or what selects on that label, was changed since. "
        "Make a new plan."
    )


def _unpaused(labels: Mapping[str, str], record: Record) -> Dict[str, str]:
    """Labels of a node as they were before something was paused on it."""
    merged: Dict[str, Any] = {**labels, **labels_before(labels, record)}
    return {label: value for label, value in merged.items() if value is not None and label != names.PAUSED_LABEL}


def _on_node(entry: Mapping[str, Any]) -> set[str]:
    """DaemonSets, "namespace/name", with a pod on the node."""
    owners = [
        (pod.get("namespace"), pod["owner"])
        for pod in entry.get("pods") or ()
        if pod.get("owner") and pod.get("phase") not in TERMINAL_PHASES
    ]
    return {f"{namespace}/{owner.get('name')}" for namespace, owner in owners if owner.get("kind") == "DaemonSet"}


def _is_switched(daemonset: Mapping[str, Any], request: Request) -> bool:
    """A device plugin: it is taken off at the switch, and one that the plan does not know is refused before."""
    ours = (daemonset.get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGED_BY
    return ours or kind_of(daemonset) == DEVICE_PLUGIN or title_of(daemonset) in request.gone


def _not_to_be_paused(daemonset: Mapping[str, Any]) -> str:
    title = title_of(daemonset)
    return (
        f"DaemonSet {title} keeps NVIDIA's driver open and cannot be paused: each node label that it selects on serves others as "
        f"well, and it tolerates every taint. Let it stay away from nodes with the label {names.PAUSED_LABEL} (its pods are made "
        f"anew once for that): {opt_in_command(daemonset)} Or leave it as it is ({IGNORE}: [{title}]); then the driver decides."
    )


def _other_manager(name: str, daemonset: Mapping[str, Any]) -> str:
    title = title_of(daemonset)
    selector = sorted(daemonset.get("node_selector") or {}, key=lambda one: not one.startswith(names.OPERATOR_PREFIX))
    off = f"kubectl label node {name} {selector[0]}=false --overwrite" if selector else f"delete DaemonSet {title}"
    return (
        f"DaemonSet {title} lays out MIG instances as well, and puts what the label nvidia.com/mig.config says over this layout at "
        f"its next start. Take it off the node: {off} Or, if that label is left alone, leave it as it is ({IGNORE}: [{title}])."
    )

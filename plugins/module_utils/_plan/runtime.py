# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about the container runtime of a node, as its host tells it. PRIVATE to the collection.

Restarting a runtime leaves containers running where it was made for that, and not everywhere. So a node is emptied before,
unless the operator says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import ALL, GPU_PODS, NONE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import some

#: What the file of a host is, that tells of its runtime.
KIND = "runtime"
#: Which pods leave a node before its container runtime is restarted.
DISRUPTIONS = (ALL, GPU_PODS, NONE)
# Units that serve the cluster itself, and not only pods: its API, and often its etcd.
_SERVER_UNITS = frozenset(("k3s", "rke2-server"))
_WHO = {ALL: "all its pods but those of DaemonSets", GPU_PODS: "its GPU pods"}


@dataclass(frozen=True)
class NodeRuntime:
    """A runtime that was looked at.

    :param document: what the host told.
    :param wanted: which pods leave before it is restarted, one of DISRUPTIONS.
    """

    document: Mapping[str, Any]
    wanted: str = ALL

    @property
    def title(self) -> str:
        """In words: "containerd 1.6.20~ds1"."""
        return " ".join(str(self.document[word]) for word in ("engine", "version") if self.document.get(word))

    @property
    def changes(self) -> bool:
        """It is not as wanted, or a restart is owed to what was written before."""
        return bool(self.document.get("changed") or self.document.get("restart"))

    @property
    def restarts(self) -> bool:
        """It is restarted."""
        return bool(self.document.get("restart"))

    @property
    def disruption(self) -> str:
        """Which pods leave for it."""
        return self.wanted if self.restarts else NONE

    @property
    def is_server(self) -> bool:
        """Restarting it takes a part of the control plane away meanwhile."""
        units = {str(unit).partition(".service")[0] for unit in self.document.get("units") or ()}
        return self.restarts and bool(self.document.get("server") or units & _SERVER_UNITS)

    @property
    def problems(self) -> list[str]:
        """Why nothing may be done about it; sentences without the node."""
        told = [f"its container runtime: {problem}" for problem in self.document.get("problems") or ()]
        if self.document.get("state") == "absent":
            told.append(
                "kubegpu_runtime_state is absent, and a rollout only makes container runtimes ready. Take it out by the role "
                "nvidia_container_runtime alone, which looks for pods that still need it, or set kubegpu_runtime_manage: false."
            )
        if self.restarts and self.document.get("live_restore") is False and self.wanted != ALL:
            told.append(
                f"{self.title} runs without live-restore, so its restart ends every container of the node, and "
                f"kubegpu_runtime_disruption is {self.wanted}. Set it to all, or live-restore in Docker's daemon.json."
            )
        return told

    @property
    def differences(self) -> list[str]:
        """How it is not as wanted."""
        if not self.changes:
            return []
        actions = [str(action) for action in self.document.get("actions") or ()]
        return [f"{self.title} is not set up as wanted{f': {some(actions)}' if actions else ''}"]

    def entry(self) -> dict[str, Any] | None:
        """As it stands at a node of the plan; None if there is nothing to do."""
        if not self.changes:
            return None
        return {
            "engine": self.document.get("engine"),
            "version": self.document.get("version"),
            "restart": self.restarts,
            "actions": list(self.document.get("actions") or ()),
            "units": list(self.document.get("units") or ()),
            "digest": str(self.document.get("digest") or ""),
            "disruption": self.disruption,
            "server": self.is_server,
            "live_loss": self.disruption == ALL,
            "differences": self.differences,
        }

    def warnings(self, leaving: Sequence[str]) -> list[str]:
        """What is worth a word, without the node.

        :param leaving: namespace/name of the pods that are expected to go for its restart.
        """
        told = [f"its container runtime: {warning}" for warning in self.document.get("warnings") or ()]
        if self.restarts and leaving:
            told.append(
                f"{self.title} is restarted, so {_WHO[self.disruption]} will be evicted (kubegpu_runtime_disruption): "
                f"{some(leaving, 10)}."
            )
        return told


def reasons_of_runtime(runtime: NodeRuntime | None) -> list[str]:
    """Why a node is in the plan for the sake of its runtime; what is done about it, the plan tells elsewhere."""
    if runtime is None or not runtime.changes:
        return []
    return [f"{runtime.title} to be set up{' and restarted' if runtime.restarts else ''}"]


def unread_runtime(host: str | None, was_read: bool) -> tuple[list[str], list[str]]:
    """(problems, warnings) of a node whose runtime nobody has looked at, though runtimes are managed.

    :param host: that is the node, if any.
    :param was_read: that host could be reached.
    """
    if was_read:
        return [
            f"its host {host} was read, but not its container runtime: the task that reads it has told why. Put that right, or "
            "leave container runtimes alone (kubegpu_runtime_manage: false)."
        ], []
    return [], [
        "its container runtime was not read, and stays as it is: no host of this run that could be reached is it."
    ]

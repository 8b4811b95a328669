# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a container runtime serves. PRIVATE to the collection.

A service that systemd calls active may have no part that the kubelet could talk to: containerd runs on without it when its settings
are wrong there. So the runtime itself is asked.
"""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, List, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import commands, unix_http
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.engines import ENGINES
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import ProbeSettings
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.systemd import read_units

_ASK_SECONDS = 8.0
_POLL_SECONDS = 0.5
# One that answers and dies right after it is not back.
_STABLE_SECONDS = 1.0
_RKE2_BIN = "/var/lib/rancher/rke2/bin"
_SERVERS = ("k3s.service", "rke2-server.service")


class NotLoadedError(KubeGpuError):
    """The runtime runs, and will not do what the kubelet needs before it is restarted: waiting does not help."""


Check = Callable[[], Optional[str]]


@dataclass(frozen=True)
class _Tools:
    """How the programs of a runtime are called. :param ctr: without an address if the program knows it."""

    engine: str
    ctr: Sequence[str]
    crictl: Sequence[str] = ()
    kubectl: Sequence[str] = ()
    ctr_takes_address: bool = True


_TOOLS = {
    "cri": _Tools("containerd", ["ctr"], ["crictl"]),
    "k3s": _Tools("k3s", ["k3s", "ctr"], ["k3s", "crictl"], ["k3s", "kubectl"]),
    "rke2": _Tools(
        "rke2",
        [f"{_RKE2_BIN}/ctr"],
        [f"{_RKE2_BIN}/crictl"],
        [f"{_RKE2_BIN}/kubectl", "--kubeconfig", "/etc/rancher/rke2/rke2.yaml"],
    ),
    "microk8s": _Tools("microk8s", ["microk8s.ctr"], ctr_takes_address=False),
}


class Probe:
    """Asks one runtime.

    :param units: its services, which have to be active.
    """

    def __init__(self, settings: ProbeSettings, units: Sequence[str], root: Root) -> None:
        self._settings = settings
        self._units = list(units)
        self._root = root
        self._checks = self._find_checks()
        self._restarts: Dict[str, int] = {}

    def answering(self) -> FrozenSet[str]:
        """What answers at this moment. A tool that fails before anything was changed says nothing about the change."""
        return frozenset(name for name, check in self._checks.items() if _holds(check))

    def wait(self, deadline: float, demanded: FrozenSet[str]) -> Optional[str]:
        """Wait until the runtime serves and goes on serving.

        :param deadline: on the monotonic clock.
        :param demanded: what answered before; without any, the runtime's own first check has to.
        :returns: what is not as it should be when the time is over; None: it serves.
        """
        while True:
            try:
                problem = self._problem(demanded)
            except NotLoadedError as error:
                return error.msg
            if problem is None:
                return None
            if time.monotonic() >= deadline:
                return problem
            time.sleep(_POLL_SECONDS)

    def find_crash(self) -> Optional[str]:
        """Whether a service ended after :meth:`wait` found that it serves; None if nothing tells so. Does not wait."""
        try:
            units = read_units(self._units) if self._units else []
        except KubeGpuError:
            return None
        ended = [
            unit
            for unit in units
            if unit.active != "active" or unit.restarts > self._restarts.get(unit.name, unit.restarts)
        ]
        said = [f"{unit.name} served and then ended; it is {unit.active} ({unit.sub}) now." for unit in ended]
        return " ".join(said) or None

    def _problem(self, demanded: FrozenSet[str]) -> Optional[str]:
        try:
            first = self._pids()
            problem = self._ask(demanded)
            if problem is None and self._units:
                time.sleep(_STABLE_SECONDS)
                if self._pids() != first:
                    return f"{' and '.join(self._units)} was started again by systemd right after the restart."
                problem = self._ask(demanded)
        except NotLoadedError:
            raise
        except KubeGpuError as error:
            return error.msg
        return problem

    def _pids(self) -> Dict[str, int]:
        units = read_units(self._units) if self._units else []
        dead = [unit for unit in units if unit.active != "active"]
        if dead:
            raise KubeGpuError(" ".join(f"{unit.name} is {unit.active} ({unit.sub})." for unit in dead))
        self._restarts = {unit.name: unit.restarts for unit in units}
        return {unit.name: unit.pid for unit in units}

    def _ask(self, demanded: FrozenSet[str]) -> Optional[str]:
        names = [name for name in self._checks if name in demanded] or list(self._checks)[:1]
        problems = [problem for problem in (self._checks[name]() for name in names) if problem]
        return " ".join(problems) or None

    def _find_checks(self) -> Dict[str, Check]:
        """Those that this node can make, the one that tells most first."""
        kind = self._settings.kind
        if kind in ("docker", "crio"):
            url = "/_ping" if kind == "docker" else "/info"
            return {"http": lambda: self._http(self._socket(kind), url)}
        tools = _TOOLS.get(kind, _TOOLS["cri"])
        socket = self._socket(tools.engine)
        found: Dict[str, Check] = {}
        address = ["--address", socket] if tools.ctr_takes_address else []
        if commands.find(tools.ctr[0]):
            found["ctr"] = lambda: _plugins([*tools.ctr, *address, "plugins", "ls"])
        if tools.crictl and commands.find(tools.crictl[0]):
            found["crictl"] = lambda: _succeeds([*tools.crictl, "--runtime-endpoint", f"unix://{socket}", "version"])
        if not found:
            found["socket"] = lambda: None if unix_http.accepts(socket) else f"Nobody listens at {socket}."
        if tools.kubectl and any(unit in _SERVERS for unit in self._units):
            found["readyz"] = lambda: _succeeds([*tools.kubectl, "get", "--raw", "/readyz"])
        return found

    def _socket(self, engine: str) -> str:
        return self._root.real(self._settings.socket or ENGINES[engine].sockets[0])

    def _http(self, socket: str, url: str) -> Optional[str]:
        status, body = unix_http.get(socket, url, _ASK_SECONDS)
        if status == http.client.OK:
            return None
        return f"{url} at {socket} is answered by {status or 'nobody'}: {body.strip()[:200]}."


def _holds(check: Check) -> bool:
    try:
        return check() is None
    except NotLoadedError:
        return False


def _plugins(argv: List[str]) -> Optional[str]:
    """Whether the part of containerd that the kubelet talks to is loaded. Others are loaded by the time that it answers at all.

    :raises NotLoadedError: it is not.
    """
    done = commands.run(argv, _ASK_SECONDS)
    if done.rc:
        return done.complaint()
    states = [words for words in map(str.split, done.stdout.splitlines()) if len(words) > 2 and _is_cri(words)]
    bad = [" ".join(words) for words in states if words[-1] != "ok"]
    if bad or not any(map(_is_api, states)):
        said = "; ".join(bad) or "no such plugin is listed"
        raise NotLoadedError(
            f"containerd answers, but its CRI plugin, which the kubelet talks to, is not loaded ({said})."
        )
    return None


def _is_cri(words: Sequence[str]) -> bool:
    return words[0].startswith("io.containerd.cri.") or _is_api(words)


def _is_api(words: Sequence[str]) -> bool:
    """Of the service that the kubelet calls. Since 2.0 what it rests on is listed apart, and is well without it."""
    return words[:2] == ["io.containerd.grpc.v1", "cri"]


def _succeeds(argv: List[str]) -> Optional[str]:
    done = commands.run(argv, _ASK_SECONDS)
    return done.complaint() if done.rc else None

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container runtimes: their services, sockets and files. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional, Sequence, Tuple


@dataclass(frozen=True)
class Engine:
    """What is known of a container runtime before a node was looked at.

    :param units: services that may run it, with the role that they give the node ("server", "agent") if there are two.
    :param sockets: where it answers; the first that is there counts.
    :param config_path: its main file, unless its service says otherwise.
    :param config_flags: how its service says otherwise.
    :param program: what its version is asked of where the service starts something else.
    """

    name: str
    units: Tuple[Tuple[str, Optional[str]], ...]
    sockets: Tuple[str, ...]
    config_path: str
    config_flags: Tuple[str, ...] = ()
    program: Optional[str] = None
    files: Tuple[str, ...] = ()
    directories: Tuple[str, ...] = ()
    # A socket that several of them use tells nothing about which one is there.
    socket_is_own: bool = True


def _rancher(name: str, units: Tuple[Tuple[str, Optional[str]], ...]) -> Engine:
    return Engine(
        name=name,
        units=units,
        sockets=("/run/k3s/containerd/containerd.sock",),
        config_path=f"/var/lib/rancher/{name}/agent/etc/containerd/config.toml",
        files=(f"/etc/rancher/{name}/config.yaml",),
        directories=(f"/etc/rancher/{name}/config.yaml.d",),
        socket_is_own=False,
    )


_ALL = (
    Engine(
        name="containerd",
        units=(("containerd.service", None),),
        sockets=("/run/containerd/containerd.sock",),
        config_path="/etc/containerd/config.toml",
        config_flags=("--config", "-c"),
        directories=("/etc/containerd/conf.d",),
    ),
    Engine(
        name="crio",
        units=(("crio.service", None), ("cri-o.service", None)),
        sockets=("/var/run/crio/crio.sock", "/run/crio/crio.sock"),
        config_path="/etc/crio/crio.conf",
        config_flags=("--config", "-c"),
        directories=("/etc/crio/crio.conf.d",),
    ),
    Engine(
        name="docker",
        units=(("docker.service", None),),
        sockets=("/var/run/docker.sock", "/run/docker.sock"),
        config_path="/etc/docker/daemon.json",
        config_flags=("--config-file",),
    ),
    _rancher("k3s", (("k3s.service", "server"), ("k3s-agent.service", "agent"))),
    _rancher("rke2", (("rke2-server.service", "server"), ("rke2-agent.service", "agent"))),
    Engine(
        name="microk8s",
        units=(("snap.microk8s.daemon-containerd.service", None),),
        sockets=("/var/snap/microk8s/common/run/containerd.sock",),
        config_path="/var/snap/microk8s/current/args/containerd-template.toml",
        program="/snap/microk8s/current/bin/containerd",
        files=("/var/snap/microk8s/current/args/containerd.toml",),
    ),
)
ENGINES: Dict[str, Engine] = {engine.name: engine for engine in _ALL}
#: Not a runtime: it tells which one it uses.
KUBELET = "kubelet.service"


def all_units() -> Sequence[str]:
    """Names of all services that are looked for."""
    return [unit for engine in _ALL for unit, _role in engine.units] + [KUBELET]


def flag_value(argv: Sequence[str], flags: Sequence[str]) -> Optional[str]:
    """What a command line gives for a flag, None if nothing. The last one counts."""
    found = None
    for position, word in enumerate(argv):
        name, equals, value = word.partition("=")
        if name in flags:
            found = value if equals else next(iter(argv[position + 1 : position + 2]), None)
    return found

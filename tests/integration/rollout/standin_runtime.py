# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's containerd 1.6 and its service, as far as a change of its settings sees them, in the folder of a simulated node.

What containerd makes of its settings is told by containerd itself in the scenarios on hosts; here they are what they are.
"""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.cluster import SimulatedCluster

CONFIG = """\
# Managed by hand.
version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
"""

_CONTAINERD = """\
case "$*" in
  *--version*) echo containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u2 ;;
  *"config dump"*)
    config={config}
    while [ $# -gt 0 ]; do case "$1" in --config|-c) config=$2; shift ;; --config=*) config=${{1#*=}} ;; esac; shift; done
    cat "$config" ;;
  *) exit 2 ;;
esac
"""
# A restart fails with settings that were touched while the file "refuses" is there, and says in the journal why.
_SYSTEMCTL = """\
case "$1" in
  show)
    for name; do case "$name" in
      *.service) ;;
      *) continue ;;
    esac
    if [ "$name" = containerd.service ]; then
      state=$(cat {node}/state 2>/dev/null || echo active)
      echo "Id=$name"; echo LoadState=loaded; echo "ActiveState=$state"; echo SubState=running; echo UnitFileState=enabled
      echo "MainPID=$(cat {node}/restarts 2>/dev/null | wc -l)"
      echo "ExecStart={{ path={program} ; argv[]={program} ; ignore_errors=no ; start_time=[n/a] ; }}"
    else
      echo "Id=$name"; echo LoadState=not-found; echo ActiveState=inactive; echo SubState=dead; echo UnitFileState=; echo MainPID=0
    fi
    echo
    done ;;
  restart)
    echo restarted >> {node}/restarts
    cp {journal} {node}/journal_at_restart 2>/dev/null
    if [ -e {node}/dies ] || {{ [ -e {node}/refuses ] && grep -q nvidia {config}; }}; then echo failed > {node}/state; exit 1; fi
    echo active > {node}/state ;;
esac
exit 0
"""
_CTR = """\
[ "$(cat {node}/state 2>/dev/null || echo active)" = active ] || exit 1
echo "TYPE                  ID   PLATFORMS    STATUS"
echo "io.containerd.grpc.v1 cri  linux/amd64  ok"
"""
_JOURNALCTL = """\
case "$*" in
  *--show-cursor*) echo "-- cursor: s=1" ;;
  *) [ -e {node}/refuses ] && echo "containerd: cannot load plugin cri: no such runtime" ;;
esac
exit 0
"""


@dataclass(frozen=True)
class StandInRuntime:
    """The runtime of a node. :param work_dir: of the operator, whose journal is kept as it was at a restart."""

    cluster: SimulatedCluster
    node: str
    work_dir: Path

    @property
    def directory(self) -> Path:
        """The node's folder, with its root directory in ``root``."""
        return Path(self.cluster.node_directory(self.node))

    @property
    def config(self) -> Path:
        """Main file of containerd."""
        return self.directory / "root/etc/containerd/config.toml"

    @property
    def program(self) -> Path:
        """What its service starts."""
        return self.directory / "root/usr/bin/containerd"

    @property
    def restarts(self) -> int:
        """How often its service was restarted."""
        log = self.directory / "restarts"
        return len(log.read_text(encoding="utf-8").splitlines()) if log.exists() else 0

    @property
    def journal_at_restart(self) -> str:
        """What the rollout had noted when the service was restarted last."""
        return (self.directory / "journal_at_restart").read_text(encoding="utf-8")

    def refuse(self, refuses: bool) -> None:
        """Whether it does not start with a handler for GPUs."""
        path = self.directory / "refuses"
        path.touch() if refuses else path.unlink()

    def die(self, dies: bool) -> None:
        """Whether it does not start with any settings."""
        path = self.directory / "dies"
        path.touch() if dies else path.unlink()

    def install(self) -> None:
        """Programs, settings, and a Python for the host that finds these programs first."""
        words = {
            "node": shlex.quote(str(self.directory)),
            "config": shlex.quote(str(self.config)),
            "program": str(self.program),
            "journal": shlex.quote(str(self.work_dir / "last_rollout/journal.jsonl")),
        }
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(CONFIG, encoding="utf-8")
        self._program("root/usr/bin/containerd", _CONTAINERD.format(**words))
        # By the same path from the host's own root directory, where its version is asked, and from here, where a candidate is tried.
        self._program(f"root{self.program}", _CONTAINERD.format(**words))
        self._program("root/usr/bin/nvidia-container-runtime", "exit 0\n")
        self._program("programs/systemctl", _SYSTEMCTL.format(**words))
        self._program("programs/ctr", _CTR.format(**words))
        self._program("programs/journalctl", _JOURNALCTL.format(**words))
        self._program("programs/python", f'PATH={words["node"]}/programs:$PATH exec {sys.executable} "$@"\n')

    def _program(self, path: str, script: str) -> None:
        program = self.directory / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
        program.chmod(0o755)


def host_variables(cluster: SimulatedCluster) -> dict[str, Any]:
    """Variables of hosts that are folders: where their runtime and their programs are."""
    node = f"{cluster.directory}/nodes/{{{{ kubegpu_node_name | default(inventory_hostname) }}}}"
    return {
        "ansible_python_interpreter": f"{node}/programs/python",
        "kubegpu_runtime_root": f"{node}/root",
        "kubegpu_runtime_engine": "containerd",
        "kubegpu_runtime_restart_seconds": 30,
    }

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An operator at a control node: an inventory of a simulated cluster and ansible-playbook as it is."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Sequence

import yaml

from simulator.cluster import SimulatedCluster

REPOSITORY = Path(__file__).resolve().parents[3]
COLLECTIONS = REPOSITORY / ".venv/collections"
PLAYBOOK_SECONDS = 240


def kill_run(process: subprocess.Popen[str]) -> None:
    """End a run as a power cut ends it: with all its workers and modules, which have sessions of their own."""
    stopped: list[int] = []
    # Who is stopped begets nobody: once a look finds nobody new, it has found all.
    while born := [member for member in family_of(process.pid) if member not in stopped]:
        send_all(born, signal.SIGSTOP)
        stopped += born
    send_all(stopped, signal.SIGKILL)
    process.wait(30)


def family_of(ancestor: int) -> list[int]:
    """A process and all that descend from it, at this moment."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # ended meanwhile
            fields = status.read_text(encoding="utf-8").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    family = [ancestor]
    for member in family:
        family.extend(children.get(member, []))
    return family


def send_all(processes: Sequence[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


@dataclass(frozen=True)
class Ended:
    """How a playbook run ended."""

    returncode: int
    output: str


@dataclass(frozen=True)
class Operator:
    """Runs the collection's playbooks against one simulated cluster, with an inventory of its own.

    :param executable: ansible-playbook of the ansible-core to use.
    """

    cluster: SimulatedCluster
    directory: Path
    executable: Path = Path(sys.executable).parent / "ansible-playbook"

    @property
    def work_dir(self) -> Path:
        """Where the runs leave facts, plans and journals."""
        return self.directory / "work"

    def write_inventory(
        self, hosts: Sequence[str], variables: Mapping[str, Any], of_hosts: Mapping[str, Any] | None = None
    ) -> None:
        """Hosts of the group gpu_nodes, as folders of the simulated cluster, and the operator's variables.

        :param of_hosts: variables of that group besides.
        """
        node_dir = f"{self.cluster.directory}/nodes/{{{{ kubegpu_node_name | default(inventory_hostname) }}}}"
        inventory = {
            "all": {
                "vars": {
                    "kubegpu_kubeconfig": str(self.cluster.kubeconfig),
                    "kubegpu_work_dir": str(self.work_dir),
                    "kubegpu_soak_seconds": 1,
                    "kubegpu_settle_seconds": 20,
                    # Most tests are about the change itself; those of the watch after it say how long it is to take.
                    "kubegpu_health_seconds": 0,
                    **variables,
                }
            },
            "gpu_nodes": {
                "hosts": {host: {} for host in hosts},
                "vars": {
                    "ansible_connection": "local",
                    "ansible_python_interpreter": "{{ ansible_playbook_python }}",
                    "kubegpu_nvml_library": f"{node_dir}/libnvidia-ml.so.1",
                    "kubegpu_proc_root": f"{node_dir}/proc",
                    "kubegpu_kubelet_root": f"{node_dir}/kubelet",
                    "kubegpu_kernel_log": f"{node_dir}/kmsg",
                    "kubegpu_log_root": f"{node_dir}/log",
                    "kubegpu_measure_path": f"{node_dir}/root/var/lib/kubegpu-sharing/measurements",
                    # A folder has no services and does not boot; what is written to the host goes below its root.
                    "kubegpu_mig_host_services": [],
                    "kubegpu_mig_boot_restore": False,
                    "kubegpu_mig_cdi": "never",
                    "kubegpu_mig_nvidia_smi": f"{node_dir}/nvidia-smi",
                    "kubegpu_mig_state_dir": f"{node_dir}/root/var/lib/kubegpu-sharing/mig",
                    "kubegpu_mig_lock_path": f"{node_dir}/host.lock",
                    "kubegpu_mig_ready_path": f"{node_dir}/root/run/kubegpu-sharing/mig-ready",
                    **(of_hosts or {}),
                },
            },
        }
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")

    def play(self, name: str, *arguments: str, **extra_vars: Any) -> Ended:
        """Run playbook ``kubegpu.sharing.<name>``."""
        return self._run(self._command(name, arguments, extra_vars))

    def ad_hoc(self, *arguments: str) -> Ended:
        """Run a single task on hosts: ``ansible`` with the inventory."""
        inventory = str(self.directory / "inventory.yml")
        return self._run([str(self.executable.with_name("ansible")), "-i", inventory, *arguments])

    def _run(self, command: Sequence[str]) -> Ended:
        result = subprocess.run(
            command,
            cwd=self.directory,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=PLAYBOOK_SECONDS,
            check=False,
        )
        return Ended(result.returncode, result.stdout)

    def start(self, name: str, *arguments: str, **extra_vars: Any) -> subprocess.Popen[str]:
        """Start a playbook and return at once; its output goes to the file ``output`` in the operator's folder."""
        with (self.directory / "output").open("w", encoding="utf-8") as output:
            return subprocess.Popen(
                self._command(name, arguments, extra_vars),
                cwd=self.directory,
                env=self._environment(),
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )

    def play_at_terminal(self, name: str, answer: str, **extra_vars: Any) -> Ended:
        """Run a playbook in a terminal of its own, and answer its question."""
        child, terminal = pty.fork()
        if child == 0:  # pragma: no cover
            os.chdir(self.directory)
            command = self._command(name, (), extra_vars)
            os.execve(command[0], command, self._environment())  # noqa: S606 - a terminal needs a process, not a shell
        output, deadline = b"", time.monotonic() + PLAYBOOK_SECONDS
        while time.monotonic() < deadline:
            if not select.select([terminal], [], [], 1.0)[0]:
                # Ansible throws away what was typed before it began to read, also what the terminal has shown by then. So a person
                # would type it again until the play goes on.
                _before, asked, after = output.rpartition(b"Type yes")
                if asked and b":" in after and b"TASK [" not in after:
                    os.write(terminal, answer.encode() + b"\r")
                continue
            try:
                output += os.read(terminal, 65536)
            except OSError:  # the other end is closed
                break
        else:
            os.kill(child, signal.SIGKILL)
        _child, status = os.waitpid(child, 0)
        os.close(terminal)
        return Ended(os.waitstatus_to_exitcode(status), output.decode(errors="replace"))

    def _command(self, name: str, arguments: Sequence[str], extra_vars: Mapping[str, Any]) -> list[str]:
        inventory = str(self.directory / "inventory.yml")
        command = [str(self.executable), f"kubegpu.sharing.{name}", "-i", inventory, *arguments]
        return [*command, "-e", json.dumps(extra_vars)] if extra_vars else command

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ANSIBLE_CONFIG": str(REPOSITORY / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_NOCOLOR": "1",
            "COLUMNS": "120",
            "ANSIBLE_HOME": str(self.directory / "ansible"),
        }

    def must_play(self, name: str, *arguments: str, **extra_vars: Any) -> Ended:
        """Run a playbook that has to succeed."""
        ended = self.play(name, *arguments, **extra_vars)
        assert ended.returncode == 0, ended.output
        return ended

    def plan(self) -> dict[str, Any]:
        """The plan that was made last."""
        newest = max((self.work_dir / "runs").glob("*/plan.json"), key=lambda path: path.stat().st_mtime)
        return json.loads(newest.read_text(encoding="utf-8"))

    def last_run(self) -> str:
        """Name of the last run that has begun."""
        return (self.work_dir / "last_rollout").resolve().name

    def report(self) -> dict[str, Any]:
        """The last report."""
        return json.loads((self.work_dir / "report.json").read_text(encoding="utf-8"))

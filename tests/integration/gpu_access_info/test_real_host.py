# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real containers of a real containerd, whose devices a real systemd takes away at its reload."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts import images
from hosts.fixture import running, skipped_where_unavailable
from hosts.host import Host

IMAGE = "test.invalid/busybox:1"
SECONDS = 120
# Nobody drives the first; the second is /dev/loop-control, which opens and does nothing, and which no container gets unasked.
# sysfs, by which a runtime can tell as well that there is a device of a number, does not know NVIDIA's.
DEVICES = "mknod /dev/nvidiactl c 195 255; mknod /dev/nvidia0 c 10 237; mount -t tmpfs tmpfs /sys/dev/char"
# As the device plugin has it done with the device list strategy "volume-mounts".
NAMED_BY_MOUNT = "--mount type=bind,src=/dev/null,dst=/var/run/nvidia-container-devices/GPU-1,options=bind:ro"
SYSTEMD, LINKED, CGROUPFS, HOLDING, ENDING = (f"{number}" * 64 for number in range(1, 6))


class Machine:
    """A host whose containerd runs."""

    def __init__(self, host: Host, directory: Path) -> None:
        self._host = host
        self._directory = directory
        variables = {"ansible_host": host.address, "ansible_user": host.user, "ansible_ssh_private_key_file": host.key}
        options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        document = {"all": {"hosts": {"gpu-1": {**variables, "ansible_ssh_common_args": options}}}}
        (directory / "inventory.json").write_text(json.dumps(document), encoding="utf-8")

    def sh(self, script: str, data: bytes = b"") -> str:
        """What a script says."""
        options = ["-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        options += ["-o", "LogLevel=ERROR", "-i", self._host.key]
        command = ["ssh", *options, f"{self._host.user}@{self._host.address}", f"set -eu; {script}"]
        done = subprocess.run(command, input=data, capture_output=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def start(self, container: str, cgroup: str, *options: str, command: str = "sleep 1000") -> None:
        """A container of the pod nlp/worker-<digit>, with both devices."""
        self.sh(
            f"ctr -n k8s.io run --detach {' '.join(options)} --cgroup {cgroup} --device /dev/nvidiactl --device /dev/nvidia0 "
            f"{IMAGE} {container} {command}; mkdir -p /var/log/containers /var/log/pods/nlp_worker-{container[0]}_{uid(container)}/main; "
            f"touch /var/log/containers/worker-{container[0]}_nlp_main-{container}.log"
        )

    def look(self, before: Any = None) -> dict[str, Any]:
        """The module's answer, by Ansible over ssh."""
        arguments = {"timeout_seconds": 60, **({} if before is None else {"before": before})}
        command = [str(Path(sys.executable).parent / "ansible"), "all", "-i", str(self._directory / "inventory.json")]
        command += ["--one-line", "-m", "kubegpu.sharing.gpu_access_info", "-a", json.dumps(arguments)]
        environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)
        assert "SUCCESS" in done.stdout, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout.partition("=>")[2])
        return found


def uid(container: str) -> str:
    return f"{container[:8]}-{container[:4]}-{container[:4]}-{container[:4]}-{container[:12]}"


def by_systemd(container: str) -> str:
    return f"kubepods-pod{uid(container).replace('-', '_')}.slice:cri-containerd:{container}"


def by_itself(container: str) -> str:
    return f"/kubepods/pod{uid(container)}/{container}"


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    with running(tmp_path / "host", "gpu-1") as host:
        with skipped_where_unavailable():
            images.write_image(tmp_path / "image.tar", [IMAGE])
        found = Machine(host, tmp_path)
        found.sh((Path(images.__file__).parent / "allow-containers").read_text(encoding="utf-8"))
        image = (tmp_path / "image.tar").read_bytes()
        found.sh(
            f"{DEVICES}; systemctl start containerd; cat >/image.tar; ctr -n k8s.io images import /image.tar", image
        )
        yield found


def judged(found: dict[str, Any]) -> dict[str, bool]:
    return {one["container_id"]: one["lost"] for one in found["containers"]}


@pytest.mark.timeout(600)
def test_daemon_reload_takes_gpus_from_containers_in_systemds_cgroups_and_from_no_others(machine: Machine) -> None:
    machine.start(SYSTEMD, by_systemd(SYSTEMD), "--runc-systemd-cgroup")
    machine.start(
        HOLDING, by_systemd(HOLDING), "--runc-systemd-cgroup", command="sh -c 'exec 3</dev/nvidia0; sleep 1000'"
    )
    machine.start(CGROUPFS, by_itself(CGROUPFS))
    machine.start(ENDING, by_itself(ENDING))
    before = machine.look()
    assert judged(before) == dict.fromkeys((SYSTEMD, HOLDING, CGROUPFS, ENDING), False)
    assert {device["accessible"] for one in before["containers"] for device in one["devices"]} == {True}
    names = [(one["namespace"], one["pod"], one["container"], one["open"]) for one in before["containers"]]
    assert ("nlp", "worker-4", "main", ["/dev/nvidia0"]) in names
    assert before["missing_links"] == ["nvidia0 (10:237)", "nvidiactl (195:255)"]

    # Where the devices are found by their numbers, runc tells systemd of them, which then forgets nothing.
    machine.sh("ln -s ../nvidia0 /dev/char/10:237; ln -s ../nvidiactl /dev/char/195:255")
    machine.start(LINKED, by_systemd(LINKED), "--runc-systemd-cgroup", NAMED_BY_MOUNT)
    machine.sh(f"ctr -n k8s.io tasks kill -s KILL {ENDING}; systemctl daemon-reload")

    after = machine.look(before["containers"])
    assert judged(after) == {SYSTEMD: True, HOLDING: True, CGROUPFS: False, LINKED: False}
    assert [one["container_id"] for one in after["gone"]] == [ENDING]
    assert "nlp/worker-1 (container main): /dev/nvidia0, /dev/nvidiactl" in after["message"]
    assert after["missing_links"] == []
    assert (before["volume_mount_pods"], after["volume_mount_pods"]) == ([], [uid(LINKED)])
    refused = machine.sh(f"! ctr -n k8s.io tasks exec --exec-id a {SYSTEMD} cat /dev/nvidiactl 2>&1")
    assert "Operation not permitted" in refused
    # To a first look, what a container has open tells that it was allowed to.
    assert judged(machine.look()) == {SYSTEMD: False, HOLDING: True, CGROUPFS: False, LINKED: False}
    # Who is looked at is left as it is.
    assert machine.sh(f"ctr -n k8s.io tasks ls -q | grep -c {SYSTEMD}").strip() == "1"

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role on a host with a real containerd: what it writes, what it leaves alone, and what becomes of a change that goes wrong."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from simulator.cluster import SimulatedCluster

from .real_host import CONFIG, ORIGINAL, STATE, RealHost

pytestmark = pytest.mark.timeout(600)  # the role on a loaded machine, up to seven times in a test

STAMPS = (
    f"stat -c '%n %i %Y %y' {CONFIG} {STATE}/record.json; systemctl show -p ActiveEnterTimestampMonotonic containerd"
)
CLASSES, PODS = "/apis/node.k8s.io/v1/runtimeclasses", "/api/v1/namespaces/default/pods"
LOADED = "Using module file"


def test_role_adds_the_handler_once_and_takes_it_out_to_the_byte(node: RealHost) -> None:
    before, running = node.digest(CONFIG), node.sh("systemctl show -p MainPID containerd")

    look = node.play("--check", "--diff")
    assert look.code == 0, look.said
    assert look.changed == 1
    assert '+ BinaryName = "/usr/bin/nvidia-container-runtime"' in look.words
    assert node.digest(CONFIG) == before
    assert node.sh("systemctl show -p MainPID containerd") == running
    assert node.sh(f"ls -A {STATE} /etc/containerd 2>/dev/null | grep -v config.toml") in ("", "/etc/containerd:")

    done = node.play("--diff")
    assert done.code == 0, done.said
    assert done.changed == 1
    assert done.said.count("+++ after: /etc/containerd/config.toml") == 1
    told = f"containerd: containerd.service was restarted and answers. Old files: {STATE}/backups/"
    assert told in done.words
    # How it has found the runtime.
    assert "(item=containerd.service is active.)" in done.said
    assert node.sh("systemctl is-active containerd") == "active"
    assert node.sh("systemctl show -p MainPID containerd") != running
    assert node.handlers() == "kata nvidia runc"
    assert "# Managed by hand. Ask before you change it!" in node.text(CONFIG)
    dumped = node.sh("containerd config dump")
    assert 'sandbox_image = "registry.example/pause:3.9"' in dumped
    assert dumped.count("SystemdCgroup = true") == 2

    # Such a file may have passwords in it.
    assert node.sh("journalctl --no-pager | grep -c 'Ask before you change it'") == "0"

    stamps = node.sh(STAMPS)
    short = node.play()
    assert re.search(r"containerd 1\.6\.\S+: nothing is to be done\.", short.words), short.said
    # Including the role, checking its options, choosing the file, reading, saying so.
    assert (short.said.count("TASK ["), short.said.count("skipping: ")) == (5, 0), short.said
    again = node.play("-vvv")
    assert again.code == 0, again.said
    assert again.changed == 0
    assert node.sh(STAMPS) == stamps
    # A node that is as it shall be is read once.
    assert again.said.count(LOADED) == 1

    gone = node.play(kubegpu_runtime_state="absent")
    assert gone.code == 0, gone.said
    assert node.digest(CONFIG) == before
    assert node.handlers() == "kata runc"
    assert node.play(kubegpu_runtime_state="absent").changed == 0


def test_role_refuses_with_all_problems_of_the_host_at_once(node: RealHost) -> None:
    node.write(CONFIG, "version = 2\n[plugins\n")
    before = node.digest(CONFIG)
    refused = node.play(kubegpu_runtime_binary="/opt/missing")
    assert refused.code != 0
    assert "nothing was changed" in refused.words
    assert f"{CONFIG}:2:" in refused.words
    assert "/opt/missing" in refused.words
    assert node.digest(CONFIG) == before


def test_runtime_is_not_restarted_into_what_it_has_never_run_with(node: RealHost) -> None:
    # containerd 1.6 takes one of the two only: its plugin for the kubelet does not come up with both.
    registry = '[plugins."io.containerd.grpc.v1.cri".registry'
    node.write(CONFIG, f'{ORIGINAL}{registry}]\n  config_path = "/etc/containerd/certs.d"\n')
    node.sh("systemctl restart containerd; sleep 1.5")
    good = node.text(CONFIG)
    node.sh(
        f"printf '%s\\n' '{registry}.mirrors.\"docker.io\"]' '  endpoint = [\"https://mirror.example\"]' >> {CONFIG}"
    )
    edited, running = node.digest(CONFIG), node.sh("systemctl show -p MainPID containerd")
    for arguments in (["--check"], []):
        refused = node.play(*arguments)
        assert refused.code != 0
        assert f"containerd.service was started before {CONFIG} was changed" in refused.words
        assert node.digest(CONFIG) == edited
        assert node.sh("systemctl show -p MainPID containerd") == running
    assert node.sh("ctr plugins ls | awk '$2 == \"cri\" { print $NF }'") == "ok"

    node.write(CONFIG, good)
    node.sh("systemctl restart containerd")
    done = node.play()
    assert (done.code, done.changed) == (0, 1), done.said
    again = node.play()
    assert (again.code, again.changed) == (0, 0), again.said


def test_runtime_that_does_not_come_back_has_its_old_files_and_one_that_was_stopped_is_left(node: RealHost) -> None:
    numbers = node.play(kubegpu_runtime_restart_seconds=-5)
    assert "kubegpu_runtime_restart_seconds is -5. Give a whole number from 3 to 3600." in numbers.words
    node.write(
        "/etc/systemd/system/containerd.service.d/cut.conf",
        "[Service]\nExecStartPre=/bin/sh -c '! grep -q nvidia /etc/containerd/config.toml'\n",
    )
    node.sh("systemctl daemon-reload")
    before = node.digest(CONFIG)
    back = node.play(kubegpu_runtime_restart_seconds=5)
    assert (back.code, node.digest(CONFIG)) == (2, before), back.said
    assert "The old files are back, and containerd serves with them." in back.words
    node.sh("systemctl stop containerd")
    stopped = node.play()
    assert stopped.code != 0
    assert "it is stopped, and has not failed, so somebody has stopped it" in stopped.words
    # The command runs without a shell of ours that would fail with it.
    assert node.sh("systemctl is-active containerd || true") == "inactive"
    assert node.digest(CONFIG) == before


def test_role_writes_for_a_rollout_what_it_would_do_and_does_nothing_else(node: RealHost) -> None:
    directory = node.directory / "runtimes"
    look = node.play(part="plan", kubegpu_runtime_dest_dir=str(directory), kubegpu_node_name="gpu-1")
    assert look.code == 0, look.said
    document = json.loads((directory / f"{node.host.address}.json").read_text(encoding="utf-8"))
    assert (document["node"], document["engine"], document["changed"]) == ("gpu-1", "containerd", True)
    assert document["units"] == ["containerd.service"]

    other = node.play(kubegpu_runtime_expected_digest=document["digest"], kubegpu_runtime_default=True)
    assert other.code != 0
    assert "differs from what was planned" in other.words
    assert node.handlers() == "kata runc"

    planned = node.play(kubegpu_runtime_expected_digest=document["digest"])
    assert planned.code == 0, planned.said
    assert node.handlers() == "kata nvidia runc"
    again = node.play(kubegpu_runtime_expected_digest=document["digest"])
    assert (again.code, again.changed) == (0, 0), again.said


def test_absent_is_refused_before_anything_is_touched_while_pods_use_the_class(
    node: RealHost, cluster: SimulatedCluster
) -> None:
    client = cluster.client()
    settings: dict[str, Any] = {"kubegpu_runtime_class": True, "kubegpu_kubeconfig": str(cluster.kubeconfig)}
    made = node.play(**settings)
    assert (made.code, made.changed) == (0, 2), made.said
    assert [one["handler"] for one in client.items(CLASSES)] == ["nvidia"]
    spec = {"runtimeClassName": "nvidia", "containers": [{"name": "c", "image": "x"}]}
    client.create(PODS, {"metadata": {"name": "train"}, "spec": spec})

    running = node.sh("systemctl show -p MainPID containerd")
    refused = node.play(kubegpu_runtime_state="absent", **settings)
    assert refused.code != 0
    assert "use the RuntimeClass nvidia: default/train. Where the node has it no more" in refused.words
    assert node.sh("systemctl show -p MainPID containerd") == running
    assert node.handlers() == "kata nvidia runc"

    client.delete(f"{PODS}/train")
    cluster.wait_until(lambda: not client.items(PODS), 60, "the end of the pod")
    gone = node.play(kubegpu_runtime_state="absent", **settings)
    assert (gone.code, gone.changed) == (0, 2), gone.said
    assert (client.items(CLASSES), node.handlers()) == ([], "kata runc")

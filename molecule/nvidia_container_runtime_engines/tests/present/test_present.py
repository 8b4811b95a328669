# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""With the runtime: containers run by it, and what somebody else has set is as it was."""

from __future__ import annotations

import json

import pytest

BINARY = "/usr/bin/nvidia-container-runtime"
VISIBLE = "GPU_MADE_VISIBLE=yes"


@pytest.mark.parametrize("name", ["k3s", "rke2", "microk8s"])
def test_pods_that_name_the_runtime_run_by_it(environment, name):
    assert VISIBLE in environment(name, "nvidia")


@pytest.mark.parametrize(("name", "default"), [("k3s", True), ("rke2", True), ("microk8s", False)])
def test_other_pods_run_by_it_only_where_it_is_the_default(environment, name, default):
    assert (VISIBLE in environment(name, "")) == default


@pytest.mark.parametrize("name", ["k3s", "rke2"])
def test_default_of_k3s_and_rke2_is_a_file_beside_theirs(hosts, name):
    host = hosts(name)
    before = host.file("/var/lib/before/files").content_string
    assert f"{host.file(f'/etc/rancher/{name}/config.yaml').sha256sum}  /etc/rancher/{name}/config.yaml" in before
    found = host.check_output(f"ls /etc/rancher/{name}/config.yaml.d /var/lib/rancher/{name}/agent/etc/containerd")
    assert "80-kubegpu-sharing.yaml" in found
    # A template would stay behind what the next version of the distribution needs.
    assert "tmpl" not in found


def test_microk8s_keeps_the_variables_of_its_template(hosts):
    template = hosts("microk8s").file("/var/snap/microk8s/current/args/containerd-template.toml").content_string
    assert template.count("${") == 5 + template.count('runtimes.nvidia]\n  runtime_type = "${RUNTIME_TYPE}"')
    assert f'BinaryName = "{BINARY}"' in template


def test_crio_understands_the_runtime_as_it_does_the_default_one(hosts):
    host = hosts("crio")
    understood = json.loads(host.file("/run/crio/understood.json").content_string)
    assert understood["default_runtime"] == "nvidia"
    crun, nvidia = understood["runtimes"]["crun"], understood["runtimes"]["nvidia"]
    assert nvidia.pop("runtime_type") == "oci"
    assert nvidia == {**crun, "runtime_path": BINARY}


def test_toolkit_starts_what_crio_did(hosts):
    """It would look for runc alone, which a host of CRI-O need not have."""
    toolkit = hosts("crio").file("/etc/nvidia-container-runtime/config.toml").content_string
    assert "#accept-nvidia-visible-devices-as-volume-mounts = false\n" in toolkit
    assert '"/usr/libexec/crio/crun", "docker-runc", "runc"' in toolkit


def test_docker_runs_containers_by_it_that_ask_for_it(hosts):
    host = hosts("docker")
    run = "docker run --rm --network none --entrypoint /bin/cat"
    assert VISIBLE in host.check_output(f"{run} --runtime nvidia test.invalid/busybox:1 /proc/1/environ")
    assert VISIBLE not in host.check_output(f"{run} test.invalid/busybox:1 /proc/1/environ")


def test_docker_ended_no_container(hosts):
    host = hosts("docker")
    now = host.check_output("docker inspect --format '{{ .State.Pid }} {{ .State.StartedAt }}' kept")
    assert now == host.file("/srv/kept").content_string.strip()


def test_docker_keeps_its_other_settings(hosts):
    settings = json.loads(hosts("docker").file("/etc/docker/daemon.json").content_string)
    assert settings.pop("runtimes")["nvidia"]["path"] == BINARY
    assert settings["features"] == {"buildkit": True}
    assert settings["log-opts"] == {"max-size": "100m", "max-file": "3"}
    assert len(settings) == 8

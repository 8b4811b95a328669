"""What a node's host shows beside the API: pods' directories, processes with their open devices, its own files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from simulator.controllers.meta import is_ready
from simulator.simulation import Simulation
from simulator.worlds import NAMESPACE, gpu_node, gpu_pod, plugin, world

READY = "/run/kubegpu-sharing/mig-ready"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return tmp_path / "nodes" / "gpu-1"


def open_files(node: Path) -> dict[str, list[str]]:
    """What every process has open, by its command; the standard streams are left out."""
    found = {}
    for process in (node / "proc").iterdir():
        links = sorted((process / "fd").iterdir(), key=lambda link: int(link.name))
        found[(process / "comm").read_text().strip()] = [os.readlink(link) for link in links[3:]]
    return found


def cgroups(node: Path) -> dict[str, str]:
    return {
        (process / "comm").read_text().strip(): (process / "cgroup").read_text()
        for process in (node / "proc").iterdir()
    }


def exporter(name: str = "exporter") -> dict[str, Any]:
    spec = {"containers": [{"name": "main", "image": "registry.example.com/dcgm-exporter:4"}], "nodeName": "gpu-1"}
    annotations = {"simulator.kubegpu/holds-nvml": "true"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations},
        "spec": spec,
    }


# The kubelet's directories.


def test_pod_has_its_directory_as_long_as_it_lives(tmp_path: Path, node: Path) -> None:
    simulation = world(apply=[plugin(), gpu_pod("job")], directory=tmp_path)
    uid = simulation.get("pods", f"{NAMESPACE}/job")["metadata"]["uid"]
    assert uid in os.listdir(node / "kubelet/pods")
    simulation.registry.delete("pods", NAMESPACE, "job")
    simulation.engine.advance(0.5)
    assert uid in os.listdir(node / "kubelet/pods")
    simulation.engine.settle()
    assert uid not in os.listdir(node / "kubelet/pods")
    assert len(os.listdir(node / "kubelet/pods")) == 1


def test_directories_outlive_a_reboot_and_go_with_pods_that_went_meanwhile(tmp_path: Path, node: Path) -> None:
    simulation = world(apply=[plugin(), gpu_pod("job"), gpu_pod("other")], directory=tmp_path)
    uids = {name: simulation.get("pods", f"{NAMESPACE}/{name}")["metadata"]["uid"] for name in ("job", "other")}
    simulation.agent("gpu-1").reboot()
    assert set(uids.values()) <= set(os.listdir(node / "kubelet/pods"))
    simulation.registry.delete("pods", NAMESPACE, "job", grace_period_seconds=0)
    simulation.engine.advance(120)
    assert uids["job"] not in os.listdir(node / "kubelet/pods")
    assert uids["other"] in os.listdir(node / "kubelet/pods")


@pytest.mark.parametrize("finalizers", [[], ["example.com/held"]])
def test_directory_of_a_finished_pod_stays_until_its_object_goes(
    tmp_path: Path, node: Path, finalizers: list[str]
) -> None:
    manifest = gpu_pod("job")
    manifest["metadata"]["finalizers"] = finalizers
    simulation = world(apply=[plugin(), manifest], directory=tmp_path)
    pod = simulation.get("pods", f"{NAMESPACE}/job")
    done = {**pod, "status": {**pod["status"], "phase": "Succeeded"}}
    simulation.registry.update("pods", done, subresource="status")
    simulation.engine.settle()
    assert pod["metadata"]["uid"] in os.listdir(node / "kubelet/pods")
    simulation.registry.delete("pods", NAMESPACE, "job")
    simulation.engine.settle()
    if finalizers:
        simulation.registry.patch("pods", NAMESPACE, "job", {"metadata": {"finalizers": None}})
        simulation.engine.settle()
    assert pod["metadata"]["uid"] not in os.listdir(node / "kubelet/pods")


# Processes.


def test_plugin_exporter_and_gpu_process_show_the_devices_that_they_have_open(tmp_path: Path, node: Path) -> None:
    simulation = world(apply=[plugin(), exporter(), gpu_pod("job")], directory=tmp_path)
    whole = ["/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia1"]
    assert open_files(node) == {
        "nvidia-device-p": whole,
        "dcgm-exporter": whole,
        "python3": ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0"],
    }
    uid = simulation.get("pods", f"{NAMESPACE}/exporter")["metadata"]["uid"].replace("-", "_")
    assert f"-pod{uid}.slice/cri-containerd-" in cgroups(node)["dcgm-exporter"]


def test_holder_is_gone_when_its_pod_ends_and_back_when_it_runs_again(tmp_path: Path, node: Path) -> None:
    simulation = world(apply=[plugin(), exporter()], directory=tmp_path)
    simulation.registry.delete("pods", NAMESPACE, "exporter")
    simulation.engine.settle()
    assert list(open_files(node)) == ["nvidia-device-p"]
    simulation.agent("gpu-1").crash_plugins()
    assert open_files(node) == {}
    simulation.engine.settle()
    assert list(open_files(node)) == ["nvidia-device-p"]
    simulation.agent("gpu-1").reboot()
    assert open_files(node) == {}
    simulation.engine.advance(120)
    assert list(open_files(node)) == ["nvidia-device-p"]


def test_plugin_that_serves_nothing_holds_nothing(tmp_path: Path, node: Path) -> None:
    manifest = plugin(args=["--fail-on-init-error=false"])
    world(gpu_node(nvml_fault="DRIVER_NOT_LOADED"), apply=[manifest], directory=tmp_path)
    assert open_files(node) == {}


def test_feature_discovery_holds_nvml_though_it_comes_in_the_plugins_image(tmp_path: Path, node: Path) -> None:
    manifest = plugin("gfd")
    manifest["spec"]["template"]["spec"]["containers"][0]["command"] = ["gpu-feature-discovery"]
    simulation = world(apply=[manifest], directory=tmp_path)
    assert list(open_files(node)) == ["gpu-feature-dis"]
    assert simulation.allocatable("gpu-1") is None


@pytest.mark.parametrize("version", [1, 2])
def test_service_of_the_host_holds_nvml_in_a_cgroup_of_its_own_over_a_reboot(
    tmp_path: Path, node: Path, version: int
) -> None:
    simulation = world(
        gpu_node(host_services=["nvidia-dcgm.service"], cgroup_version=version, count=1), directory=tmp_path
    )
    assert open_files(node) == {"nvidia-dcgm": ["/dev/nvidiactl", "/dev/nvidia0"]}
    assert ":/system.slice/nvidia-dcgm.service\n" in cgroups(node)["nvidia-dcgm"]
    simulation.agent("gpu-1").reboot()
    assert open_files(node) == {}
    simulation.engine.advance(120)
    assert list(open_files(node)) == ["nvidia-dcgm"]


# Files of the host.


def guarded(kind: str = "File", path: str = READY) -> dict[str, Any]:
    manifest = plugin()
    spec = manifest["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "ready", "hostPath": {"path": path, "type": kind}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "ready", "mountPath": READY, "readOnly": True}]
    return manifest


def plugin_is_ready(simulation: Simulation) -> bool:
    return any(map(is_ready, simulation.pods(NAMESPACE, plugin="plugin")))


def failed_mounts(simulation: Simulation) -> set[str]:
    return {item["message"] for item in simulation.store.list("events") if item["reason"] == "FailedMount"}


def put_ready_file(node: Path) -> Path:
    path = node / "root" / READY.lstrip("/")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("layout\n")
    return path


def test_pod_waits_for_a_file_of_the_host_and_starts_when_it_is_there(tmp_path: Path, node: Path) -> None:
    simulation = world(apply=[guarded()], directory=tmp_path)
    assert not plugin_is_ready(simulation)
    text = f'MountVolume.SetUp failed for volume "ready" : hostPath type check failed: {READY} is not a file'
    assert failed_mounts(simulation) == {text}
    put_ready_file(node)
    assert simulation.engine.run_until(lambda: plugin_is_ready(simulation), 130)
    assert simulation.engine.run_until(lambda: simulation.allocatable("gpu-1") == 2, 11)


def test_reboot_empties_the_hosts_tmpfs_and_the_plugin_waits_again(tmp_path: Path, node: Path) -> None:
    simulation = world(directory=tmp_path)
    put_ready_file(node)
    simulation.apply(guarded())
    simulation.engine.advance(15)
    assert simulation.allocatable("gpu-1") == 2
    simulation.agent("gpu-1").reboot()
    simulation.engine.advance(300)
    assert simulation.allocatable("gpu-1") == 0
    (pod,) = simulation.pods(NAMESPACE, plugin="plugin")
    assert not is_ready(pod)
    assert open_files(node) == {}
    put_ready_file(node)
    assert simulation.engine.run_until(lambda: simulation.allocatable("gpu-1") == 2, 140)


@pytest.mark.parametrize(
    ("kind", "path", "starts"),
    [
        ("", READY, True),
        ("Directory", "/var/run/kubegpu-sharing", False),
        ("DirectoryOrCreate", "/run/kubegpu-sharing/deep", True),
        ("FileOrCreate", READY, False),
        ("Socket", "/run/kubegpu-sharing/agent.sock", False),
        ("File", "/etc/elsewhere", True),
    ],
)
def test_types_of_host_paths(tmp_path: Path, kind: str, path: str, starts: bool) -> None:
    assert plugin_is_ready(world(apply=[guarded(kind, path)], directory=tmp_path)) is starts


# What NVIDIA's hook refuses.


@pytest.mark.parametrize(
    ("security", "starts"),
    [
        ({"capabilities": {"drop": ["ALL"]}}, False),
        ({"capabilities": {"add": ["CAP_SYS_ADMIN"], "drop": ["ALL"]}}, True),
        ({"privileged": True}, True),
    ],
)
def test_container_that_wants_to_monitor_mig_needs_sys_admin_to_start(security: dict[str, Any], starts: bool) -> None:
    manifest = plugin(env={"NVIDIA_MIG_MONITOR_DEVICES": "all"})
    manifest["spec"]["template"]["spec"]["containers"][0]["securityContext"] = security
    simulation = world(apply=[manifest])
    assert plugin_is_ready(simulation) is starts
    if not starts:
        (pod,) = simulation.pods(NAMESPACE, plugin="plugin")
        (status,) = pod["status"]["containerStatuses"]
        ended = status["lastState"]["terminated"]
        assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
        assert "cannot set MIG_MONITOR_DEVICES in non privileged container" in ended["message"]
        assert status["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert status["restartCount"] > 2
        assert "Started" not in {item["reason"] for item in simulation.store.list("events")}
        assert simulation.allocatable("gpu-1") is None

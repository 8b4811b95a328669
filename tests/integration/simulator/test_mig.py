"""Nodes with MIG: what the plugin advertises, what pods get, and what becomes of both when instances come and go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.controllers.meta import is_ready
from simulator.node_faults import NodeFaults, OrderError
from simulator.nvml.mig_state import changing
from simulator.simulation import Simulation
from simulator.worlds import (
    GPU,
    KEY,
    NAMESPACE,
    config_map,
    gpu_node,
    gpu_pod,
    mig_node,
    mig_plugin,
    plugin,
    world,
)

SMALL, HALF = "nvidia.com/mig-1g.12gb", "nvidia.com/mig-3g.48gb"
INVALID = "device 0 has an invalid MIG configuration"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return tmp_path / "nodes" / "gpu-1"


def lay_out(simulation: Simulation, node: Path, devices: dict[str, int], index: int = 0) -> None:
    """What somebody on the host does to a GPU behind everybody's back."""
    with changing(node) as mig:
        mig.switch(simulation.agent("gpu-1").gpus.gpus[index].uuid, True)
        mig.lay_out(simulation.agent("gpu-1").gpus.gpus[index].uuid, devices)


def find(simulation: Simulation, name: str) -> dict[str, Any]:
    return simulation.get("pods", f"{NAMESPACE}/{name}")


def advertised(simulation: Simulation) -> dict[str, int]:
    """Allocatable of all GPU resources that are not 0."""
    found = simulation.get("nodes", "gpu-1")["status"]["allocatable"]
    return {name: int(value) for name, value in found.items() if name.startswith("nvidia.com/") and value != "0"}


def restart_plugin(simulation: Simulation) -> None:
    for pod in simulation.pods(NAMESPACE, plugin="plugin"):
        simulation.registry.delete("pods", NAMESPACE, pod["metadata"]["name"])
    simulation.engine.advance(15)


def plugin_log(simulation: Simulation) -> str:
    """Of the run before the present one."""
    (pod,) = simulation.pods(NAMESPACE, plugin="plugin")
    return simulation.log(pod, "plugin", {"previous": "true"}) or ""


def checkpoint(node: Path) -> dict[str, Any]:
    text = (node / "kubelet/device-plugins/kubelet_internal_checkpoint").read_text()
    data: dict[str, Any] = json.loads(text)["Data"]
    return data


def idle_pod(name: str = "notebook", **options: Any) -> dict[str, Any]:
    """Holds its device and runs nothing on it, or only after a while."""
    manifest = gpu_pod(name, resource=options.pop("resource", SMALL))
    annotations = manifest["metadata"]["annotations"]
    if "use_after" in options:
        annotations["simulator.kubegpu/gpu-use-after-seconds"] = str(options["use_after"])
    else:
        annotations.clear()
    return manifest


# What is advertised.


def test_mixed_advertises_a_resource_for_each_profile_beside_whole_cards() -> None:
    simulation = world(mig_node({"1g.12gb": 4, "3g.48gb": 1}, gpus=[{"card": "H20", "count": 1}]), apply=[mig_plugin()])
    assert advertised(simulation) == {SMALL: 4, HALF: 1, GPU: 1}


def test_attributes_of_a_profile_are_spelled_with_a_dot() -> None:
    simulation = world(mig_node({"1g.12gb+me": 1, "1g.12gb": 6}), apply=[mig_plugin()])
    assert advertised(simulation) == {SMALL: 6, "nvidia.com/mig-1g.12gb.me": 1}


def test_single_advertises_devices_as_gpus_and_none_the_whole_card_though_it_is_cut() -> None:
    assert advertised(world(mig_node({"1g.12gb": 7}), apply=[mig_plugin("single")])) == {GPU: 7}
    assert advertised(world(mig_node({"1g.12gb": 7}), apply=[plugin()])) == {GPU: 1}


def test_flag_and_its_value_may_be_two_words_after_the_programs_name() -> None:
    manifest = mig_plugin()
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {"command": ["/usr/bin/nvidia-device-plugin"], "args": ["--mig-strategy", "single"]}
    assert advertised(world(mig_node({"1g.12gb": 7}), apply=[manifest])) == {GPU: 7}


@pytest.mark.parametrize(
    ("given", "strategy", "message"),
    [
        (mig_node({"1g.12gb": 4, "3g.48gb": 1}), "single", "more than one MIG device type present on node"),
        (
            mig_node({"1g.12gb": 7}, gpus=[{"card": "H20", "count": 1}]),
            "single",
            "all devices on the node must be configured with the same migEnabled value",
        ),
        (mig_node(), "mixed", INVALID),
    ],
)
def test_plugin_ends_where_layout_and_strategy_do_not_agree(given: dict[str, Any], strategy: str, message: str) -> None:
    simulation = world(given, apply=[mig_plugin(strategy, args=["--fail-on-init-error=false"])])
    (pod,) = simulation.pods(NAMESPACE, plugin="plugin")
    assert not is_ready(pod)
    assert pod["status"]["containerStatuses"][0]["restartCount"] > 2
    assert plugin_log(simulation).endswith(f"{message}\n")
    assert advertised(simulation) == {}


def shared(replicas: int, *resources: str, **block: Any) -> list[dict[str, Any]]:
    sharing = {"timeSlicing": {**block, "resources": [{"name": name, "replicas": replicas} for name in resources]}}
    text = json.dumps({"version": "v1", "flags": {"migStrategy": "mixed"}, "sharing": sharing})
    manifest = mig_plugin("mixed", args=["--config-file=/config/config.yaml"], config="config")
    return [config_map(config_yaml=text), manifest]


def test_time_slicing_shares_the_named_mig_resource_and_no_other(node: Path, tmp_path: Path) -> None:
    simulation = world(mig_node({"1g.12gb": 4, "3g.48gb": 1}), apply=shared(2, SMALL), directory=tmp_path)
    assert advertised(simulation) == {SMALL: 8, HALF: 1}
    ids = checkpoint(node)["RegisteredDevices"][SMALL]
    assert all(name.startswith("MIG-") and name.endswith(("::0", "::1")) for name in ids)


def test_shared_mig_resource_may_be_renamed_and_spreads_over_its_devices(node: Path, tmp_path: Path) -> None:
    manifests = shared(2, SMALL, renameByDefault=True)
    pods = [gpu_pod(f"job-{number}", resource=f"{SMALL}.shared") for number in range(3)]
    simulation = world(mig_node({"1g.12gb": 2}), apply=[*manifests, *pods], directory=tmp_path)
    assert advertised(simulation) == {f"{SMALL}.shared": 4}
    given = [next(iter(item["DeviceIDs"].values()))[0] for item in checkpoint(node)["PodDeviceEntries"]]
    units = [name.partition("::")[0] for name in given]
    assert len(set(units[:2])) == 2
    assert len(set(given)) == 3


# What pods get.


def test_pod_on_a_mig_device_shows_as_a_process_of_its_instance(node: Path, tmp_path: Path) -> None:
    simulation = world(
        mig_node({"1g.12gb": 4, "3g.48gb": 1}), apply=[mig_plugin(), gpu_pod(resource=HALF)], directory=tmp_path
    )
    agent = simulation.agent("gpu-1")
    (device,) = [item for item in agent.mig.view().devices(agent.gpus.gpus[0]) if item.name == "3g.48gb"]
    (entry,) = checkpoint(node)["PodDeviceEntries"]
    assert (entry["ResourceName"], entry["DeviceIDs"]) == (HALF, {"-1": [device.uuid]})
    (process,) = agent.gpus.gpus[0].processes
    assert (process.gpu_instance, process.compute_instance) == (device.gpu_instance, device.compute_instance)
    links = (node / "proc" / str(process.pid) / "fd").iterdir()
    paths = {os.readlink(link) for link in links}
    assert {"/dev/nvidia0", *device.cap_paths} <= paths


def test_program_that_was_given_a_cut_card_whole_finds_no_gpu() -> None:
    simulation = world(mig_node({"1g.12gb": 7}), apply=[plugin(), gpu_pod("job")])
    status = find(simulation, "job")["status"]["containerStatuses"][0]
    assert status["restartCount"] > 2
    assert not status["ready"]


CLIENT = """
import sys, pynvml
pynvml.nvmlInit()
gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
found = []
for wanted in map(int, sys.argv[1:]):
    instance = pynvml.nvmlDeviceGetGpuInstanceById(gpu, wanted)
    compute = pynvml.nvmlGpuInstanceGetComputeInstanceById(instance, 0)
    try:
        pynvml.nvmlComputeInstanceDestroy(compute)
        pynvml.nvmlGpuInstanceDestroy(instance)
        found.append("destroyed")
    except pynvml.NVMLError as error:
        found.append(type(error).__name__)
print(*found)
"""


def test_instance_of_a_process_cannot_be_destroyed_and_that_of_an_idle_pod_can(node: Path, tmp_path: Path) -> None:
    simulation = world(
        mig_node({"3g.48gb": 2}),
        apply=[mig_plugin(), gpu_pod("busy", resource=HALF), idle_pod(resource=HALF)],
        directory=tmp_path,
    )
    agent = simulation.agent("gpu-1")
    (busy,) = agent.gpus.gpus[0].processes
    devices = agent.mig.view().devices(agent.gpus.gpus[0])
    (idle,) = [item for item in devices if item.gpu_instance != busy.gpu_instance]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(node)}
    command = [sys.executable, "-c", CLIENT, str(busy.gpu_instance), str(idle.gpu_instance)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["NVMLError_InUse", "destroyed"]
    assert agent.use.broken() == [{"node": "gpu-1", "pod": f"{NAMESPACE}/notebook", "devices": [idle.uuid]}]


# Instances that vanish under a running plugin.


def test_running_plugin_goes_on_advertising_what_is_gone_until_it_starts_anew(node: Path, tmp_path: Path) -> None:
    simulation = world(mig_node({"1g.12gb": 7}), apply=[mig_plugin()], directory=tmp_path)
    lay_out(simulation, node, {"3g.48gb": 2})
    simulation.engine.advance(600)
    assert advertised(simulation) == {SMALL: 7}
    simulation.apply(gpu_pod("late", resource=SMALL))
    simulation.engine.advance(60)
    (status,) = find(simulation, "late")["status"]["containerStatuses"]
    assert status["lastState"]["terminated"]["reason"] == "StartError"
    assert "nvidia-container-cli: device error: MIG-" in status["lastState"]["terminated"]["message"]
    assert status["lastState"]["terminated"]["message"].endswith("unknown device: unknown")
    assert simulation.agent("gpu-1").use.broken() == [], "it never ran"
    restart_plugin(simulation)
    assert advertised(simulation) == {HALF: 2}


def test_kubelet_restart_makes_the_plugin_look_again(node: Path, tmp_path: Path) -> None:
    simulation = world(mig_node({"1g.12gb": 7}), apply=[mig_plugin()], directory=tmp_path)
    lay_out(simulation, node, {"1g.12gb": 2})
    simulation.agent("gpu-1").restart_kubelet()
    simulation.engine.advance(15)
    assert advertised(simulation) == {SMALL: 2}


def test_idle_pod_whose_instance_went_finds_out_at_its_next_use(node: Path, tmp_path: Path) -> None:
    manifests = [mig_plugin(), idle_pod("victim", use_after=4000), idle_pod("lucky", use_after=4000)]
    simulation = world(mig_node({"1g.12gb": 2}), apply=manifests, directory=tmp_path)
    agent = simulation.agent("gpu-1")
    gone = agent.devices.held_by(find(simulation, "victim")["metadata"]["uid"])[0].devices[0].id
    assert agent.gpus.gpus[0].processes == []
    assert agent.use.broken() == []
    with changing(node) as mig:
        [gpu] = list(mig.gpus.values())
        place = next(item for item in mig.devices(gpu.uuid) if item.uuid == gone)
        gpu.instances = [item for item in gpu.instances if item.id != place.gpu_instance]
    simulation.engine.advance(300)
    assert is_ready(find(simulation, "victim"))
    simulation.engine.advance(4000)
    (process,) = agent.gpus.gpus[0].processes
    assert process.gpu_instance != place.gpu_instance
    (status,) = find(simulation, "victim")["status"]["containerStatuses"]
    assert status["restartCount"] > 0
    assert "unknown device" in status["lastState"]["terminated"]["message"]
    assert is_ready(find(simulation, "lucky"))
    assert [item["pod"] for item in agent.use.broken()] == [f"{NAMESPACE}/victim"]


def test_pod_that_lost_its_instance_is_remembered_after_its_eviction(node: Path, tmp_path: Path) -> None:
    simulation = world(mig_node({"1g.12gb": 2}), apply=[mig_plugin(), idle_pod()], directory=tmp_path)
    lay_out(simulation, node, {"3g.48gb": 1})
    simulation.registry.evict(NAMESPACE, "notebook")
    simulation.engine.settle()
    (broken,) = simulation.agent("gpu-1").use.broken()
    assert broken["pod"] == f"{NAMESPACE}/notebook"


def test_instance_that_is_made_again_is_another_device(node: Path, tmp_path: Path) -> None:
    simulation = world(mig_node({"1g.12gb": 7}), apply=[mig_plugin(), idle_pod()], directory=tmp_path)
    before = checkpoint(node)["RegisteredDevices"][SMALL]
    lay_out(simulation, node, {"1g.12gb": 7})
    restart_plugin(simulation)
    assert not set(before) & set(checkpoint(node)["RegisteredDevices"][SMALL])
    assert simulation.agent("gpu-1").use.broken() != []


# Reboot.


def test_reboot_takes_instances_along_and_on_hopper_the_mode(node: Path, tmp_path: Path) -> None:
    simulation = world(
        mig_node({"1g.12gb": 7}, name="gpu-1"),
        mig_node({"1g.5gb": 7}, name="gpu-2", card="A100-40"),
        apply=[mig_plugin(), idle_pod()],
        directory=tmp_path,
    )
    for name in ("gpu-1", "gpu-2"):
        simulation.agent(name).reboot()
    simulation.engine.advance(200)
    assert advertised(simulation) == {GPU: 1}
    status = find(simulation, "notebook")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "UnexpectedAdmissionError")
    assert simulation.agent("gpu-1").use.broken() == []
    (pod,) = [item for item in simulation.pods(NAMESPACE, plugin="plugin") if item["spec"]["nodeName"] == "gpu-2"]
    assert not is_ready(pod)
    assert INVALID in (simulation.log(pod, "plugin", {"previous": "true"}) or "")


def test_plugin_that_waits_for_the_restored_layout_advertises_it_after_a_boot(node: Path, tmp_path: Path) -> None:
    manifest = mig_plugin()
    spec = manifest["spec"]["template"]["spec"]
    path = "/run/kubegpu-sharing/mig-ready"
    spec["volumes"] = [{"name": "ready", "hostPath": {"path": path, "type": "File"}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "ready", "mountPath": path, "readOnly": True}]
    simulation = world(mig_node({"1g.12gb": 7}), apply=[manifest], directory=tmp_path)
    marker = node / "root" / path.lstrip("/")
    marker.parent.mkdir()
    marker.touch()
    assert simulation.engine.run_until(lambda: advertised(simulation) == {SMALL: 7}, 140)
    simulation.agent("gpu-1").reboot()
    simulation.engine.advance(90)
    assert advertised(simulation) == {}
    lay_out(simulation, node, {"1g.12gb": 7})
    marker.parent.mkdir()
    marker.touch()
    assert simulation.engine.run_until(lambda: advertised(simulation) == {SMALL: 7}, 140)


# Holders.


def holder_lines(node: Path) -> list[str]:
    return [line for line in (node / "nvml.state").read_text().splitlines() if line.startswith("holder=")]


def test_library_knows_the_holders_and_refuses_to_switch_the_mode_while_there_are_any(
    node: Path, tmp_path: Path
) -> None:
    code = (
        "import pynvml; pynvml.nvmlInit(); print(pynvml.nvmlDeviceSetMigMode(pynvml.nvmlDeviceGetHandleByIndex(0), 1))"
    )
    simulation = world(gpu_node(card="H20", count=1), apply=[plugin()], directory=tmp_path)

    def switch() -> str:
        environment = {**os.environ, "LD_LIBRARY_PATH": str(node)}
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True).stdout

    (pid,) = [path.name for path in (node / "proc").iterdir()]
    assert holder_lines(node) == [f"holder={pid}"]
    assert switch().strip() == "19"
    simulation.label("gpu-1", **{KEY: None})
    simulation.engine.settle()
    assert holder_lines(node) == []
    assert switch().strip() == "0"
    simulation.label("gpu-1", **{KEY: "default"})
    simulation.engine.settle()
    assert len(holder_lines(node)) == 1


@pytest.mark.parametrize("by", ["signal", "kubelet"])
def test_plugin_that_stops_serving_lets_go_of_nvml(node: Path, tmp_path: Path, by: str) -> None:
    source, manifest = shared(2, SMALL)
    simulation = world(mig_node({"1g.12gb": 7}), apply=[source, manifest], directory=tmp_path)
    assert len(holder_lines(node)) == 1
    mps = {"mps": {"resources": [{"name": GPU, "replicas": 2}]}}
    source["data"]["config.yaml"] = json.dumps({"version": "v1", "flags": {"migStrategy": "none"}, "sharing": mps})
    simulation.apply(source)
    args = {"args": ["--config-file=/config/config.yaml"]}
    simulation.engine.advance(130)
    (runtime,) = simulation.agent("gpu-1").runtimes.values()
    for container in runtime.containers:
        container.spec = {**container.spec, **args}
    if by == "signal":
        runtime.signal_plugins()
    else:
        simulation.agent("gpu-1").restart_kubelet()
    simulation.engine.advance(15)
    assert holder_lines(node) == []
    assert is_ready(simulation.pods(NAMESPACE)[0])


@pytest.mark.parametrize(
    ("security", "env", "serves"),
    [
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, [], False),
        ({"capabilities": {"add": ["SYS_ADMIN"]}}, [{"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"}], True),
        ({"privileged": True}, [], True),
        ({}, [], False),
    ],
)
def test_right_to_see_mig_devices_takes_capability_and_variable(
    security: dict[str, Any], env: list[dict[str, str]], serves: bool
) -> None:
    manifest = mig_plugin()
    manifest["spec"]["template"]["spec"]["containers"][0] |= {"securityContext": security, "env": env}
    assert advertised(world(mig_node({"1g.12gb": 7}), apply=[manifest])) == ({SMALL: 7} if serves else {})


# GPU Feature Discovery.


def labels(simulation: Simulation, prefix: str) -> dict[str, str]:
    found = simulation.agent("gpu-1").labels()
    return {name.removeprefix(f"{prefix}."): value for name, value in found.items() if name.startswith(f"{prefix}.")}


def test_labels_of_mixed_tell_of_each_profile_and_of_cards_without_sharing() -> None:
    manifests = shared(2, SMALL)
    simulation = world(mig_node({"1g.12gb": 4, "3g.48gb": 1}, gfd=True), apply=manifests)
    small = labels(simulation, SMALL)
    assert small["product"] == "NVIDIA-H20-MIG-1g.12gb-SHARED"
    assert (small["count"], small["replicas"], small["slices.gi"], small["slices.ci"]) == ("4", "2", "1", "1")
    assert small["memory"] == "12288" or int(small["memory"]) < 12288
    assert labels(simulation, HALF)["product"] == "NVIDIA-H20-MIG-3g.48gb"
    whole = labels(simulation, GPU)
    assert (whole["product"], whole["count"], whole["replicas"]) == ("NVIDIA-H20", "1", "0")
    assert labels(simulation, "nvidia.com/mig") == {"capable": "true", "strategy": "mixed"}


def test_labels_of_single_describe_the_devices_as_gpus() -> None:
    whole = labels(world(mig_node({"1g.12gb": 7}, gfd=True), apply=[mig_plugin("single")]), GPU)
    assert (whole["product"], whole["count"], whole["replicas"]) == ("NVIDIA-H20-MIG-1g.12gb", "7", "1")
    assert int(whole["memory"]) <= 12288


@pytest.mark.parametrize(
    "given",
    [
        mig_node({"1g.12gb": 4, "3g.48gb": 1}, gfd=True),
        mig_node(gfd=True),
        mig_node({"1g.12gb": 7}, gfd=True, gpus=[{"card": "H20", "count": 1}]),
    ],
)
def test_labels_of_single_are_invalid_where_devices_differ(given: dict[str, Any]) -> None:
    whole = labels(world(given, apply=[mig_plugin("single")]), GPU)
    assert (whole["product"], whole["count"], whole["memory"]) == ("NVIDIA-H20-MIG-INVALID", "0", "0")


def test_labels_of_profiles_go_with_the_profiles(node: Path, tmp_path: Path) -> None:
    simulation = world(mig_node({"1g.12gb": 7}, gfd=True), apply=[mig_plugin()], directory=tmp_path)
    assert labels(simulation, SMALL)["count"] == "7"
    lay_out(simulation, node, {"3g.48gb": 2})
    restart_plugin(simulation)
    assert labels(simulation, SMALL) == {}
    assert labels(simulation, HALF)["count"] == "2"


def discovery(strategy: str, *, entitled: bool = True) -> dict[str, Any]:
    """GPU Feature Discovery with settings of its own."""
    manifest = mig_plugin(strategy, "gfd")
    container = manifest["spec"]["template"]["spec"]["containers"][0]
    container |= {"command": ["gpu-feature-discovery"], "args": ["--no-timestamp", "--mig-strategy", strategy]}
    if not entitled:
        container |= {"env": [], "securityContext": {"capabilities": {"drop": ["ALL"]}}}
    return manifest


def test_feature_discovery_describes_devices_by_its_own_strategy(node: Path, tmp_path: Path) -> None:
    simulation = world(
        mig_node({"1g.12gb": 7}, gfd=True), apply=[mig_plugin("mixed"), discovery("single")], directory=tmp_path
    )
    assert advertised(simulation) == {SMALL: 7}
    assert labels(simulation, "nvidia.com/mig")["strategy"] == "single"
    assert labels(simulation, GPU)["product"] == "NVIDIA-H20-MIG-1g.12gb"
    lay_out(simulation, node, {"3g.48gb": 2})
    restart_plugin(simulation)
    assert labels(simulation, GPU)["product"] == "NVIDIA-H20-MIG-3g.48gb"


@pytest.mark.parametrize("strategy", ["none", "mixed"])
def test_feature_discovery_without_the_right_to_monitor_ends_where_mig_is_on(strategy: str) -> None:
    simulation = world(mig_node({"1g.12gb": 7}), apply=[mig_plugin(), discovery(strategy, entitled=False)])
    (pod,) = simulation.pods(NAMESPACE, plugin="gfd")
    assert not is_ready(pod)
    assert "failed to get memory info for device: Insufficient Permissions" in (
        simulation.log(pod, "plugin", {"previous": "true"}) or ""
    )
    whole = world(gpu_node(card="H20", count=1), apply=[plugin(), discovery(strategy, entitled=False)])
    assert all(map(is_ready, whole.pods(NAMESPACE, plugin="gfd")))


# Orders.


def test_service_of_the_host_starts_and_stops_by_order(node: Path, tmp_path: Path) -> None:
    simulation = world(gpu_node(card="H20", count=1), directory=tmp_path)
    faults = NodeFaults(simulation)
    service = {"node": "gpu-1", "unit": "nvidia-dcgm.service"}
    faults.order("host-service", {**service, "action": "start"})
    assert len(holder_lines(node)) == 1
    faults.order("host-service", {**service, "action": "stop"})
    assert holder_lines(node) == []
    assert list((node / "proc").iterdir()) == []
    with pytest.raises(OrderError, match="action must be start or stop"):
        faults.order("host-service", {**service, "action": "restart"})


def test_fault_of_one_call_may_kill_the_caller_and_of_the_driver_not(node: Path, tmp_path: Path) -> None:
    simulation = world(gpu_node(card="H20", count=1), directory=tmp_path)
    faults = NodeFaults(simulation)
    faults.order("nvml", {"node": "gpu-1", "gpu": 0, "function": "nvmlDeviceGetName@1", "error": "KILL"})
    environment = {**os.environ, "LD_LIBRARY_PATH": str(node)}
    code = "import pynvml; pynvml.nvmlInit(); pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    with pytest.raises(OrderError, match="no NVML error"):
        faults.order("nvml", {"node": "gpu-1", "error": "KILL"})


@pytest.mark.parametrize(("who", "code"), [("command", 0), ("reboot", 3)])
def test_scenario_says_who_can_reset_a_gpu(node: Path, tmp_path: Path, who: str, code: int) -> None:
    world(gpu_node(card="A100-40", count=1, gpu_reset=who), directory=tmp_path)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(node)}
    command = [str(node / "nvidia-smi"), "--gpu-reset", "-i", "0"]
    assert subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode == code

"""What real nodes do, fact by fact: each observation changes when the fact is taken out of the simulator."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from simulator.controllers.facts import ALL, Facts
from simulator.controllers.meta import is_ready
from simulator.simulation import Simulation
from simulator.worlds import (
    GPU,
    KEY,
    NAMESPACE,
    cards_in_use,
    config_map,
    deployment,
    gpu_node,
    gpu_pod,
    mig_node,
    mig_plugin,
    plugin,
    shared_plugin,
    sharing,
    world,
)

Observe = Callable[[Facts], Any]
NO_HEALTHY = "Allocate failed due to no healthy devices present; cannot allocate unhealthy devices nvidia.com/gpu"
NO_LONGER_HEALTHY = "Allocate failed due to previously allocated devices are no longer healthy"


def assert_fact(name: str, observe: Observe, expected: Any) -> None:
    """Seen with the fact, and not seen without it."""
    assert observe(ALL) == expected
    assert observe(replace(ALL, **{name: False})) != expected, f"the observation does not depend on {name}"


def numbers(simulation: Simulation) -> tuple[int | None, int | None]:
    return simulation.capacity("gpu-1"), simulation.allocatable("gpu-1")


def pod(simulation: Simulation, name: str) -> dict[str, Any]:
    return simulation.get("pods", f"{NAMESPACE}/{name}")


def apply_and_settle(simulation: Simulation, *manifests: dict[str, Any]) -> None:
    for manifest in manifests:
        simulation.apply(manifest)
    simulation.engine.settle()


def remove_key(simulation: Simulation) -> None:
    simulation.label("gpu-1", **{KEY: None})


# 1. Capacity and allocatable.


def test_stopped_plugin_keeps_capacity_and_loses_allocatable() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=shared_plugin(4), facts=facts)
        before = numbers(simulation)
        remove_key(simulation)
        simulation.engine.advance(11)
        after = numbers(simulation)
        simulation.engine.advance(310)
        return before, after, numbers(simulation)

    assert_fact("capacity_outlives_plugin", observe, ((8, 8), (8, 0), (0, 0)))


def test_allocatable_follows_with_the_next_node_status() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=shared_plugin(4), facts=facts)
        simulation.engine.run_until(lambda: simulation.engine.time % 10 > 9.9)
        remove_key(simulation)
        waited = simulation.engine.time
        simulation.engine.run_until(lambda: not simulation.pods(NAMESPACE, plugin="plugin"), 5)
        at_once = simulation.allocatable("gpu-1")
        simulation.engine.run_until(lambda: simulation.allocatable("gpu-1") == 0, 30)
        return at_once, simulation.engine.time - waited < 11

    assert_fact("status_lags", observe, (8, True))


def test_new_config_becomes_the_new_number_within_about_ten_seconds() -> None:
    simulation = world(apply=[*shared_plugin(4), *shared_plugin(3, "other", key="other")])
    remove_key(simulation)
    simulation.engine.advance(15)
    simulation.label("gpu-1", **{KEY: "other"})
    assert simulation.engine.run_until(lambda: numbers(simulation) == (6, 6), 11)


# 2. Two plugins on one socket.


def test_label_flip_leaves_the_node_without_devices_until_a_plugin_restarts() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=[*shared_plugin(4), *shared_plugin(3, "other", key="other")], facts=facts)
        simulation.label("gpu-1", **{KEY: "other"})
        simulation.engine.advance(120)
        (running,) = simulation.pods(NAMESPACE, plugin="other")
        stuck = is_ready(running), simulation.allocatable("gpu-1")
        simulation.registry.delete("pods", NAMESPACE, running["metadata"]["name"])
        simulation.engine.advance(30)
        return stuck, simulation.allocatable("gpu-1")

    assert_fact("shared_socket", observe, ((True, 0), 6))


def test_label_flip_with_the_old_pod_gone_in_between_is_harmless() -> None:
    simulation = world(apply=[*shared_plugin(4), *shared_plugin(3, "other", key="other")])
    remove_key(simulation)
    simulation.engine.run_until(lambda: not simulation.pods(NAMESPACE, plugin="plugin"))
    simulation.label("gpu-1", **{KEY: "other"})
    simulation.engine.advance(30)
    assert numbers(simulation) == (6, 6)


# 3. Admission in the gap.


def test_pod_bound_while_no_plugin_serves_fails_for_good() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=shared_plugin(4), facts=facts)
        remove_key(simulation)
        simulation.engine.advance(15)
        apply_and_settle(simulation, gpu_pod("job", node="gpu-1"))
        simulation.label("gpu-1", **{KEY: "default"})
        simulation.engine.advance(60)
        status = pod(simulation, "job")["status"]
        return status["phase"], status.get("reason"), NO_HEALTHY in status.get("message", "")

    assert_fact("admission_needs_healthy_devices", observe, ("Failed", "UnexpectedAdmissionError", True))


def test_scheduler_believes_the_old_number_until_the_next_status_and_the_controller_makes_another_pod() -> None:
    simulation = world(apply=shared_plugin(4))
    simulation.engine.run_until(lambda: simulation.engine.time % 10 > 9)
    remove_key(simulation)
    simulation.engine.run_until(lambda: not simulation.pods(NAMESPACE, plugin="plugin"))
    simulation.apply(deployment())
    simulation.engine.advance(60)
    phases = sorted(item["status"]["phase"] for item in simulation.pods(NAMESPACE, app="app"))
    assert phases[0] == "Failed"
    assert phases[-1] == "Pending"
    assert all(phase == "Failed" for phase in phases[:-1])


# 4. Device ids and the sharing mode.


def switch_to_shared(simulation: Simulation) -> None:
    remove_key(simulation)
    simulation.engine.advance(15)
    simulation.label("gpu-1", **{KEY: "shared"})
    simulation.engine.advance(15)


def whole_then_shared(facts: Facts, directory: Path | None = None) -> Simulation:
    """A pod with a whole card, on a node that is shared afterwards."""
    simulation = world(
        apply=[plugin(), *shared_plugin(4, "sharing", key="shared"), gpu_pod("old")], facts=facts, directory=directory
    )
    switch_to_shared(simulation)
    return simulation


def test_new_pod_gets_the_card_that_an_old_pod_still_uses_while_another_is_free() -> None:
    def observe(facts: Facts) -> Any:
        simulation = whole_then_shared(facts)
        apply_and_settle(simulation, gpu_pod("new"))
        return cards_in_use(simulation), simulation.allocatable("gpu-1")

    assert_fact("ids_change_with_sharing", observe, ({0: 2, 1: 0}, 8))


def test_old_pod_keeps_running_over_a_kubelet_restart() -> None:
    simulation = whole_then_shared(ALL)
    before = pod(simulation, "old")
    simulation.agent("gpu-1").restart_kubelet()
    simulation.engine.advance(60)
    after = pod(simulation, "old")
    assert after["status"]["phase"] == "Running"
    assert after["status"]["containerStatuses"] == before["status"]["containerStatuses"]
    assert simulation.allocatable("gpu-1") == 8
    assert cards_in_use(simulation) == {0: 1, 1: 0}


def test_reboot_rejects_the_pod_whose_ids_are_gone_and_only_that() -> None:
    def observe(facts: Facts) -> Any:
        simulation = whole_then_shared(facts)
        apply_and_settle(simulation, gpu_pod("new"))
        boot_id = simulation.get("nodes", "gpu-1")["status"]["nodeInfo"]["bootID"]
        simulation.agent("gpu-1").reboot()
        simulation.engine.advance(120)
        old, new = pod(simulation, "old")["status"], pod(simulation, "new")["status"]
        return (
            old["phase"],
            old.get("reason"),
            NO_LONGER_HEALTHY in old.get("message", ""),
            new["phase"],
            new["containerStatuses"][0]["restartCount"],
            simulation.get("nodes", "gpu-1")["status"]["nodeInfo"]["bootID"] != boot_id,
        )

    assert_fact("reboot_checks_old_ids", observe, ("Failed", "UnexpectedAdmissionError", True, "Running", 1, True))


# 5. Templates and files.


def test_template_change_rolls_all_nodes_by_itself() -> None:
    def observe(facts: Facts) -> Any:
        manifest = plugin(strategy="RollingUpdate")
        simulation = world(gpu_node("gpu-1"), gpu_node("gpu-2"), apply=[manifest], facts=facts)
        before = {item["metadata"]["uid"] for item in simulation.pods(NAMESPACE, plugin="plugin")}
        apply_and_settle(simulation, plugin(strategy="RollingUpdate", version="v0.17.2"))
        after = {item["metadata"]["uid"] for item in simulation.pods(NAMESPACE, plugin="plugin")}
        return len(after), before & after

    assert_fact("template_change_rolls", observe, (2, set()))


def test_plugin_reads_its_file_again_when_the_kubelet_restarts() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=shared_plugin(4), facts=facts)
        simulation.apply(config_map("plugin-config", config_yaml=sharing(2)))
        simulation.engine.advance(200)
        unchanged = simulation.allocatable("gpu-1")
        simulation.agent("gpu-1").restart_kubelet()
        simulation.engine.advance(30)
        return unchanged, simulation.allocatable("gpu-1")

    assert_fact("reread_on_kubelet_restart", observe, (8, 4))


def test_mounted_config_follows_a_change_only_after_a_while() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=shared_plugin(4), facts=facts)
        simulation.apply(config_map("plugin-config", config_yaml=sharing(2)))
        simulation.agent("gpu-1").crash_plugins()
        simulation.engine.advance(15)
        early = simulation.allocatable("gpu-1")
        simulation.engine.advance(120)
        simulation.agent("gpu-1").crash_plugins()
        simulation.engine.advance(60)
        return early, simulation.allocatable("gpu-1")

    assert_fact("config_map_lags", observe, (8, 4))


def keep_away_from(label: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """The DaemonSet, told to leave nodes with that label."""
    terms = [{"matchExpressions": [{"key": label, "operator": "DoesNotExist"}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    manifest["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": required}
    return manifest


def test_affinity_moves_pods_at_once_although_the_strategy_is_on_delete() -> None:
    def observe(facts: Facts) -> Any:
        nodes = [gpu_node("gpu-1"), gpu_node("gpu-2"), gpu_node("gpu-3", labels={"left": "early"})]
        simulation = world(*nodes, apply=[plugin()], facts=facts)
        before = plugin_pods_by_node(simulation)
        simulation.apply(keep_away_from("left", plugin()))
        early = simulation.engine.run_until(lambda: "gpu-3" not in plugin_pods_by_node(simulation), 0.5)
        simulation.engine.settle()
        stayed = {name: uid for name, uid in before.items() if plugin_pods_by_node(simulation).get(name) == uid}
        simulation.label("gpu-1", left="now")
        now = simulation.engine.run_until(lambda: "gpu-1" not in plugin_pods_by_node(simulation), 0.5)
        simulation.engine.advance(30)
        rest = plugin_pods_by_node(simulation)
        return early, sorted(stayed), now, sorted(rest), rest["gpu-2"] == before["gpu-2"]

    assert_fact("affinity_moves_on_delete", observe, (True, ["gpu-1", "gpu-2"], True, ["gpu-2"], True))


def plugin_pods_by_node(simulation: Simulation) -> dict[str, str]:
    """UIDs of the plugin's pods."""
    return {item["spec"]["nodeName"]: item["metadata"]["uid"] for item in simulation.pods(NAMESPACE, plugin="plugin")}


# 6. Precedence.


def test_command_line_beats_environment_beats_file() -> None:
    def observe(facts: Facts) -> Any:
        text = '{"version": "v1", "flags": {"migStrategy": "mixed", "failOnInitError": false}}'
        manifest = plugin(
            args=["--mig-strategy=single", "--config-file=/config/config.yaml"],
            env={"MIG_STRATEGY": "none", "FAIL_ON_INIT_ERROR": "true"},
            config="config",
        )
        simulation = world(apply=[config_map(config_yaml=text), manifest], facts=facts)
        (runtime,) = simulation.agent("gpu-1").runtimes.values()
        (found,) = runtime.plugins()
        assert found.settings is not None
        return found.settings.mig_strategy, found.settings.fail_on_init_error

    assert_fact("command_line_first", observe, ("single", True))


def test_strategy_on_the_command_line_beats_the_files() -> None:
    def observe(facts: Facts) -> Any:
        text = '{"version": "v1", "flags": {"migStrategy": "mixed"}}'
        manifest = mig_plugin("single", args=["--config-file=/config/config.yaml"], config="config")
        simulation = world(mig_node({"1g.12gb": 7}), apply=[config_map(config_yaml=text), manifest], facts=facts)
        return simulation.allocatable("gpu-1"), simulation.allocatable("gpu-1", "nvidia.com/mig-1g.12gb")

    assert_fact("command_line_first", observe, (7, None))


def test_plugin_for_mig_needs_sys_admin() -> None:
    def observe(facts: Facts) -> Any:
        manifest = plugin(args=["--mig-strategy=mixed", "--fail-on-init-error=false"])
        simulation = world(mig_node({"1g.12gb": 7}), apply=[manifest], facts=facts)
        (running,) = simulation.pods(NAMESPACE, plugin="plugin")
        log = simulation.log(running, "plugin", {"previous": "true"}) or ""
        return is_ready(running), "error getting device memory info: Insufficient Permissions" in log

    assert_fact("mig_needs_sys_admin", observe, (False, True))


# 7. Errors that hide, and a config-manager that does not wait.


def test_fail_on_init_error_false_hides_a_broken_node() -> None:
    def observe(facts: Facts) -> Any:
        node = gpu_node(nvml_fault="DRIVER_NOT_LOADED")
        simulation = world(node, apply=[plugin(args=["--fail-on-init-error=false"])], facts=facts)
        (running,) = simulation.pods(NAMESPACE, plugin="plugin")
        status = running["status"]["containerStatuses"][0]
        return is_ready(running), status["restartCount"], simulation.allocatable("gpu-1")

    assert_fact("fail_on_init_error_hides", observe, (True, 0, None))


def test_fail_on_init_error_true_shows_it() -> None:
    simulation = world(gpu_node(nvml_fault="DRIVER_NOT_LOADED"), apply=[plugin(args=["--fail-on-init-error=true"])])
    (running,) = simulation.pods(NAMESPACE, plugin="plugin")
    assert not is_ready(running)
    assert running["status"]["containerStatuses"][0]["restartCount"] > 3
    assert "ERROR_DRIVER_NOT_LOADED" in (simulation.log(running, "plugin", {"previous": "true"}) or "")


def config_managed() -> list[dict[str, Any]]:
    """The chart's arrangement: a sidecar that links the file of the node's key and signals the plugin."""
    manifest = plugin(env={"CONFIG_FILE": "/scratch/config.yaml"}, config="config")
    spec = manifest["spec"]["template"]["spec"]
    spec["nodeSelector"] = {"kubernetes.io/os": "linux"}
    mounts = [{"name": "config", "mountPath": "/available-configs"}, {"name": "scratch", "mountPath": "/scratch"}]
    environment = {
        "CONFIG_FILE_SRCDIR": "/available-configs",
        "CONFIG_FILE_DST": "/scratch/config.yaml",
        "DEFAULT_CONFIG": "two",
        "SEND_SIGNAL": "true",
        "NODE_LABEL": KEY,
    }
    manager = {"image": spec["containers"][0]["image"], "command": ["config-manager"], "volumeMounts": mounts}
    env = [{"name": name, "value": value} for name, value in environment.items()]
    spec["containers"][0]["volumeMounts"].append(mounts[1])
    spec["initContainers"] = [{**manager, "name": "init", "env": [*env, {"name": "ONESHOT", "value": "true"}]}]
    spec["containers"].append({**manager, "name": "manager", "env": env})
    spec["volumes"].append({"name": "scratch", "emptyDir": {}})
    return [config_map(two=sharing(2), three=sharing(3)), manifest]


def test_config_manager_exits_on_a_key_that_its_volume_does_not_show_yet() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(gpu_node(labels={KEY: "two"}), apply=config_managed(), facts=facts)
        before = simulation.allocatable("gpu-1")
        simulation.label("gpu-1", **{KEY: "three"})
        simulation.engine.advance(15)
        switched = simulation.allocatable("gpu-1")
        simulation.apply(config_map(two=sharing(2), three=sharing(3), five=sharing(5)))
        simulation.label("gpu-1", **{KEY: "five"})
        simulation.engine.advance(5)
        (running,) = simulation.pods(NAMESPACE, plugin="plugin")
        manager = next(item for item in running["status"]["containerStatuses"] if item["name"] == "manager")
        crashed = manager["restartCount"] > 0, is_ready(running)
        simulation.engine.advance(600)
        return before, switched, crashed, simulation.allocatable("gpu-1")

    assert_fact("config_manager_exits", observe, (4, 6, (True, False), 10))


# 9. GFD.


def test_gfd_changes_the_product_label_of_cards_that_are_cut() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(mig_node({"1g.12gb": 7}, gfd=True), apply=[mig_plugin("single")], facts=facts)
        return simulation.agent("gpu-1").labels()["nvidia.com/gpu.product"]

    assert_fact("gfd_suffixes_product", observe, "NVIDIA-H20-MIG-1g.12gb")


def test_gfd_changes_the_product_label_of_shared_cards() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(
            gpu_node(gfd=True), apply=[plugin(), *shared_plugin(4, "sharing", key="shared")], facts=facts
        )
        whole = simulation.agent("gpu-1").labels()["nvidia.com/gpu.product"]
        switch_to_shared(simulation)
        labels = simulation.agent("gpu-1").labels()
        return (
            whole,
            labels["nvidia.com/gpu.product"],
            labels["nvidia.com/gpu.replicas"],
            labels["nvidia.com/gpu.sharing-strategy"],
        )

    assert_fact("gfd_suffixes_product", observe, ("Tesla-T4", "Tesla-T4-SHARED", "4", "time-slicing"))


# 10. NVML's total.


def test_memory_total_includes_what_the_driver_reserves(tmp_path: Path) -> None:
    def observe(facts: Facts) -> Any:
        directory = tmp_path / str(facts.total_includes_reserved)
        world(directory=directory, facts=facts)
        lines = (directory / "nodes" / "gpu-1" / "nvml.state").read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines if line.startswith("memory_"))
        return values["memory_total_mib"], int(values["memory_reserved_mib"]) > 0

    assert_fact("total_includes_reserved", observe, ("15360", True))


def test_program_that_finds_no_memory_left_on_its_card_ends() -> None:
    names = ("first", "second", "third")

    def observe(facts: Facts) -> Any:
        # two cards of 15360 MiB
        pods = [gpu_pod(name, memory_mib=9000) for name in names]
        simulation = world(apply=[*shared_plugin(4), *pods], facts=facts)
        return sum(pod(simulation, name)["status"]["containerStatuses"][0]["restartCount"] > 0 for name in names)

    assert_fact("memory_is_finite", observe, 1)


# 11. The checkpoint.


def test_checkpoint_lists_devices_of_pods_that_are_gone_until_the_next_allocation(tmp_path: Path) -> None:
    def observe(facts: Facts) -> Any:
        directory = tmp_path / str(facts.checkpoint_cleaned_lazily)
        simulation = world(apply=[*shared_plugin(4), gpu_pod("first")], facts=facts, directory=directory)
        path = directory / "nodes/gpu-1/kubelet/device-plugins/kubelet_internal_checkpoint"
        first = pod(simulation, "first")["metadata"]["uid"]
        simulation.registry.delete("pods", NAMESPACE, "first")
        simulation.engine.settle()
        simulation.engine.advance(600)
        lingering = first in path.read_text()
        apply_and_settle(simulation, gpu_pod("second"))
        return lingering, first in path.read_text(), pod(simulation, "second")["metadata"]["uid"] in path.read_text()

    assert_fact("checkpoint_cleaned_lazily", observe, (True, False, True))


# 12. OnDelete by label.


def test_template_change_alone_replaces_nothing_under_on_delete() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=[plugin()], facts=facts)
        before = [item["metadata"]["uid"] for item in simulation.pods(NAMESPACE, plugin="plugin")]
        apply_and_settle(simulation, plugin(version="v0.17.2"))
        return [item["metadata"]["uid"] for item in simulation.pods(NAMESPACE, plugin="plugin")] == before

    assert_fact("on_delete_waits", observe, True)


def test_label_moves_the_plugin_within_half_a_second_also_on_a_cordoned_node() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=[plugin()], facts=facts)
        simulation.patch_node("gpu-1", {"spec": {"unschedulable": True}})
        simulation.engine.advance(1)
        remove_key(simulation)
        gone = simulation.engine.run_until(lambda: not simulation.pods(NAMESPACE, plugin="plugin"), 0.5)
        simulation.engine.advance(1)
        simulation.label("gpu-1", **{KEY: "default"})
        started = simulation.engine.run_until(
            lambda: any(map(is_ready, simulation.pods(NAMESPACE, plugin="plugin"))), 0.5
        )
        return gone, started

    assert_fact("daemon_pods_ignore_cordon", observe, (True, True))


# Plugin versions.


def test_v0_14_5_crashes_on_a_directory() -> None:
    def observe(facts: Facts) -> Any:
        manifest = plugin(version="v0.14.5", args=["--config-file=/config"], config="config")
        simulation = world(apply=[config_map(any=sharing(2)), manifest], facts=facts)
        (running,) = simulation.pods(NAMESPACE, plugin="plugin")
        text = simulation.log(running, "plugin", {"previous": "true"}) or ""
        state = running["status"]["containerStatuses"][0]["state"]
        return "waiting" in state and state["waiting"]["reason"], "read error: read /config: is a directory" in text

    assert_fact("directory_crashes", observe, ("CrashLoopBackOff", True))


def test_request_for_two_shared_devices_is_refused() -> None:
    def observe(facts: Facts) -> Any:
        simulation = world(apply=[*shared_plugin(4), gpu_pod("greedy", gpus=2)], facts=facts)
        status = pod(simulation, "greedy")["status"]
        text = f"request for '{GPU}: 2' too large: maximum request size for shared resources is 1"
        return status["phase"], status.get("reason"), text in status.get("message", "")

    assert_fact("shared_requests_limited", observe, ("Failed", "UnexpectedAdmissionError", True))


# Which facts there are.


@dataclass(frozen=True)
class Listed:
    """A fact that automation has to reckon with.

    :param switches: of Facts, by which the simulator has it.
    :param deferred: what of it the simulator does not show, and why it need not yet.
    """

    phrase: str
    switches: tuple[str, ...] = ()
    deferred: dict[str, str] = field(default_factory=dict)


LISTED = {
    1: Listed("a stopped plugin's capacity stays, its allocatable falls", ("capacity_outlives_plugin", "status_lags")),
    2: Listed("two plugins on one node share a socket", ("shared_socket",)),
    3: Listed("a pod bound while no plugin serves fails for good", ("admission_needs_healthy_devices",)),
    4: Listed("device ids change with sharing", ("ids_change_with_sharing", "reboot_checks_old_ids")),
    5: Listed(
        "templates roll, files are read again, affinity binds at once",
        ("template_change_rolls", "reread_on_kubelet_restart", "config_map_lags", "affinity_moves_on_delete"),
    ),
    6: Listed(
        "command line beats environment beats file, a plugin for MIG needs SYS_ADMIN",
        ("command_line_first", "mig_needs_sys_admin"),
    ),
    7: Listed(
        "failOnInitError hides, the config-manager exits",
        ("fail_on_init_error_hides", "config_manager_exits"),
    ),
    8: Listed(
        "MPS leaves cards in EXCLUSIVE_PROCESS",
        deferred={"all of it": "there is no MPS daemon here, and a plugin that is told to use one serves nothing"},
    ),
    9: Listed("GPU Feature Discovery changes the product label", ("gfd_suffixes_product",)),
    10: Listed("NVML's total includes what the driver reserves", ("total_includes_reserved",)),
    11: Listed(
        "the checkpoint is cleaned lazily",
        ("checkpoint_cleaned_lazily",),
        {"the PodResources API tells the truth": "it needs gRPC, which nothing that is tested here speaks"},
    ),
    12: Listed("an OnDelete DaemonSet moves by label alone", ("on_delete_waits", "daemon_pods_ignore_cordon")),
}
#: Of versions of the plugin, beside the list.
OF_VERSIONS = ("directory_crashes", "shared_requests_limited")
#: Of programs on a GPU, beside the list.
OF_PROGRAMS = ("memory_is_finite",)


def test_list_of_facts_is_complete() -> None:
    assert sorted(LISTED) == list(range(1, 13))
    for fact in LISTED.values():
        assert fact.switches or fact.deferred, fact.phrase
        assert all(reason for reason in fact.deferred.values()), fact.phrase
    listed = [name for fact in LISTED.values() for name in fact.switches]
    assert sorted([*listed, *OF_VERSIONS, *OF_PROGRAMS]) == sorted(Facts.__dataclass_fields__)


@pytest.mark.parametrize("name", sorted(Facts.__dataclass_fields__))
def test_every_fact_has_a_test_that_depends_on_it(name: str) -> None:
    assert f'assert_fact("{name}"' in Path(__file__).read_text()

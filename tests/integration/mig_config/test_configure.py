# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG of a host as it is wanted, through the genuine pynvml on the simulated library."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from integration.mig_config.node import POD, Node
from integration.mig_config.sequences import SEVEN

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock, is_being_changed
from simulator.nvml.mig_state import changing
from simulator.nvml.state import NvmlError, Process

pytestmark = pytest.mark.integration

CONTAINER = "0123456789abcdef" * 4


def make(tmp_path: Path, *cards: str, **settings: Any) -> Node:
    return Node.make(tmp_path, *cards, **settings)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def add_process(node: Node, pid: int, command: str, *devices: str) -> None:
    """A process of the host, as procfs shows it."""
    directory = node.directory / "proc" / str(pid)
    (directory / "fd").mkdir(parents=True)
    (directory / "comm").write_text(f"{command}\n", encoding="utf-8")
    (directory / "cgroup").write_text(f"0::/system.slice/{command}.service\n", encoding="utf-8")
    for number, device in enumerate(devices):
        os.symlink(device, directory / "fd" / str(number))


def test_forecast_and_deed_say_the_same_and_a_second_run_nothing(tmp_path: Path) -> None:
    node = make(tmp_path, "H20", "H20")
    forecast = node.configure(mig_devices={"1g.12gb": 7}, gpus=0, check_mode=True)
    assert (node.mode(), node.places(), node.state_dir.exists()) == ((False, False), (), False)
    made = node.configure(mig_devices={"1g.12gb": 7}, gpus=0)
    assert [forecast[word] for word in ("changed", "actions", "diff")] == [
        made[word] for word in ("changed", "actions", "diff")
    ]
    assert node.places() == SEVEN
    assert (node.mode(1), node.places(1)) == ((False, False), ())
    again = node.configure(mig_devices={"1g.12gb": 7}, gpus=0)
    assert (again["changed"], again["actions"], again["kept"]) == (False, [], forecast["created"])
    assert again["before"] == again["after"] == made["after"] == read(node.state_dir / "layout.json")


def test_layout_that_was_recorded_comes_back_after_a_reboot(tmp_path: Path) -> None:
    node = make(tmp_path, "H20", "A30", reset="nvml")
    node.configure(
        mig_devices=[{"gpus": 0, "devices": {"3g.48gb": 1, "1g.12gb": 2}}, {"gpus": 1, "devices": ["2g.12gb"]}]
    )
    places = node.places(), node.places(1)
    with changing(node.directory) as mig:
        mig.reboot()
    node.ready.unlink()
    assert (node.places(), node.places(1)) == ((), ())
    assert (node.mode(), node.mode(1)) == ((False, False), (True, True))
    layout = read(node.state_dir / "layout.json")
    restored = node.configure(layout=layout, run="boot")
    assert restored["changed"], restored
    assert (node.places(), node.places(1)) == places
    assert node.ready.exists()
    assert read(node.state_dir / "layout.json") == layout
    assert not node.configure(layout=layout, run="boot")["changed"]


def test_state_absent_takes_off_what_was_made_and_forgets_it(tmp_path: Path) -> None:
    node = make(tmp_path, "H20", "H20")
    node.configure(mig_devices={"1g.12gb": 7})
    assert node.configure(state="absent", gpus=1)["changed"]
    assert (node.mode(), node.mode(1)) == ((True, True), (False, False))
    assert [one["uuid"] for one in read(node.state_dir / "layout.json")["gpus"]] == [node.uuid(0)]
    assert node.ready.exists()
    node.configure(state="absent")
    assert (node.places(), node.mode()) == ((), (False, False))
    assert sorted(path.name for path in node.state_dir.iterdir()) == []
    assert not node.ready.exists()
    assert not node.configure(state="absent")["changed"]


def test_instance_without_compute_instance_is_seen_and_completed(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.lay_out((("3g.48gb", 4),), slices=0)
    result = node.configure(mig_devices={"3g.48gb": 1})
    assert [one.partition(": ")[2] for one in result["actions"]][:1] == [
        "create compute instance 3g.48gb in 3g.48gb at 4"
    ]
    assert node.places() == (("3g.48gb", 4),)


def test_compute_instances_that_share_a_gpu_instance_are_made(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.configure(mig_devices={"1c.3g.48gb": 2, "2c.3g.48gb": 1})
    assert len(node.devices()) == 3
    assert not node.configure(mig_devices={"1c.3g.48gb": 2, "2c.3g.48gb": 1})["changed"]


def test_instance_with_a_process_stays_and_the_message_names_pod_and_process(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.lay_out(SEVEN)
    gpu_instance, compute_instance = sorted(node.devices())[5]
    process = Process(4312, 900, gpu_instance=gpu_instance, compute_instance=compute_instance)
    node.gpus.gpus[0].processes.append(process)
    node.write()
    add_process(node, 4312, "python3")
    (node.directory / "proc/4312/cgroup").write_text(f"0::/kubepods/pod{POD}/{CONTAINER}\n", encoding="utf-8")
    # one of the seven has to stay; which one is the planner's to choose, and it chooses the busy one
    kept = node.configure(mig_devices={"1g.12gb": 1}, check_mode=True)
    assert [one["start"] for one in kept["kept"]] == [5]
    refused = node.configure(mig_devices={"7g.96gb": 1}, pods={POD: "ml/trainer-0"})
    assert "because process 4312 (python3) of pod ml/trainer-0 holds it" in refused["msg"]
    assert refused["msg"].startswith("Nothing was changed")
    assert [holder["pid"] for loss in refused["losses"] for holder in loss["holders"]] == [4312]
    assert node.places() == SEVEN
    forecast = node.configure(mig_devices={"7g.96gb": 1}, check_mode=True, assume_idle=True)
    assert len(forecast["losses"]) == 1
    assert node.places() == SEVEN


@pytest.mark.parametrize("lives", [True, False], ids=["pod-that-lives", "pod-that-is-gone"])
def test_instance_that_an_idle_pod_was_given_stays_as_long_as_the_pod(tmp_path: Path, lives: bool) -> None:
    node = make(tmp_path, "H20")
    node.lay_out(SEVEN)
    node.allocate(f"{node.devices()[sorted(node.devices())[6]]}::1", lives=lives)
    result = node.configure(mig_devices={"7g.96gb": 1})
    if lives:
        assert f"because pod {POD} holds it" in result["msg"]
        assert node.places() == SEVEN
    else:
        assert node.places() == (("7g.96gb", 0),)


def test_allocations_that_are_handed_in_beat_the_checkpoint(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.lay_out(SEVEN)
    device = node.devices()[sorted(node.devices())[6]]
    node.allocate(device)
    assert node.configure(mig_devices={"7g.96gb": 1}, allocations=[])["changed"]
    node.lay_out(())
    held = [{"pod_uid": "uid", "device_ids": list(node.devices().values())}]
    assert (
        "because pod ml/notebook holds it"
        in node.configure(mig_devices={"1g.12gb": 7}, allocations=held, pods={"uid": "ml/notebook"})["msg"]
    )


@pytest.mark.parametrize("handed_in", [False, True], ids=["checkpoint", "handed-in"])
def test_what_a_finished_pod_was_given_may_go_unless_a_process_runs_on_it(tmp_path: Path, handed_in: bool) -> None:
    node = make(tmp_path, "H20")
    node.lay_out(SEVEN)
    devices = node.devices()
    node.allocate(devices[min(devices)])
    given: dict[str, Any] = {"mig_devices": {"7g.96gb": 1}}
    if handed_in:
        given["allocations"] = [{"pod_uid": POD, "device_ids": list(devices.values())}]
    assert node.configure(**given)["losses"], "the kubelet does not say that a pod has finished"
    other = POD.replace("8", "9")
    assert node.configure(**given, finished_pods=[other])["losses"]
    node.gpus.gpus[0].processes.append(Process(4312, 900, gpu_instance=min(devices)[0], compute_instance=0))
    node.write()
    refused = node.configure(**given, finished_pods=[other, POD])
    assert [holder["pid"] for loss in refused["losses"] for holder in loss["holders"]] == [4312]
    assert node.places() == SEVEN
    node.gpus.gpus[0].processes.clear()
    node.write()
    assert node.configure(**given, finished_pods=[other, POD])["changed"]
    assert node.places() == (("7g.96gb", 0),)


def test_allocations_that_cannot_be_read_forbid_to_take_anything_away(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.lay_out(SEVEN)
    checkpoint = node.directory / "kubelet/device-plugins/kubelet_internal_checkpoint"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text("rubbish", encoding="utf-8")
    refused = node.configure(mig_devices={"7g.96gb": 1})
    assert "which of them pods were given is not known" in refused["msg"]
    assert node.places() == SEVEN
    assert not node.configure(mig_devices={"1g.12gb": 7}).get("failed")


def test_kubelet_whose_directory_is_elsewhere_forbids_to_take_anything_away(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.lay_out(SEVEN)
    node.allocate(*node.devices().values())
    os.rename(tmp_path / "kubelet", tmp_path / "elsewhere")
    add_process(node, 812, "k3s-agent")
    refused = node.configure(mig_devices={"7g.96gb": 1})
    assert "process 812 (k3s-agent) runs, which is a kubelet or has one" in refused["msg"]
    assert node.places() == SEVEN
    assert not node.configure(mig_devices={"1g.12gb": 7}).get("failed")


@pytest.mark.parametrize("fault", ["MaxMigDeviceCount", "MigDeviceHandleByIndex", "MigDeviceHandleByIndex@3"])
@pytest.mark.parametrize("code", [NvmlError.NOT_SUPPORTED, NvmlError.NOT_FOUND])
def test_instances_whose_devices_are_not_told_stay_for_pods_may_have_them(
    tmp_path: Path, fault: str, code: NvmlError
) -> None:
    node = make(tmp_path, "H20")
    node.lay_out(SEVEN)
    node.allocate(node.devices()[sorted(node.devices())[2]])
    node.gpus.gpus[0].faults = {f"nvmlDeviceGet{fault}": code}
    node.write()
    assert node.configure(mig_devices={"3g.48gb": 2}).get("failed")
    assert node.places() == SEVEN


def test_mode_that_somebody_keeps_from_coming_is_called_off_and_the_message_says_who(tmp_path: Path) -> None:
    node = make(tmp_path, "H20", holders=[777])
    add_process(node, 777, "nvidia-persistenced", "/dev/nvidiactl", "/dev/nvidia0")
    refused = node.configure(mig_devices={"1g.12gb": 7})
    assert "enable MIG mode waits, because the GPU is in use" in refused["msg"]
    assert "process 777 (nvidia-persistenced) of nvidia-persistenced.service" in refused["msg"]
    assert refused["restored"]
    assert node.mode() == (False, False)
    assert not (node.state_dir / "change.json").exists()


def test_sampling_that_holds_the_gpus_is_waited_for_until_it_gives_way(tmp_path: Path) -> None:
    node = make(tmp_path, "H20", holders=[777])
    add_process(node, 777, "kubegpu-usage", "/dev/nvidiactl", "/dev/nvidia0")

    def give_way() -> None:
        while not is_being_changed(str(tmp_path / "lock")):
            time.sleep(0.02)
        time.sleep(0.5)
        node.gpus.holders = []
        node.write()
        shutil.rmtree(node.directory / "proc" / "777")

    sampling = threading.Thread(target=give_way, daemon=True)
    sampling.start()
    assert node.configure(mig_devices={"1g.12gb": 7})["changed"]
    sampling.join(10)
    assert (node.mode(), node.places()) == ((True, True), SEVEN)


def test_mode_that_somebody_keeps_from_going_costs_no_instance(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.configure(mig_devices={"1g.12gb": 7})
    node.gpus.holders = [777]
    node.write()
    refused = node.configure(state="absent")
    assert refused["restored"], refused["msg"]
    assert (node.places(), node.mode()) == (SEVEN, (True, True))
    assert node.ready.exists()


@pytest.mark.parametrize(
    ("settings", "reboot"),
    [({"reset": "command"}, False), ({"reset": "reboot", "passthrough": True}, True)],
    ids=["reset-helps", "only-a-reboot-helps"],
)
def test_mode_that_needs_a_reset_is_set_and_the_next_run_goes_on(
    tmp_path: Path, settings: dict[str, Any], reboot: bool
) -> None:
    node = make(tmp_path, "A30", **settings)
    first = node.configure(mig_devices={"1g.6gb": 4})
    assert (first["reset_required"], first["reboot_required"]) == ([node.uuid()], reboot)
    assert (first["changed"], node.mode(), node.places()) == (True, (False, True), ())
    assert not node.ready.exists()
    second = node.configure(mig_devices={"1g.6gb": 4})
    assert (second["reset_required"], second["reboot_required"], second["interrupted"]) == ([node.uuid()], True, None)
    with changing(node.directory) as mig:
        mig.reset(node.uuid())
    third = node.configure(mig_devices={"1g.6gb": 4})
    assert (third["reset_required"], third["reboot_required"]) == ([], False)
    assert node.places() == tuple(("1g.6gb", start) for start in range(4))
    assert node.ready.exists()
    assert not (node.state_dir / "change.json").exists()


def test_mode_that_waits_although_nobody_wants_it_is_called_off(tmp_path: Path) -> None:
    node = make(tmp_path, "A30")
    node.configure(mig_devices={"1g.6gb": 4})
    assert node.mode() == (False, True)
    off = node.configure(state="absent")
    assert off["actions"][0] == "GPU 0: disable MIG mode"
    assert (node.mode(), off["reset_required"]) == ((False, False), [])
    assert not (node.state_dir / "layout.json").exists()


def test_card_that_nvml_itself_resets_needs_no_second_run(tmp_path: Path) -> None:
    node = make(tmp_path, "A30", reset="nvml")
    result = node.configure(mig_devices={"1g.6gb": 4})
    assert (result["reset_required"], node.mode()) == ([], (True, True))
    assert node.places() == tuple(("1g.6gb", start) for start in range(4))


def test_old_driver_tells_its_profiles_only_with_the_mode_on(tmp_path: Path) -> None:
    node = make(tmp_path, "H20", driver_version="535.183.01")
    forecast = node.configure(mig_devices={"1g.12gb": 7}, check_mode=True)
    assert forecast["gpus"][0]["profiles_from"] == "table"
    node.configure(mig_devices={"1g.12gb": 7})
    assert node.places() == SEVEN


def test_layout_beside_what_another_tool_made_after_a_look_is_read_back(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    result = node.configure(mig_devices={"4g.48gb": 1, "2g.24gb": 1, "1g.12gb": 1})
    assert {(one["profile"], one["start"]) for one in result["after"]["gpus"][0]["instances"]} == set(node.places())


PARTED = {
    "version": "v1",
    "mig-configs": {"one": [{"devices": [0], "mig-enabled": True, "mig-devices": {"1g.12gb": 1}}]},
}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(
            {"mig_devices": {"1g.10gb": 1}}, "is no profile of GPU 0 (NVIDIA H20), which has 1g.12gb", id="profile"
        ),
        pytest.param(
            {"mig_devices": {"small": 1}}, "'small' is no MIG profile; give a name such as 1g.12gb", id="name"
        ),
        pytest.param({"mig_devices": {"3g.48gb": 2, "1g.12gb": 1}}, "mig_devices: GPU 0 (NVIDIA H20): ", id="layout"),
        pytest.param({"mig_devices": {"1g.12gb": 0}}, "mig_devices.1g.12gb is 0; give at least 1", id="zero"),
        pytest.param({"mig_devices": {"1g.12gb": -1}}, "mig_devices.1g.12gb is -1; give at least 1", id="negative"),
        pytest.param({"mig_devices": {}}, "names no MIG device", id="nothing"),
        pytest.param(
            {"mig_devices": {"1g.12gb": 7}, "gpus": 1}, "GPU 1 (Tesla T4) has no MIG; leave it out.", id="no-mig"
        ),
        pytest.param(
            {"mig_devices": {"1g.12gb": 7}, "gpus": "GPU-0"}, "'GPU-0' matches no GPU of this host.", id="selector"
        ),
        pytest.param({"mig_devices": {"1g.12gb": 7}, "gpus": []}, "gpus is an empty list", id="no-selector"),
        pytest.param(
            {"mig_devices": [{"gpus": 0, "devices": {"1g.12gb": 7}}, {"gpus": "NVIDIA H20", "devices": ["7g.96gb"]}]},
            "GPU 0 (NVIDIA H20) is claimed by mig_devices[0] and by mig_devices[1]",
            id="claimed-twice",
        ),
        pytest.param(
            {"mig_devices": {"1g.12gb": 7}, "gpus": 0, "enable": "never"}, "enable: never forbids", id="never"
        ),
        pytest.param(
            {"mig_parted_config": {**PARTED, "version": "v2"}, "selected": "one"}, "only v1 is known", id="version"
        ),
        pytest.param(
            {"mig_parted_config": {**PARTED, "hooks": {}}, "selected": "one"}, "unknown word 'hooks'", id="word"
        ),
        pytest.param(
            {"mig_parted_config": PARTED, "selected": "on"}, "has no config 'on'. Did you mean one?", id="config"
        ),
        pytest.param({"layout": {"schema_version": 1}}, "layout.gpus is nothing; give a list.", id="recorded"),
    ],
)
def test_wish_that_cannot_be_is_refused_before_anything_is_touched(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    node = make(tmp_path, "H20", "T4")
    if "enable" not in options:
        node.lay_out(SEVEN)
    before = node.devices()
    refused = node.configure(**options)
    assert words in refused["msg"]
    assert "nothing was changed" in refused["msg"]
    assert node.devices() == before
    assert not node.state_dir.exists()


def test_gpu_that_does_not_answer_is_refused_only_if_it_is_named(tmp_path: Path) -> None:
    node = make(tmp_path, "H20", "H20")
    node.gpus.gpus[1].lost = True
    node.write()
    refused = node.configure(mig_devices={"1g.12gb": 7})
    assert "mig_devices: Reading GPU 1 failed: GPU is lost (NVML error 15)" in refused["msg"]
    assert node.mode() == (False, False)
    assert node.configure(mig_devices={"1g.12gb": 7}, gpus=0)["changed"]
    assert node.places() == SEVEN


def test_user_without_rights_is_told_before_anything_is_tried(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.lay_out(SEVEN)
    node.gpus.privileged = False
    node.write()
    refused = node.configure(mig_devices={"7g.96gb": 1})
    assert "run with become" in refused["msg"].lower()
    assert node.places() == SEVEN


def test_host_that_another_run_changes_is_left_to_it(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    with HostLock("r1", "repartition", str(tmp_path / "lock")):
        refused = node.configure(mig_devices={"1g.12gb": 7})
        assert node.configure(mig_devices={"1g.12gb": 7}, check_mode=True)["changed"]
    assert "is held by run r1" in refused["msg"]
    assert node.mode() == (False, False)


def test_state_that_cannot_be_written_stops_before_the_first_call(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.state_dir.write_text("in the way", encoding="utf-8")
    refused = node.configure(mig_devices={"1g.12gb": 7})
    assert f"Writing {node.state_dir}/change.json failed" in refused["msg"]
    assert node.mode() == (False, False)


def test_library_that_counts_no_gpus_says_so(tmp_path: Path) -> None:
    node = make(tmp_path, "H20")
    node.gpus.faults = {"nvmlDeviceGetCount": NvmlError.UNKNOWN}
    node.write()
    assert "Counting the GPUs failed" in node.configure(mig_devices={"1g.12gb": 7})["msg"]

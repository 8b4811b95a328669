from __future__ import annotations

import pytest

from simulator.controllers.kubelet.cgroups import cgroup_file, cgroup_path

UID, CONTAINER = "0b9c2f4e-6d1a-4c3b-8e7f-1a2b3c4d5e6f", "c0ffee"
SLICE = "0b9c2f4e_6d1a_4c3b_8e7f_1a2b3c4d5e6f"


@pytest.mark.parametrize(
    ("qos", "driver", "runtime", "path"),
    [
        (
            "Burstable",
            "systemd",
            "cri-containerd",
            f"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{SLICE}.slice/cri-containerd-c0ffee.scope",
        ),
        ("Guaranteed", "systemd", "crio", f"/kubepods.slice/kubepods-pod{SLICE}.slice/crio-c0ffee.scope"),
        ("BestEffort", "cgroupfs", "cri-containerd", f"/kubepods/besteffort/pod{UID}/c0ffee"),
        ("Guaranteed", "cgroupfs", "cri-containerd", f"/kubepods/pod{UID}/c0ffee"),
    ],
)
def test_path_is_spelled_as_driver_and_class_demand(qos: str, driver: str, runtime: str, path: str) -> None:
    assert cgroup_path(UID, CONTAINER, qos, driver, runtime) == path


def test_file_has_one_line_in_version_2_and_one_per_hierarchy_in_version_1() -> None:
    assert cgroup_file("/p") == "0::/p\n"
    lines = cgroup_file("/p", 1).splitlines()
    assert len(lines) == 12
    assert "6:memory:/p" in lines
    assert lines[-1] == "0::/"

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""cgroup paths as runtimes and cgroup drivers really spell them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.processes import PodOfProcess, parse_cgroup

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
UID_ = UID.replace("-", "_")
HASH = "5f1c0a9be37d24681357acd09b8e2f46"
ID = "3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a"
OUTER = "a" * 64
KUBEPODS = "/kubepods.slice/kubepods-burstable.slice"
# Whole files of real systems; their README says from where.
SAMPLES = sorted((Path(__file__).parent / "cgroups").glob("*.txt"))
OF_SAMPLES = {
    "v1": PodOfProcess(UID, ID),
    "v2": PodOfProcess(UID, ID),
    "container": PodOfProcess(None, ID),
    "host": PodOfProcess(),
}

FULL = [
    pytest.param(
        f"0::{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope\n", id="v2-systemd-containerd"
    ),
    pytest.param(f"0::{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/crio-{ID}.scope\n", id="v2-systemd-crio"),
    pytest.param(
        f"0::{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/crio-{ID}.scope/container\n", id="v2-systemd-crio-crun"
    ),
    pytest.param(f"0::{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/docker-{ID}.scope\n", id="v2-systemd-docker"),
    pytest.param(
        f"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID_}.slice/cri-containerd-{ID}.scope\n",
        id="v2-systemd-besteffort",
    ),
    pytest.param(
        f"0::/kubepods.slice/kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope\n", id="v2-systemd-guaranteed"
    ),
    pytest.param(f"0::/kubepods/burstable/pod{UID}/{ID}\n", id="v2-cgroupfs-burstable"),
    pytest.param(f"0::/kubepods/pod{UID}/{ID}\n", id="v2-cgroupfs-guaranteed"),
    pytest.param(f"0::/kubepods/besteffort/pod{UID}/crio-{ID}\n", id="v2-cgroupfs-crio"),
    pytest.param(
        f"12:pids:/kubepods/besteffort/pod{UID}/{ID}\n"
        f"11:devices:/kubepods/besteffort/pod{UID}/{ID}\n"
        f"4:cpu,cpuacct:/kubepods/besteffort/pod{UID}/{ID}\n"
        f"1:name=systemd:/kubepods/besteffort/pod{UID}/{ID}\n",
        id="v1-cgroupfs-docker",
    ),
    pytest.param(
        "13:rdma:/\n"
        f"12:memory:{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope\n"
        f"1:name=systemd:{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope\n"
        "0::/\n",
        id="v1-hybrid-root-lines-around",
    ),
    pytest.param(
        f"9:memory:/system.slice/containerd.service/kubepods-burstable-pod{UID_}.slice:cri-containerd:{ID}\n",
        id="v1-kubelet-systemd-containerd-cgroupfs",
    ),
    pytest.param(
        f"0::/system.slice/containerd.service/kubepods-pod{UID_}.slice:cri-containerd:{ID}\n",
        id="v2-kubelet-systemd-containerd-cgroupfs",
    ),
    pytest.param(
        f"0::/system.slice/docker-{OUTER}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
        f"kubelet-kubepods-besteffort-pod{UID_}.slice/cri-containerd-{ID}.scope\n",
        id="kind-node-in-docker",
    ),
    pytest.param(f"11:memory:/docker/{OUTER}/kubelet/kubepods/besteffort/pod{UID}/{ID}\n", id="v1-node-in-docker"),
    pytest.param(
        f"0::/custom.slice/custom-kubepods.slice/custom-kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope\n",
        id="cgroup-root",
    ),
    pytest.param(
        f"0::{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope/system.slice/nginx.service\n",
        id="systemd-inside-the-container",
    ),
    pytest.param(f"0::/kubepods/burstable/pod{UID}/{ID}/docker/{OUTER}\n", id="docker-inside-the-container"),
    pytest.param(
        f"0::/../../kubepods-burstable.slice/kubepods-burstable-pod{UID_}.slice/cri-containerd-{ID}.scope\n",
        id="seen-from-another-pod",
    ),
    pytest.param(f"0::/../../pod{UID}/{ID}\n", id="seen-from-another-pod-cgroupfs"),
    pytest.param(f"0::/../kubepods-pod{UID_}.slice/cri-containerd-{ID}.scope\n", id="seen-from-a-cousin"),
]


@pytest.mark.parametrize("text", FULL)
def test_parse_cgroup_of_a_container_yields_pod_and_container(text: str) -> None:
    assert parse_cgroup(text) == PodOfProcess(UID, ID)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.stem)
def test_parse_cgroup_of_real_systems(sample: Path) -> None:
    assert parse_cgroup(sample.read_text(encoding="utf-8")) == OF_SAMPLES[sample.stem.partition("-")[0]]


def test_samples_are_there_and_have_their_origin_told() -> None:
    origins = (SAMPLES[0].parent / "README.md").read_text(encoding="utf-8")
    assert len(SAMPLES) > 30
    untold = [sample.stem for sample in SAMPLES if sample.stem not in origins]
    assert all(name.startswith("host-") for name in untold)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(f"0::/kubepods/burstable/pod{HASH}/{ID}\n", PodOfProcess(HASH, ID), id="static-pod-cgroupfs"),
        pytest.param(
            f"0::{KUBEPODS}/kubepods-burstable-pod{HASH}.slice/cri-containerd-{ID}.scope\n",
            PodOfProcess(HASH, ID),
            id="static-pod-systemd",
        ),
        pytest.param(
            f"0::/kubepods/podmy-static-uid/{ID}\n", PodOfProcess("my-static-uid", ID), id="static-pod-own-uid-cgroupfs"
        ),
        pytest.param(
            f"0::/kubepods.slice/kubepods-podmy_static_uid.slice/crio-{ID}.scope\n",
            PodOfProcess("my-static-uid", ID),
            id="static-pod-own-uid-systemd",
        ),
        pytest.param(f"0::/kubepods/burstable/pod{UID}\n", PodOfProcess(UID, None), id="pod-level-only"),
        pytest.param(
            f"0::{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/crio-conmon-{ID}.scope\n",
            PodOfProcess(UID, None),
            id="crio-monitor-is-no-container",
        ),
        pytest.param(
            f"12:cpu:/kubepods\n11:memory:/kubepods/pod{UID}\n1:name=systemd:/kubepods/pod{UID}/{ID}\n",
            PodOfProcess(UID, ID),
            id="left-behind-in-upper-levels",
        ),
        pytest.param(
            f"0::{KUBEPODS}/kubepods-burstable-pod{UID_}.slice/newruntime-{ID}.box\n",
            PodOfProcess(UID, None, True),
            id="container-of-an-unknown-runtime",
        ),
        pytest.param(
            "0::/kubepods/burstable/sandbox:17\n", PodOfProcess(None, None, True), id="pod-of-an-unknown-runtime"
        ),
        pytest.param(f"0::/../cri-containerd-{ID}.scope\n", PodOfProcess(None, ID), id="sibling-in-the-same-pod"),
        pytest.param("0::/\n", PodOfProcess(), id="own-namespace-tells-nothing"),
        pytest.param("0::/system.slice/nvidia-persistenced.service\n", PodOfProcess(), id="service"),
        pytest.param("0::/user.slice/user-0.slice/session-1.scope\n", PodOfProcess(), id="login"),
        pytest.param(f"0::/system.slice/docker-{ID}.scope\n", PodOfProcess(), id="container-outside-kubernetes"),
        pytest.param("0::/system.slice/podman.service\n", PodOfProcess(), id="pod-in-a-name-is-no-pod"),
        pytest.param(f"0::/machine.slice/libpod-{ID}.scope/container\n", PodOfProcess(), id="podman-container"),
        pytest.param("", PodOfProcess(), id="process-has-ended"),
        pytest.param("no colons here\n0::\n", PodOfProcess(), id="malformed"),
    ],
)
def test_parse_cgroup_tells_what_there_is(text: str, expected: PodOfProcess) -> None:
    assert parse_cgroup(text) == expected

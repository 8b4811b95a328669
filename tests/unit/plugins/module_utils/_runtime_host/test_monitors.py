# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods would end with a runtime's service, of processes as /proc shows them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.monitors import pods_that_end
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.systemd import Unit

pytestmark = pytest.mark.node_side

GROUP = "/system.slice/containerd.service"
SHIM = ("/usr/bin/containerd-shim-runc-v2", "-namespace", "k8s.io", "-id", "abc1")


def unit(kill_mode: str = "control-group", active: str = "active", group: str = GROUP) -> Unit:
    return Unit(
        "containerd.service", "loaded", active, "running", "enabled", 7, None, (), kill_mode=kill_mode, group=group
    )


class Processes:
    """Of a node whose root directory is here."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "proc/self").mkdir(parents=True)

    def add(self, pid: int, comm: str, cgroup: str, argv: tuple[str, ...], annotations: object = None) -> None:
        process = self.root / "proc" / str(pid)
        (process / "cwd").mkdir(parents=True)
        (process / "comm").write_text(f"{comm}\n")
        (process / "cgroup").write_text(cgroup)
        (process / "cmdline").write_text("".join(f"{word}\0" for word in argv))
        if annotations is not None:
            (process / "cwd/config.json").write_text(json.dumps({"annotations": annotations}))

    def ending(self, *units: Unit) -> list[str]:
        return pods_that_end(Root(str(self.root)), units)


@pytest.fixture
def processes(tmp_path: Path) -> Processes:
    return Processes(tmp_path)


NAMED = {"io.kubernetes.cri.sandbox-namespace": "nlp", "io.kubernetes.cri.sandbox-name": "trainer"}


@pytest.mark.parametrize(
    "cgroup",
    [
        pytest.param(f"0::{GROUP}\n", id="v2"),
        pytest.param(f"12:devices:/other\n1:name=systemd:{GROUP}\n0::/\n", id="v1"),
        pytest.param(f"0::{GROUP}/below\n", id="delegated"),
    ],
)
@pytest.mark.parametrize("kill_mode", ["control-group", "mixed"])
def test_shim_in_the_cgroup_of_the_service_is_a_pod_that_ends(
    processes: Processes, cgroup: str, kill_mode: str
) -> None:
    processes.add(70, "containerd-shim", cgroup, SHIM, NAMED)
    processes.add(7, "containerd", cgroup, ("/usr/bin/containerd",))
    assert processes.ending(unit(kill_mode)) == ["nlp/trainer"]


def test_nothing_ends_with_a_service_that_ends_its_own_process_alone(processes: Processes) -> None:
    processes.add(70, "containerd-shim", f"0::{GROUP}\n", SHIM, NAMED)
    assert processes.ending(unit("process")) == []
    assert processes.ending(unit("")) == []
    assert processes.ending(unit(active="failed")) == []
    assert processes.ending(unit(group="")) == []


def test_conmon_ends_only_if_it_was_not_put_elsewhere(processes: Processes) -> None:
    processes.add(70, "conmon", "0::/system.slice/crio-conmon-abc.scope\n", ("/usr/bin/conmon", "-c", "abc"))
    crio = unit(group="/system.slice/crio.service")
    assert processes.ending(crio) == []
    bundle = processes.root / "run/bundle"
    bundle.mkdir(parents=True)
    named = {"io.kubernetes.pod.namespace": "nlp", "io.kubernetes.pod.name": "late"}
    (bundle / "config.json").write_text(json.dumps({"annotations": named}))
    conmon = ("/usr/bin/conmon", "-b", "/run/bundle", "-c", "abd")
    processes.add(71, "conmon", "0::/system.slice/crio.service\n", conmon)
    processes.add(72, "conmon", "0::/system.slice/crio.service-of-another\n", conmon)
    assert processes.ending(crio) == ["nlp/late"]


@pytest.mark.parametrize("annotations", [None, [], {"io.kubernetes.cri.sandbox-name": "x"}])
def test_pod_that_has_no_name_is_told_by_its_id(processes: Processes, annotations: object) -> None:
    processes.add(70, "containerd-shim", f"0::{GROUP}\n", SHIM, annotations)
    processes.add(71, "containerd-shim", f"0::{GROUP}\n", ("shim",))
    assert processes.ending(unit()) == ["abc1", "process 71"]

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container runtimes made ready in the waves of a rollout: one that does not come back, the run that goes on, and the one after it.

The tests go one after the other through the same cluster: each begins with what the one before it has left.
"""

from __future__ import annotations

import re
import shlex
from typing import Iterator

import pytest

from simulator.cluster import SimulatedCluster

from .conftest import REFERENCE_HOSTS, REFERENCE_SCENARIO, REFERENCE_VARIABLES
from .operator import Operator
from .standin_runtime import CONFIG, StandInRuntime, host_variables
from .test_host_steps import REVISION, in_service, node, words

CLASS = "/apis/node.k8s.io/v1/runtimeclasses/nvidia"
Hall = tuple[SimulatedCluster, Operator, dict[str, StandInRuntime]]


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    """The reference cluster, whose hosts have a containerd that no GPU container can be started by."""
    with SimulatedCluster.start(REFERENCE_SCENARIO, tmp_path_factory.mktemp("cluster"), speed=20) as cluster:
        operator = Operator(cluster, tmp_path_factory.mktemp("operator"))
        # Who sets the latter has it installed before: no plan shows packages, so no wave brings any. Here it would fail.
        wish = {**REFERENCE_VARIABLES, "kubegpu_runtime_manage": True, "kubegpu_runtime_install_toolkit": True}
        operator.write_inventory(REFERENCE_HOSTS, wish, host_variables(cluster))
        runtimes = {name: StandInRuntime(cluster, name, operator.work_dir) for name in REFERENCE_HOSTS}
        for runtime in runtimes.values():
            runtime.install()
        yield cluster, operator, runtimes


def test_check_mode_tells_the_restart_and_another_wish_is_another_plan(hall: Hall) -> None:
    cluster, operator, runtimes = hall
    before = cluster.position()
    shown = words(operator.must_play("rollout", "--check"))
    assert "Container runtimes" in shown
    assert (
        "containerd 1.6.20~ds1 is restarted, so all its pods but those of DaemonSets will be evicted "
        "(kubegpu_runtime_disruption): nlp/nlp-"
    ) in shown
    plan = operator.plan()
    for entry in plan["nodes"].values():
        assert (entry["disruption"], entry["runtime"]["units"]) == ("all", ["containerd.service"])
        assert "containerd 1.6.20~ds1 to be set up and restarted" in entry["reasons"]
    refused = operator.play("rollout", kubegpu_plan_id=plan["plan_id"], kubegpu_runtime_default=True)
    assert refused.returncode != 0
    assert f"but {plan['plan_id']} was to be rolled out, so nothing was changed" in words(refused)
    assert cluster.writes(before) == []
    for runtime in runtimes.values():
        assert (runtime.restarts, runtime.config.read_text(encoding="utf-8")) == (0, CONFIG)
        assert [path.name for path in runtime.config.parent.iterdir()] == [runtime.config.name]


def test_runtime_that_does_not_come_back_on_the_emptied_node_gets_its_old_files_and_the_node_stays_out_of_service(
    hall: Hall,
) -> None:
    cluster, operator, runtimes = hall
    runtimes["gpu-l20"].refuse(True)
    ended = operator.play("rollout")
    runtimes["gpu-l20"].refuse(False)
    assert ended.returncode != 0
    assert "1 of 1 node of this wave is not in service, so no further wave is begun." in words(ended)
    assert "cannot load plugin cri: no such runtime" in words(ended)
    assert runtimes["gpu-l20"].config.read_text(encoding="utf-8") == CONFIG
    assert runtimes["gpu-l20"].restarts > 1
    assert '"state": "evicted"' in runtimes["gpu-l20"].journal_at_restart
    left = node(cluster, "gpu-l20")
    assert left["spec"]["unschedulable"]
    assert 'host step "runtime | Ask for the runtime" failed on gpu-l20' in words(ended)
    assert "runtime" in left["metadata"]["annotations"]["kubegpu.sharing/maintenance"]
    assert left["metadata"]["labels"][REVISION] == "withdrawn"
    assert in_service(cluster, "gpu-t4")
    assert (runtimes["gpu-t4"].restarts, runtimes["gpu-t4"].config.read_text(encoding="utf-8")) == (0, CONFIG)


def test_rollout_goes_on_under_the_plan_that_was_approved(hall: Hall) -> None:
    cluster, operator, runtimes = hall
    approved = operator.plan()["plan_id"]
    before = runtimes["gpu-l20"].restarts
    operator.must_play("rollout", kubegpu_plan_id=approved)
    assert (runtimes["gpu-l20"].restarts - before, runtimes["gpu-t4"].restarts) == (1, 1)
    for name, runtime in runtimes.items():
        assert in_service(cluster, name)
        assert "runtimes.nvidia" in runtime.config.read_text(encoding="utf-8")
    assert cluster.client().get(CLASS)["handler"] == "nvidia"
    assert cluster.state()["broken_pods"] == []
    told = words(operator.must_play("report"))
    assert "gpu-t4: containerd 1.6.20~ds1, containerd.service restarted" in told


def test_second_run_writes_nothing_and_restarts_nothing(hall: Hall) -> None:
    cluster, operator, runtimes = hall
    before, restarts = cluster.position(), [runtime.restarts for runtime in runtimes.values()]
    ended = words(operator.must_play("rollout"))
    assert "Nothing to change" in ended
    assert cluster.writes(before) == []
    assert [runtime.restarts for runtime in runtimes.values()] == restarts


def test_verification_tells_of_a_runtime_that_somebody_has_put_back(hall: Hall) -> None:
    """Nothing in the cluster tells of it. Nor does a plan tell of the name that pods ask for it by, if somebody has removed that."""
    cluster, operator, runtimes = hall
    runtimes["gpu-t4"].config.write_text(CONFIG, encoding="utf-8")
    cluster.client().delete(CLASS)
    ended = operator.play("verify")
    assert ended.returncode != 0
    assert "Container runtimes are not as wanted: gpu-t4: containerd 1.6.20~ds1 is not set up as wanted" in words(
        ended
    ).replace("\\n", " ")
    before, restarts = cluster.position(), [runtime.restarts for runtime in runtimes.values()]
    (command,) = set(re.findall(r"ansible -i INVENTORY .*?tasks_from=runtime_class'", words(ended)))
    made = operator.ad_hoc(*shlex.split(command)[3:])
    assert made.returncode == 0, made.output
    assert cluster.client().get(CLASS)["handler"] == "nvidia"
    assert [write["path"] for write in cluster.writes(before)] == [CLASS.rpartition("/")[0]]
    assert [runtime.restarts for runtime in runtimes.values()] == restarts


def test_runtime_that_serves_with_neither_files_keeps_its_node_out_of_service_until_it_does(hall: Hall) -> None:
    """What the cluster shows of the node lags behind, and no pod could start there."""
    cluster, operator, runtimes = hall
    for runtime in runtimes.values():
        runtime.die(True)
    ended = operator.play("rollout", kubegpu_on_failure="restore")
    for runtime in runtimes.values():
        runtime.die(False)
    assert ended.returncode != 0
    assert "CONTAINERD DOES NOT SERVE ON THIS NODE" in words(ended)
    assert "or its container runtime does not serve: look at its host first" in words(ended)
    (left,) = [name for name in runtimes if not in_service(cluster, name)]
    assert node(cluster, left)["spec"]["unschedulable"]
    operator.must_play("rollout", kubegpu_plan_id=operator.plan()["plan_id"])
    for name, runtime in runtimes.items():
        assert in_service(cluster, name)
        assert "runtimes.nvidia" in runtime.config.read_text(encoding="utf-8")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kubegpu.sharing.measure from running pods to sizes, and through lost hosts and a control node that dies."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from integration.rollout.conftest import REFERENCE_HOSTS, REFERENCE_SCENARIO
from integration.rollout.operator import Ended, Operator, kill_run

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import UsageFiles
from simulator.cluster import SimulatedCluster

pytestmark = pytest.mark.integration

SPEED = 10
#: Until a playbook has come to the sampling, on a busy machine.
START_SECONDS = 180
#: Every 2 s the service takes its peak for 1 s; the other second it needs less.
COURSE = {
    product: {"steps": [[0, usual], [5, peak], [15, usual]], "every": 20}
    for product, usual, peak in (("NVIDIA L20", 3000, 4621), ("Tesla T4", 2900, 4401))
}
UNSIZED = {
    key: {"match": {"product": product}, "sharing": "time_slicing"}
    for key, product in (("l20", "NVIDIA L20"), ("t4", "Tesla T4"))
}
QUICK: dict[str, Any] = {
    "kubegpu_sharing_configs": UNSIZED,
    "kubegpu_measure_seconds": 6,
    "kubegpu_measure_interval_seconds": 0.2,
    "kubegpu_measure_progress_seconds": 2,
    "kubegpu_measure_lost_seconds": 6,
}


def scenario() -> dict[str, Any]:
    """The reference cluster, whose service does not take the same memory all the time."""
    found: dict[str, Any] = yaml.safe_load(REFERENCE_SCENARIO.read_text(encoding="utf-8"))
    for step in found["history"]:
        for manifest in step["apply"]:
            if manifest["kind"] == "Deployment":
                annotations = manifest["spec"]["template"]["metadata"]["annotations"]
                annotations["simulator.kubegpu/gpu-memory-mib"] = json.dumps(COURSE)
    return found


class Site:
    """A cluster, an operator, and hosts whose plugs can be pulled."""

    def __init__(self, cluster: SimulatedCluster, directory: Path) -> None:
        self.cluster = cluster
        self.operator = Operator(cluster, directory)
        self.operator.write_inventory(REFERENCE_HOSTS, {**QUICK, "ansible_async_dir": str(directory / "async")})
        path = directory / "inventory.yml"
        inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
        # Nothing listens on that port, so that the connection is refused at once.
        lost = f"lookup('ansible.builtin.fileglob', '{directory}/lost-' ~ inventory_hostname)"
        inventory["gpu_nodes"]["vars"] |= {
            "ansible_connection": f"{{{{ 'ssh' if {lost} else 'local' }}}}",
            "ansible_host": "127.0.0.1",
            "ansible_port": 1,
        }
        path.write_text(yaml.safe_dump(inventory), encoding="utf-8")

    def lose(self, *hosts: str) -> None:
        for host in hosts:
            (self.operator.directory / f"lost-{host}").touch()

    def find(self, *hosts: str) -> None:
        for host in hosts:
            (self.operator.directory / f"lost-{host}").unlink(missing_ok=True)

    def directory(self, host: str) -> Path:
        """Where measurements lie on a host."""
        return self.cluster.node_directory(host) / "root/var/lib/kubegpu-sharing/measurements"

    def on_host(self, host: str) -> set[str]:
        """Measurements that lie there."""
        return {path.stem for path in self.directory(host).glob("*.json")}

    def sampling(self, run: str) -> list[str]:
        """Hosts on which it goes on."""
        found = {host: UsageFiles(str(self.directory(host))).find(run) for host in REFERENCE_HOSTS}
        return [host for host, file in found.items() if file and file.running]

    def sampler_without_file(self) -> int | None:
        """The process that samples on a host where it can write nothing, once it has opened NVML."""
        ours = f"ANSIBLE_ASYNC_DIR={self.operator.directory}/async".encode()
        for process in Path("/proc").glob("[0-9]*"):
            # It may end meanwhile.
            with suppress(OSError):
                program = (process / "cmdline").read_bytes().split(b"\0")[1:2]
                if not program or not program[0].endswith(b"AnsiballZ_gpu_usage.py"):
                    continue
                files = {os.readlink(file) for file in (process / "fd").iterdir()}
                on_host = any(file.startswith(str(self.directory(host))) for file in files for host in REFERENCE_HOSTS)
                has_begun = b"libnvidia-ml" in (process / "maps").read_bytes()
                if not on_host and has_begun and ours in (process / "environ").read_bytes().split(b"\0"):
                    return int(process.name)
        return None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """The process that samples on a host where it can write nothing gets no time. It ends as soon as it goes on."""
        self.cluster.wait_until(self.sampler_without_file, what="the process that samples")
        pid = self.sampler_without_file()
        assert pid
        # Its time begins when it has opened NVML.
        time.sleep(1)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def here(self) -> dict[str, set[str]]:
        """Hosts by measurement, of those on the control node."""
        folders = (self.operator.work_dir / "measurements").iterdir()
        return {folder.name: {path.stem for path in folder.glob("gpu-*.json")} for folder in folders}

    def jobs(self) -> set[str]:
        """What Ansible has left of jobs in the background."""
        return {path.name for path in (self.operator.directory / "async").iterdir()}

    def measurement(self, run: str, host: str) -> dict[str, Any]:
        return read(self.operator.work_dir / f"measurements/{run}/{host}.json")

    def last(self) -> Path:
        """Folder of the last run."""
        return max((self.operator.work_dir / "runs").iterdir(), key=lambda path: path.name)

    def wait_output(self, text: str) -> None:
        output = self.operator.directory / "output"
        self.cluster.wait_until(lambda: text in words(output.read_text(encoding="utf-8")), what=text)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def words(text: str) -> str:
    return " ".join(text.split())


def sizes(proposal: dict[str, Any]) -> dict[str, int]:
    return {key: config["process_memory_mib"] for key, config in proposal["configs"].items()}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Through which the tests of this file go one after the other."""
    with SimulatedCluster.start(scenario(), tmp_path_factory.mktemp("cluster"), speed=SPEED) as cluster:
        yield Site(cluster, tmp_path_factory.mktemp("operator"))


@pytest.fixture(scope="module")
def first(site: Site) -> Ended:
    """The first measurement, of configs that know no sizes yet."""
    before = site.cluster.position()
    ended = site.operator.must_play("measure")
    assert site.cluster.writes(since=before) == []
    return ended


@pytest.mark.oldest
def test_reference_figures_come_out_of_a_measurement(site: Site, first: Ended) -> None:
    run = site.last()
    assert sizes(read(run / "proposal.json")) == {"l20": 4621, "t4": 4401}
    replicas = {
        name: node["replicas"] for name, node in read(run / "plan_proposed.json")["nodes"].items() if node.get("key")
    }
    assert replicas == {"gpu-l20": 8, "gpu-t4": 3}
    assert "Sampling 2 hosts for 6 s, all at the same time." in words(first.output)
    assert re.search(r"After \d of 6 s: 2 hosts have ended\.", words(first.output))
    # The sizes of now are none.
    assert (
        "No plan can be made with the sizes as they are. kubegpu_sharing_configs.l20 has sharing: time_slicing, but neither"
        in words(first.output)
    )


def test_measurement_lies_on_the_control_node_and_nothing_is_left_on_hosts(site: Site, first: Ended) -> None:
    run = site.last().name
    assert site.here() == {run: set(REFERENCE_HOSTS)}
    assert [site.on_host(host) for host in REFERENCE_HOSTS] == [set(), set()]
    assert site.jobs() == set()
    folder = site.operator.work_dir / "measurements" / run
    assert {path.name for path in folder.iterdir()} >= {"run.json", "cluster_before.json", "report.json", "report.html"}
    measured = site.measurement(run, "gpu-l20")
    assert (measured["node"], measured["complete"]) == ("gpu-l20", True)
    (user,) = [user for user in measured["users"] if user["pod_uid"]]
    assert (user["namespace"], user["container"], user["memory_mib"]["peak"]) == ("nlp", "inference", 4621)
    assert 3000 < user["memory_mib"]["mean"] < 4621
    # All hosts at the same time, however long that takes.
    times = [site.measurement(run, host)["started"] for host in REFERENCE_HOSTS]
    assert max(times) < site.measurement(run, "gpu-l20")["ended"]


def test_fragment_is_what_the_operator_can_take_over(site: Site, first: Ended) -> None:
    fragment = site.operator.work_dir / "measurements" / site.last().name / "proposal.yml"
    assert str(fragment) in first.output
    proposed = yaml.safe_load(fragment.read_text(encoding="utf-8"))["kubegpu_sharing_configs"]
    assert proposed == {
        "l20": {**UNSIZED["l20"], "process_memory_mib": 4621},
        "t4": {**UNSIZED["t4"], "process_memory_mib": 4401},
    }


@pytest.mark.oldest
def test_lost_host_that_comes_back_is_measured_and_one_that_stays_lost_is_told(site: Site, first: Ended) -> None:
    process = site.operator.start("measure")
    site.cluster.wait_until(lambda: all(map(site.on_host, REFERENCE_HOSTS)), START_SECONDS, "sampling")
    site.lose(*REFERENCE_HOSTS)
    site.wait_output("2 hosts do not answer: gpu-l20, gpu-t4.")
    site.find("gpu-l20")
    assert process.wait(120) == 0
    run = site.last().name
    output = words((site.operator.directory / "output").read_text(encoding="utf-8"))
    assert site.here()[run] == {"gpu-l20"}
    assert site.measurement(run, "gpu-l20")["complete"]
    assert site.on_host("gpu-t4") == {run}
    assert "gpu-t4 does not answer" in output
    assert "the next run of kubegpu.sharing.measure that reaches it collects it." in output
    site.find("gpu-t4")


def test_killed_run_loses_nothing_and_the_next_one_collects_what_all_have_left(site: Site, first: Ended) -> None:
    earlier = site.last().name
    process = site.operator.start("measure")
    site.cluster.wait_until(
        lambda: site.on_host("gpu-l20") and len(site.on_host("gpu-t4")) == 2, START_SECONDS, "sampling"
    )
    kill_run(process)
    killed = site.last().name
    site.cluster.wait_until(lambda: not site.sampling(killed), what="the end of the sampling")
    site.operator.must_play("measure", kubegpu_measure_seconds=0)
    there = site.here()
    assert there[earlier] == there[killed] == set(REFERENCE_HOSTS)
    assert [site.measurement(killed, host)["complete"] for host in REFERENCE_HOSTS] == [True, True]
    assert [site.on_host(host) for host in REFERENCE_HOSTS] == [set(), set()]
    proposal = read(site.last() / "proposal.json")
    assert sizes(proposal) == {"l20": 4621, "t4": 4401}
    # Three runs on two hosts each.
    assert (len(there), proposal["measurements"]) == (3, 6)


def test_check_mode_and_limit_sample_nothing_and_use_what_is_there(site: Site, first: Ended) -> None:
    there = site.here()
    site.lose("gpu-t4")
    ended = site.operator.must_play("measure", "--check", "--limit", "gpu-l20", kubegpu_measure_ids=[min(there)])
    site.find("gpu-t4")
    assert "Nothing is sampled in check mode" in words(ended.output)
    assert site.here() == there
    assert read(site.last() / "proposal.json")["measurements"] == 2


@pytest.mark.oldest
def test_host_that_can_write_no_file_is_measured_all_the_same(site: Site, first: Ended) -> None:
    """Not from the beginning on gpu-t4, and no longer on gpu-l20. The result is that of the job, which on gpu-t4 ends late."""
    jobs, there = site.jobs(), site.on_host("gpu-l20")
    path = f"{{{{ '/proc/nowhere' if inventory_hostname == 'gpu-t4' else '{site.directory('gpu-l20')}' }}}}"
    # Runs as a survey names them.
    named = json.dumps([min(site.here())])
    process = site.operator.start("measure", kubegpu_measure_path=path, kubegpu_measure_ids=named)
    site.cluster.wait_until(lambda: site.on_host("gpu-l20") - there, START_SECONDS, "sampling")
    run = site.last().name
    file = site.directory("gpu-l20") / f"{run}.json"
    file.unlink()
    file.mkdir()
    with site.standing_still():
        site.wait_output("FAILED - RETRYING: [gpu-t4]")
    assert process.wait(120) == 0
    assert site.here()[run] == set(REFERENCE_HOSTS)
    for host in REFERENCE_HOSTS:
        measured = site.measurement(run, host)
        assert (measured["host"], measured["node"], measured["complete"]) == (host, host, True)
    assert site.jobs() == jobs
    assert read(site.last() / "proposal.json")["measurements"] == 4
    file.rmdir()


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"kubegpu_sharing_configs": {"l20": {**UNSIZED["l20"], "sharing": "often"}}}, "kubegpu_sharing_configs.l20"),
        (
            {"kubegpu_measure_interval_seconds": 0},
            "kubegpu_measure_interval_seconds is 0; give a number of seconds, 0.1 or more",
        ),
    ],
    ids=["configs", "interval"],
)
def test_input_of_no_use_is_refused_before_time_is_spent(
    site: Site, first: Ended, variables: dict[str, Any], problem: str
) -> None:
    there = site.here()
    ended = site.operator.play("measure", **variables)
    assert ended.returncode == 2
    assert problem in words(ended.output)
    assert "Begin to sample" not in ended.output
    # A folder is a measurement.
    assert site.here() == there

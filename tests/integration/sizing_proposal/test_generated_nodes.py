# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Generated nodes whose truth is known, from NVML to the plan: the genuine pynvml on the simulated library, the sampler, the
proposal and the planner. Time is staged.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from integration.apart import apart
from integration.gpu_usage.clock import StagedClock
from integration.gpu_usage.node import UsageNode, container_of, uid_of
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.overlay import lay_over
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.proposal import build_proposal
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.request import ProposalRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_run import UsageRequest, UsageRun
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest

pytestmark = pytest.mark.integration

GPU = "nvidia.com/gpu"
SECONDS = 12
KEYS = {"l20": ("L20", "NVIDIA L20", 46068), "t4": ("T4", "Tesla T4", 15360)}
CONFIGS = {key: {"match": {"product": KEYS[key][1]}, "sharing": "time_slicing"} for key in KEYS}
CEILING = Fraction(9, 10)


@dataclass
class World:
    """Nodes as they are made up, and what is true of them.

    :param truth: MiB that a slot needs at most, by key.
    :param outside: MiB at the peak of what holds no device, by node.
    """

    seed: int
    directory: Path
    entries: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    measurements: dict[str, Any] = field(default_factory=dict)
    truth: dict[str, int] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)

    def make(self) -> World:
        chance = random.Random(self.seed)
        pod = 0
        for key in KEYS:
            for number in range(chance.randint(1, 2)):
                pod = self._make_node(chance, f"{key}-{number}", key, pod)
        return self

    def _make_node(self, chance: random.Random, name: str, key: str, pod: int) -> int:
        card, product, total = KEYS[key]
        cards = chance.randint(1, 2)
        node = UsageNode.make(self.directory / name, *[card] * cards)
        events: dict[float, Any] = {}
        pods = []
        for _one in range(chance.randint(1, 3)):
            pod += 1
            slots = chance.choice([1, 1, 2])
            index = chance.randrange(cards)
            peak = self._stage(chance, node, events, pod, index)
            self.truth[key] = max(self.truth.get(key, 0), ceil(Fraction(peak, slots)))
            devices = [f"{node.gpu(index).uuid}::{pod}{number}" for number in range(slots)]
            node.name_pod(pod, "ml", f"p{pod}", "main", devices)
            pods.append(_pod(pod, slots))
        stranger = chance.randint(100, total // 2)
        node.run(900, {0: stranger}, command="Xorg")
        self.outside[name] = stranger
        document = _sample(node, StagedClock(events))
        self.measurements[f"r1/{name}.json"] = {**document, "host": name, "node": name}
        gpus = [fleet.gpu(product, gpu.index, name, uuid=gpu.uuid) for gpu in node.gpus.gpus]
        self.facts[name] = fleet.host_facts(gpus)
        self.entries[name] = fleet.node(cards, pods)
        return pod

    def _stage(self, chance: random.Random, node: UsageNode, events: dict[float, Any], pod: int, index: int) -> int:
        """One or two processes whose memory changes, of which one may end and leave its pid to another. Returns their peak."""
        pids = [pod * 100 + number for number in range(chance.randint(1, 2))]
        now = {pid: chance.randint(50, 1500) for pid in pids}
        for pid in pids:
            node.run(pid, {index: now[pid]}, pod=pod)
        peak = sum(now.values())
        for moment in sorted(chance.sample(range(1, SECONDS), 4)):
            pid = chance.choice(pids)
            now[pid] = chance.randint(50, 3000)
            # Fractions of a second keep events of several pods at one moment apart.
            begun_anew = chance.random() < 0.3
            events[moment - 0.5 + pod / 1000] = partial(_change, node, pid, index, now[pid], pod, begun_anew)
            peak = max(peak, sum(now.values()))
        return peak


def _change(node: UsageNode, pid: int, index: int, mib: int, pod: int, begun_anew: bool) -> None:
    gpu = node.gpu(index)
    if begun_anew:
        node.end(pid)
    gpu.processes[:] = [one for one in gpu.processes if one.pid != pid]
    node.run(pid, {index: mib}, pod=pod, start=pid * 10 + (mib if begun_anew else 0))


def _pod(number: int, slots: int) -> dict[str, Any]:
    return fleet.pod(
        f"p{number}",
        slots,
        uid=uid_of(number),
        workload={"kind": "Deployment", "namespace": "ml", "name": f"d{number % 2}"},
        containers=[{"name": "main", "id": container_of(number), "restarts": 0, "gpus": {GPU: slots}}],
    )


def _sample(node: UsageNode, clock: StagedClock) -> dict[str, Any]:
    options = node.options()
    files = NodeFiles(options["proc_root"], options["kubelet_root"], options["log_root"])
    request = UsageRequest("r1", SECONDS, 1.0, nvml_library=options["nvml_library"])
    return apart(lambda: UsageRun(request, files, clock, None).measure())


@pytest.mark.parametrize("seed", range(6))
def test_sizes_and_plan_follow_from_the_samples_alone(tmp_path: Path, seed: int) -> None:
    world = World(seed, tmp_path).make()
    cluster = fleet.cluster(world.entries)
    proposal = build_proposal(
        ProposalRequest(
            measurements=world.measurements,
            clusters=[cluster],
            configs=CONFIGS,
            host_facts=world.facts,
            min_seconds=1,
        )
    )
    assert {key: config["process_memory_mib"] for key, config in proposal["configs"].items()} == world.truth
    assert {one["node"]: one["peak_mib"] for one in proposal["outside"]} == world.outside
    assert {one["who"] for one in proposal["outside"]} == {"process 900 Xorg outside of pods"}
    assert proposal["never_ran"] == []

    configs = lay_over(CONFIGS, proposal, "proposal.json").configs
    hosts = dict.fromkeys(world.entries, "")
    idle = fleet.cluster({name: {**entry, "pods": []} for name, entry in world.entries.items()})
    plan = build_plan(PlanRequest(configs=configs, cluster=idle, host_facts=world.facts, hosts=hosts))
    for name, node in plan["nodes"].items():
        key = name.partition("-")[0]
        assert node["replicas"] == int(CEILING * KEYS[key][2] // world.truth[key])

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated cluster on which rollouts are carried out and taken back, by the modules as the role calls them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, Callable

from integration.rollout_modules.stage import GPUS, REVISION, Stage, failures, host_facts
from unit.plugins.fakes.driver import Driver

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.modules import gpu_resources_info, rollback_plan

KEY = "nvidia.com/device-plugin.config"
#: What a rollout may leave in labels; the rest is the node's own.
LABELS = (KEY, REVISION, "nvidia-device-enable", "gpu-plugin", "accelerator")


@dataclass
class Road(Stage):
    """There and back."""

    def forward(self, run: str, configs: dict[str, Any] | None = None) -> Driver:
        """Plan a rollout; the driver for it."""
        if configs is not None:
            gpu_resources_info.run(self._reading(), self.api())
            cluster = json.loads((self.directory / "cluster.json").read_text())
            hosts = {name: name for name in GPUS[self.scenario]}
            facts = {name: self.facts_of(name) for name in hosts}
            request = PlanRequest(configs, cluster, facts, hosts, on_overcommit="accept")
            self._take(build_plan(request))
        else:
            self._take(self.make_plan())
        return self.driver(run, eviction_timeout_seconds=20.0, eviction_retry_seconds=0.2)

    def back(self, run: str, **options: Any) -> Driver:
        """Plan a rollback; the driver for it."""
        self._take(self.plan_back(**options))
        nodes = tuple(node for wave in self.plan["waves"] for node in wave)
        driver = self.driver(run, eviction_timeout_seconds=20.0, eviction_retry_seconds=0.2)
        return driver.of(nodes=nodes)

    def plan_back(self, **options: Any) -> dict[str, Any]:
        gpu_resources_info.run(self._reading(), self.api())
        spec = rollback_plan.argument_spec().options
        given = {name: option.get("default") for name, option in spec.items()}
        paths = {"cluster_path": str(self.directory / "cluster.json"), "dest": str(self.directory / "plan.json")}
        rollback_plan.run({**given, **paths, **options}, self.api())
        return json.loads((self.directory / "plan.json").read_text())

    def facts_of(self, name: str) -> dict[str, Any]:
        """Facts as NVML gives them."""
        return host_facts(name, GPUS[self.scenario][name])

    def write_facts(self, name: str, slots: dict[str, int]) -> str:
        """What gpu_info would have found on a node of one GPU: slots by pod UID. The directory."""
        directory = self.directory / "facts"
        directory.mkdir(exist_ok=True)
        held = [
            {"pod_uid": uid, "container": "c", "resource": "nvidia.com/gpu", "device_ids": [f"GPU-1::{slot}"]}
            for uid, slot in slots.items()
        ]
        facts = {"nvml_available": True, "gpus": [{"uuid": "GPU-1", "processes": []}], "allocations": held}
        document = {"schema_version": 1, "host": name, "node": name, "facts": facts}
        (directory / f"{name}.json").write_text(json.dumps(document))
        return str(directory)

    def labels(self) -> dict[str, dict[str, str]]:
        """What matters of the labels of all GPU nodes."""
        return {
            name: {key: value for key, value in self.node(name)["metadata"]["labels"].items() if key in LABELS}
            for name in GPUS[self.scenario]
        }

    def amounts(self) -> dict[str, int]:
        return {name: self.allocatable(name) for name in GPUS[self.scenario]}

    def out_of_service(self) -> list[str]:
        return [name for name in GPUS[self.scenario] if not self.schedulable(name)]

    def daemonset(self, title: str) -> dict[str, Any]:
        namespace, _slash, name = title.partition("/")
        return self.client.get(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")

    def wait_for(self, met: Callable[[], bool], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not met():
            assert time.monotonic() < deadline
            time.sleep(0.1)

    def _reading(self) -> dict[str, Any]:
        path = str(self.directory / "cluster.json")
        return {"dest": path, "namespace": "kubegpu-system", "resource_prefix": "nvidia.com/", "nodes": []}

    def _take(self, plan: dict[str, Any]) -> None:
        """From now on this plan is carried out, and the law knows of what it makes."""
        self.plan = plan
        (self.directory / "plan.json").write_text(json.dumps(plan))
        if self.law is not None:
            self.law.learn(plan)


def steps_back(driver: Driver) -> list[Callable[..., dict[str, Any]]]:
    """A rollback's steps after the lock."""
    waves = driver.wave_steps if driver.nodes else []
    return [driver.snapshot, driver.present, *waves, driver.reverted, driver.pruned]


def go_back(driver: Driver) -> dict[str, dict[str, Any]]:
    """The whole of it."""
    driver.lock()
    results = {step.__name__: step() for step in steps_back(driver)}
    driver.unlock()
    assert failures(results) == {}
    return results

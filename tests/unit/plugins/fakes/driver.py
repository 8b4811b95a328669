# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout by the modules' own run(), in the order of the role, against any API server."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Callable

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.modules import (
    device_plugin,
    maintenance_lock,
    node_maintenance,
    nvml_holders,
    rollout_health_info,
    rollout_snapshot,
)

Result = dict[str, Any]


@dataclass(frozen=True)
class Driver:
    """Calls modules for one run. Every method returns a module's result."""

    api: KubeApi
    clock: Clock
    plan_path: str
    nodes: tuple[str, ...]
    run: str = "run-1"
    check_mode: bool = False
    journal: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def of(self, **changes: Any) -> Driver:
        """The same, with another run, other nodes or check mode."""
        return replace(self, **changes)

    def lock(self, **more: Any) -> Result:
        return self._call(maintenance_lock, state="present", **more)

    def unlock(self, **more: Any) -> Result:
        return self._call(maintenance_lock, state="absent", **more)

    def snapshot(self, **more: Any) -> Result:
        return self._call(rollout_snapshot, state="present", **more)

    def present(self, **more: Any) -> Result:
        return self._call(device_plugin, state="present", **more)

    def in_maintenance(self, **more: Any) -> Result:
        return self._call(node_maintenance, state="in_maintenance", **more)

    def paused(self, **more: Any) -> Result:
        return self._call(nvml_holders, state="paused", **more)

    def resumed(self, **more: Any) -> Result:
        return self._call(nvml_holders, state="resumed", **more)

    def withdrawn(self, **more: Any) -> Result:
        return self._call(device_plugin, state="withdrawn", **more)

    def serving(self, **more: Any) -> Result:
        return self._call(device_plugin, state="serving", **more)

    def in_service(self, **more: Any) -> Result:
        return self._call(node_maintenance, state="in_service", **more)

    def recorded(self, **more: Any) -> Result:
        return self._call(rollout_health_info, record=True, **more)

    def watched(self, **more: Any) -> Result:
        return self._call(rollout_health_info, **more)

    def failed(self, **more: Any) -> Result:
        return self._call(node_maintenance, state="failed", **more)

    def reverted(self, **more: Any) -> Result:
        return self._call(device_plugin, state="reverted", **more)

    def pruned(self, **more: Any) -> Result:
        return self._call(device_plugin, state="pruned", **more)

    @property
    def begin_steps(self) -> list[Callable[..., Result]]:
        return [self.lock, self.snapshot, self.present]

    @property
    def wave_steps(self) -> list[Callable[..., Result]]:
        return [self.in_maintenance, self.withdrawn, self.serving, self.in_service]

    @property
    def steps(self) -> list[Callable[..., Result]]:
        return [*self.begin_steps, *self.wave_steps, self.pruned]

    def roll_out(self) -> dict[str, Result]:
        """All steps; nodes that fail are left out of the next steps, as the role does."""
        results: dict[str, Result] = {}
        driver = self
        for step in self.steps:
            name = step.__name__
            results[name] = getattr(driver, name)()
            failed = results[name].get("failed_nodes", [])
            driver = driver.of(nodes=tuple(node for node in driver.nodes if node not in failed))
        results["unlock"] = self.unlock()
        return results

    def _call(self, module: Any, **params: Any) -> Result:
        spec = module.argument_spec().options
        given = {
            "run": self.run,
            "plan_path": self.plan_path,
            "nodes": list(self.nodes),
            "journal_path": str(self.journal) if self.journal else None,
            **self.options,
            **params,
        }
        unknown = set(params) - set(spec)
        assert not unknown, f"{module.__name__} has no options {unknown}"
        defaults = {name: option.get("default") for name, option in spec.items()}
        chosen = {name: given.get(name, default) for name, default in defaults.items()}
        return module.run(chosen, self.api, self.clock, self.check_mode).to_result()

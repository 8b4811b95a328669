# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node with simulated GPUs, whose MIG is configured through the genuine pynvml in a process of its own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from integration.apart import apart

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import NvmlUnavailableError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_config import configure
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import MigRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml
from simulator.nvml.mig_state import MigState, changing
from simulator.nvml.state import NodeGpus, install

POD = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
Places = tuple[tuple[str, int], ...]


@dataclass
class Node:
    """:param gpus: what its library shows; ``write`` after a change."""

    directory: Path
    gpus: NodeGpus

    @classmethod
    def make(cls, directory: Path, *cards: str, **settings: Any) -> Node:
        """A node with those cards, without MIG."""
        node = cls(directory, NodeGpus.of("node", cards))
        for name, value in settings.items():
            setattr(node.gpus, name, value)
        install(directory)
        node.write()
        (directory / "proc").mkdir()
        return node

    def write(self) -> None:
        self.gpus.write(self.directory)

    def uuid(self, index: int = 0) -> str:
        return self.gpus.gpus[index].uuid

    def lay_out(self, places: Places, index: int = 0, slices: int | None = None) -> None:
        """MIG on, and these instances."""
        with changing(self.directory) as mig:
            mig.switch(self.uuid(index), True)
            for profile, start in places:
                mig.create(self.uuid(index), profile, start, slices)

    def places(self, index: int = 0) -> Places:
        """GPU instances by place, as they really stand; those without compute instance have a "-"."""
        gpu = MigState.read(self.directory).gpus[self.uuid(index)]
        found = ((one.profile if one.compute else f"{one.profile}-", one.start) for one in gpu.instances)
        return tuple(sorted(found, key=lambda place: place[1]))

    def mode(self, index: int = 0) -> tuple[bool, bool]:
        gpu = MigState.read(self.directory).gpus[self.uuid(index)]
        return gpu.mode, gpu.pending

    def devices(self, index: int = 0) -> dict[tuple[int, int], str]:
        """UUIDs of MIG devices by their ids: one that was made anew has another."""
        found = MigState.read(self.directory).devices(self.uuid(index))
        return {(one.gpu_instance, one.compute_instance): one.uuid for one in found}

    def allocate(self, *devices: str, lives: bool = True) -> None:
        """What the kubelet notes of a pod that was given devices."""
        resource = "nvidia.com/mig-1g.12gb"
        entry = {"PodUID": POD, "ContainerName": "c", "ResourceName": resource, "DeviceIDs": list(devices)}
        checkpoint = self.directory / "kubelet/device-plugins/kubelet_internal_checkpoint"
        checkpoint.parent.mkdir(parents=True)
        checkpoint.write_text(json.dumps({"Data": {"PodDeviceEntries": [entry]}, "Checksum": 0}), encoding="utf-8")
        pods = self.directory / "kubelet/pods"
        pods.mkdir()
        if lives:
            (pods / POD).mkdir()

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def ready(self) -> Path:
        return self.directory / "run" / "ready"

    def request(self, **options: Any) -> MigRequest:
        return MigRequest(
            **{
                "lock_path": str(self.directory / "lock"),
                "state_dir": str(self.state_dir),
                "ready_path": str(self.ready),
                **options,
            }
        )

    def configure(self, **options: Any) -> dict[str, Any]:
        """What configure() returns, or of its error ``failed``, ``msg`` and its facts; nothing if it was killed."""
        return self.apart(lambda: self.configure_here(**options))

    def configure_here(self, **options: Any) -> dict[str, Any]:
        """The same, in this process: only where it is one of its own already, for the library stays loaded."""
        request = self.request(**options)
        files = NodeFiles(str(self.directory / "proc"), str(self.directory / "kubelet"))
        try:
            with open_nvml(str(self.directory / "libnvidia-ml.so.1"), None, files) as nvml:
                return configure(request, nvml, files)
        except NvmlUnavailableError as unavailable:
            return {"failed": True, "msg": unavailable.reason}
        except KubeGpuError as error:
            return {"failed": True, "msg": error.msg, **error.facts}

    def apart(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Work in a process of its own."""
        return apart(work)

"""MIG of one node: at the start what the scenario says, from then on what stands, whoever made it so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from simulator.controllers.kubelet.mig import MigDevice, MigView
from simulator.nvml.mig_state import MigGpu, MigState, changing
from simulator.nvml.state import Gpu, NodeGpus


@dataclass(frozen=True)
class MigSpec:
    """What a scenario says about a card's MIG: the mode, and how many instances of which profile."""

    enabled: bool = False
    devices: dict[str, int] = field(default_factory=dict)


class NodeMig:
    """Read anew at every look: clients of the library change it. Without a directory nobody can."""

    def __init__(self, gpus: NodeGpus, specs: Sequence[MigSpec], directory: Path | None) -> None:
        self.gpus = gpus
        self._planned = directory
        #: Where the state is read from, once it is there.
        self._directory: Path | None = None
        self._capable = any(gpu.card.mig is not None for gpu in gpus.gpus)
        self._memory = MigState(
            {gpu.uuid: _blank(gpu) for gpu in gpus.gpus if gpu.card.mig is not None},
            driver_version=gpus.driver_version,
        )
        for gpu, spec in zip(gpus.gpus, specs):
            if spec.enabled:
                self._memory.switch(gpu.uuid, True)
                self._memory.lay_out(gpu.uuid, spec.devices)

    def set_up(self) -> None:
        """Write what the scenario says beside the library."""
        if self._planned is not None and self._capable:
            self._memory.write(self._planned)
            self._directory = self._planned

    def view(self) -> MigView:
        """What stands now."""
        if not self._capable:
            return MigView()
        state = self._memory if self._directory is None else MigState.read(self._directory)
        enabled = frozenset(uuid for uuid, gpu in state.gpus.items() if gpu.mode)
        by_gpu = {gpu.uuid: _devices(state, gpu) for gpu in self.gpus.gpus if gpu.uuid in enabled}
        return MigView(enabled, by_gpu)

    def reboot(self) -> None:
        """The machine went down: instances vanish, and the mode with them where it does not outlive that."""
        if not self._capable:
            return
        if self._directory is None:
            self._memory.reboot()
            return
        with changing(self._directory) as state:
            state.reboot()


def _blank(gpu: Gpu) -> MigGpu:
    assert gpu.card.mig is not None
    return MigGpu(gpu.uuid, gpu.card.mig, persistent=not gpu.card.mig_mode_is_volatile)


def _devices(state: MigState, gpu: Gpu) -> list[MigDevice]:
    return [
        MigDevice(item.uuid, gpu, index, item.gpu_instance, item.compute_instance, item.profile, item.slices)
        for index, item in enumerate(state.devices(gpu.uuid))
    ]

"""How the device plugin finds its devices, MIG devices among them, in the order and with the words of the real one. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulator.controllers.kubelet.mig import MigDevice, MigView, resource_suffix
from simulator.controllers.kubelet.plugin_config import DOMAIN, PluginError, Version
from simulator.nvml.state import Gpu, NodeGpus, NvmlError

GPU = f"{DOMAIN}/gpu"
#: What nvmlErrorString says.
ERROR_TEXTS = {
    NvmlError.UNINITIALIZED: "Uninitialized",
    NvmlError.INVALID_ARGUMENT: "Invalid Argument",
    NvmlError.NOT_SUPPORTED: "Not Supported",
    NvmlError.NO_PERMISSION: "Insufficient Permissions",
    NvmlError.NOT_FOUND: "Not Found",
    NvmlError.INSUFFICIENT_SIZE: "Insufficient Size",
    NvmlError.DRIVER_NOT_LOADED: "Driver Not Loaded",
    NvmlError.TIMEOUT: "Timeout",
    NvmlError.FUNCTION_NOT_FOUND: "Function Not Found",
    NvmlError.GPU_IS_LOST: "GPU is lost",
    NvmlError.RESET_REQUIRED: "GPU requires reset",
    NvmlError.LIB_RM_VERSION_MISMATCH: "Driver/library version mismatch",
    NvmlError.IN_USE: "In use by another client",
    NvmlError.MEMORY: "Insufficient Memory",
    NvmlError.INSUFFICIENT_RESOURCES: "Insufficient Resources",
    NvmlError.UNKNOWN: "Unknown Error",
}
#: From this version on the words around the errors are other ones.
REWORDED: Version = (0, 17, 0)


@dataclass(frozen=True)
class Unit:
    """A device before it is shared: a whole GPU, or a MIG device of one."""

    uuid: str
    gpu: Gpu
    mig: MigDevice | None = None


class _NvmlCallError(Exception):
    """A call of NVML's failed, with its words."""


@dataclass(frozen=True)
class Enumeration:
    """One start of the plugin. ``may_monitor``: whether NVML tells it of MIG devices that are not its own."""

    gpus: NodeGpus
    mig: MigView
    strategy: str
    may_monitor: bool
    version: Version

    def units(self) -> dict[str, list[Unit]]:
        """Devices by resource. Raises PluginError with what the real one logs before it ends."""
        if self.strategy == "mixed":
            self._learn_profiles()
        try:
            found = self._built()
        except _BuildError as error:
            prefix = (
                "unable to create plugins: failed to construct resource managers"
                if self.version >= REWORDED
                else "failed to construct NVML resource managers"
            )
            raise PluginError(
                f"error starting plugins: error getting plugins: {prefix}: error building device map: "
                f"error building device map from config.resources: {error}"
            ) from None
        return found

    def _learn_profiles(self) -> None:
        """Under ``mixed`` every profile that a card could have becomes a resource, which needs the card's memory size."""
        for gpu in self.gpus.gpus:
            if gpu.card.mig is None:
                continue
            try:
                self._call(gpu, "nvmlDeviceGetMemoryInfo", needs_monitor=self.mig.is_enabled(gpu))
            except _NvmlCallError as error:
                raise PluginError(
                    "error starting plugins: unable to add default resources to config: error visiting devices: "
                    f"error visiting device: error visiting device: error getting device memory info: {error}"
                ) from None

    def _built(self) -> dict[str, list[Unit]]:
        whole = self._whole()
        if self.strategy == "none":
            return {GPU: whole} if whole else {}
        found: dict[str, list[Unit]] = {}
        for device in self._devices(self._checked):
            resource = GPU if self.strategy == "single" else f"{DOMAIN}/mig-{resource_suffix(device.name)}"
            found.setdefault(resource, []).append(Unit(device.uuid, device.gpu, device))
        self._check_configured()
        if self.strategy == "single":
            self._check_uniform()
            if whole and found:
                raise _BuildError("all devices on the node must be configured with the same migEnabled value")
        if whole:
            found[GPU] = whole
        return found

    def _whole(self) -> list[Unit]:
        found = []
        for gpu in self.gpus.gpus:
            try:
                self._call(gpu, "nvmlDeviceGetName")
            except _NvmlCallError as error:
                raise _BuildError(
                    f"error building GPU device map: error visiting device: error getting product name for GPU: {error}"
                ) from None
            if not self._is_enabled(gpu) or self.strategy == "none":
                found.append(Unit(gpu.uuid, gpu))
        return found

    def _is_enabled(self, gpu: Gpu) -> bool:
        if gpu.card.mig is None:
            return False
        try:
            self._call(gpu, "nvmlDeviceGetMigMode")
        except _NvmlCallError as error:
            raise _BuildError(
                "error building GPU device map: error visiting device: "
                f"error checking if MIG is enabled on GPU: error getting MIG mode: {error}"
            ) from None
        return self.mig.is_enabled(gpu)

    def _devices(self, check: Callable[[MigDevice], None]) -> Iterator[MigDevice]:
        """MIG devices of all GPUs, each looked at by ``check``."""
        for gpu in self.gpus.gpus:
            for device in self.mig.devices(gpu):
                try:
                    check(device)
                except _BuildError as error:
                    raise _BuildError(
                        "error building MIG device map: error visiting devices: error visiting device: "
                        f"error visiting device: error visiting MIG device: error visiting MIG device: {error}"
                    ) from None
                yield device

    def _checked(self, device: MigDevice) -> None:
        place = f"'({device.gpu.index}, {device.index})'"
        steps = (
            ("nvmlDeviceGetMemoryInfo", "parent memory info", True),
            ("nvmlDeviceGetAttributes", "MIG device attributes", False),
            ("nvmlDeviceGetGpuInstanceById", "GPU Instance", False),
            ("nvmlGpuInstanceGetComputeInstanceById", "Compute Instance", False),
        )
        for function, what, needs_monitor in steps:
            try:
                self._call(device.gpu, function, needs_monitor=needs_monitor)
            except _NvmlCallError as error:
                raise _BuildError(
                    f"error getting MIG profile for MIG device at index {place}: error getting {what}: {error}"
                ) from None
        if self.strategy == "mixed" and not device.whole:
            raise _BuildError(f"MIG profile '{device.name}' does not match any resource patterns")

    def _check_configured(self) -> None:
        """A GPU whose MIG mode is on has to have a device. The real one's message calls each such GPU 0."""
        if any(self.mig.is_enabled(gpu) and not self.mig.devices(gpu) for gpu in self.gpus.gpus):
            raise _BuildError(
                "invalid MIG configuration: at least one device with migEnabled=true was not configured correctly: "
                "error visiting device: device 0 has an invalid MIG configuration"
            )

    def _check_uniform(self) -> None:
        kinds = {tuple(item.attributes.values()) for gpu in self.gpus.gpus for item in self.mig.devices(gpu)}
        if len(kinds) > 1:
            raise _BuildError(
                "invalid MIG configuration: error visiting devices: error visiting device: error visiting device: "
                "error visiting MIG device: error visiting MIG device: more than one MIG device type present on node"
            )

    def _call(self, gpu: Gpu, function: str, *, needs_monitor: bool = False) -> None:
        """Raises _NvmlCallError where NVML would refuse: a fault, or a right that the container lacks."""
        error = next((faults[function] for faults in (gpu.faults, self.gpus.faults) if function in faults), None)
        if error is None and needs_monitor and not self.may_monitor:
            error = NvmlError.NO_PERMISSION
        if error is not None:
            raise _NvmlCallError(ERROR_TEXTS.get(NvmlError(error), "Unknown Error"))


class _BuildError(Exception):
    """The device map cannot be built; the text is how the message ends."""

"""GPU Feature Discovery: the labels that describe a node's cards, how they are cut and how they are shared. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from simulator.controllers.facts import Facts
from simulator.controllers.kubelet.enumeration import GPU
from simulator.controllers.kubelet.mig import MigDevice, MigView, resource_suffix
from simulator.controllers.kubelet.plugin_config import DOMAIN, Settings
from simulator.nvml.cards import Card
from simulator.nvml.state import NodeGpus, cuda_driver_version

PREFIX = f"{DOMAIN}/"


def labels(gpus: NodeGpus, settings: Settings, facts: Facts, mig: MigView) -> dict[str, str]:
    """All labels with the prefix nvidia.com/ that GFD puts on the node."""
    if not gpus.gpus or gpus.fault is not None:
        return {}
    found = {**_general(gpus, settings), **_of_gpus(gpus, settings, facts, mig)}
    if settings.mig_strategy != "none":
        found[f"{PREFIX}mig.strategy"] = settings.mig_strategy
        found |= _of_mig_devices(gpus, settings, facts, mig)
    return found


def _general(gpus: NodeGpus, settings: Settings) -> dict[str, str]:
    driver = (gpus.driver_version.split(".") + ["", ""])[:3]
    cuda = cuda_driver_version(gpus.driver_version)
    found = {
        "gpu.present": "true",
        "gpu.machine": "Standard-PC",
        "gpu.mode": "compute",
        "gpu.sharing-strategy": settings.mechanism,
        "mig.capable": str(any(gpu.card.mig is not None for gpu in gpus.gpus)).lower(),
        "mps.capable": "false",
        "cuda.driver.major": driver[0],
        "cuda.driver.minor": driver[1],
        "cuda.driver.rev": driver[2],
        "cuda.driver-version.full": gpus.driver_version,
        "cuda.driver-version.major": driver[0],
        "cuda.driver-version.minor": driver[1],
        "cuda.driver-version.revision": driver[2],
        "cuda.runtime-version.full": f"{cuda // 1000}.{cuda % 1000 // 10}",
        "cuda.runtime-version.major": str(cuda // 1000),
        "cuda.runtime-version.minor": str(cuda % 1000 // 10),
    }
    return {PREFIX + name: value for name, value in found.items()}


def _of_gpus(gpus: NodeGpus, settings: Settings, facts: Facts, mig: MigView) -> dict[str, str]:
    """Of whole cards; where MIG is on everywhere, without a word of sharing."""
    whole = next((gpu.card for gpu in gpus.gpus if not mig.is_enabled(gpu)), None)
    card = whole or gpus.gpus[0].card
    major, minor = card.compute_capability.split(".")
    found: Mapping[str, object] = {
        "memory": card.memory_total_mib,
        "family": card.architecture.split()[0].lower(),
        "compute.major": major,
        "compute.minor": minor,
    }
    base = _base(GPU, len(gpus.gpus), card, settings, facts)
    if whole is None:
        base |= {f"{GPU}.product": _spelled(card.product), f"{GPU}.replicas": "0"}
    return base | {f"{GPU}.{name}": str(value) for name, value in found.items()}


def _of_mig_devices(gpus: NodeGpus, settings: Settings, facts: Facts, mig: MigView) -> dict[str, str]:
    cut = [gpu for gpu in gpus.gpus if mig.is_enabled(gpu)]
    kinds: dict[str, list[MigDevice]] = {}
    for gpu in cut:
        for device in mig.devices(gpu):
            kinds.setdefault(resource_suffix(device.name), []).append(device)
    single = settings.mig_strategy == "single"
    if single and cut and (len(kinds) != 1 or len(cut) < len(gpus.gpus) or not all(map(mig.devices, cut))):
        invalid = {"product": f"{_spelled(cut[0].card.product)}-MIG-INVALID", "count": 0, "replicas": 0, "memory": 0}
        return {f"{GPU}.{name}": str(value) for name, value in invalid.items()}
    found: dict[str, str] = {}
    for name, devices in kinds.items():
        resource = GPU if single else f"{DOMAIN}/mig-{name}"
        found |= _base(resource, len(devices), devices[0].gpu.card, settings, facts, profile=name)
        found |= {f"{resource}.{key}": str(value) for key, value in devices[0].attributes.items()}
    return found


def _base(
    resource: str, count: int, card: Card, settings: Settings, facts: Facts, *, profile: str = ""
) -> dict[str, str]:
    """Product, count and replicas. A shared product bears another name, and so does one that is cut."""
    shared = settings.replicas.get(resource, 0)
    product = _spelled(card.product) + (f"-MIG-{profile}" if profile and facts.gfd_suffixes_product else "")
    if shared and not settings.rename and facts.gfd_suffixes_product:
        product += "-SHARED"
    return {f"{resource}.product": product, f"{resource}.count": str(count), f"{resource}.replicas": str(shared or 1)}


def _spelled(product: str) -> str:
    return product.replace(" ", "-")

"""GPU Feature Discovery: the labels that describe a node's cards and how they are shared. Pure."""

from __future__ import annotations

from simulator.controllers.facts import Facts
from simulator.controllers.kubelet.plugin import GPU
from simulator.controllers.kubelet.plugin_config import Settings
from simulator.nvml.state import NodeGpus, cuda_driver_version

PREFIX = "nvidia.com/"


def labels(gpus: NodeGpus, settings: Settings, facts: Facts) -> dict[str, str]:
    """All labels with the prefix nvidia.com/ that GFD puts on the node."""
    if not gpus.gpus or gpus.fault is not None:
        return {}
    card = gpus.gpus[0].card
    shared = settings.replicas.get(GPU, 0)
    product = card.product.replace(" ", "-")
    if shared and not settings.rename and facts.gfd_suffixes_product:
        product += "-SHARED"
    major, minor = card.compute_capability.split(".")
    driver = (gpus.driver_version.split(".") + ["", ""])[:3]
    cuda = cuda_driver_version(gpus.driver_version)
    found = {
        "gpu.present": "true",
        "gpu.product": product,
        "gpu.count": str(len(gpus.gpus)),
        "gpu.replicas": str(shared or 1),
        "gpu.sharing-strategy": settings.mechanism,
        "gpu.memory": str(card.memory_total_mib),
        "gpu.family": card.architecture.split()[0].lower(),
        "gpu.compute.major": major,
        "gpu.compute.minor": minor,
        "gpu.machine": "Standard-PC",
        "gpu.mode": "compute",
        "mig.capable": str(card.mig is not None).lower(),
        "mig.strategy": settings.mig_strategy,
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

"""Kubernetes quantities, and what a pod asks for as the scheduler counts it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from typing import Any

Object = dict[str, Any]
#: Resource name to amount: CPU in millicores, everything else in its own unit (bytes, devices, pods).
Amounts = dict[str, int]

_SUFFIXES = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
    "Ei": Decimal(2**60),
}


@lru_cache(maxsize=4096)
def parse_quantity(text: str) -> Decimal:
    """``500m``, ``256Gi``, ``1e3``, ``2`` as a number."""
    digits = text.rstrip("numkMGTPEi")
    if digits and digits[-1] in "eE":
        return Decimal(text)
    return Decimal(digits) * _SUFFIXES[text[len(digits) :]]


def amount(resource: str, quantity: Any) -> int:
    """The quantity of a resource as an integer, rounded up: millicores for CPU."""
    value = parse_quantity(str(quantity))
    scaled = value * 1000 if resource == "cpu" else value
    whole = int(scaled)
    return whole if whole == scaled else whole + 1


def amounts(quantities: Object | None) -> Amounts:
    return {name: amount(name, quantity) for name, quantity in (quantities or {}).items()}


def add(first: Amounts, second: Amounts) -> Amounts:
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def largest(first: Amounts, second: Amounts) -> Amounts:
    return {name: max(first.get(name, 0), second.get(name, 0)) for name in {**first, **second}}


def pod_requests(pod: Object) -> Amounts:
    """What the scheduler reserves for a pod.

    Containers and restartable init containers (sidecars) run together; an ordinary init container runs alone, beside
    the sidecars started before it. The larger of the two counts, plus the pod's overhead.
    """
    spec = pod["spec"]
    running = _sum(container_requests(item) for item in spec.get("containers", []))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for item in spec.get("initContainers", []):
        wanted = container_requests(item)
        if item.get("restartPolicy") == "Always":
            sidecars = add(sidecars, wanted)
            wanted = sidecars
        else:
            wanted = add(sidecars, wanted)
        starting = largest(starting, wanted)
    return add(largest(add(running, sidecars), starting), amounts(spec.get("overhead")))


def container_requests(container: Object) -> Amounts:
    resources = container.get("resources") or {}
    return amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def _sum(items: Iterable[Amounts]) -> Amounts:
    total: Amounts = {}
    for item in items:
        total = add(total, item)
    return total

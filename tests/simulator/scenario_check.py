"""What a scenario may say: every problem of one, in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from simulator.nvml.cards import CARDS, Card
from simulator.nvml.mig_layouts import place
from simulator.nvml.state import NvmlError

Object = dict[str, Any]

TOP_KEYS = {
    "name": str,
    "description": str,
    "kubernetes_version": str,
    "speed": (int, float),
    "gfd": bool,
    "heartbeats": bool,
    "files": bool,
    "nodes": list,
    "history": list,
}
NODE_KEYS = {
    "name": str,
    "count": int,
    "labels": dict,
    "annotations": dict,
    "taints": list,
    "gpus": list,
    "driver_version": str,
    "cpu": (str, int),
    "memory": (str, int),
    "pods": int,
    "gfd": bool,
    "cgroup_version": int,
    "cgroup_driver": str,
    "container_runtime": str,
    "kubelet_version": str,
    "nvml_fault": str,
    "host_services": list,
    "gpu_reset": str,
}
GPU_KEYS = {"card": str, "count": int, "mig": dict}
MIG_KEYS = {"mode": str, "devices": dict}
STEP_KEYS = {"age": str, "apply": list, "delete": list, "label_nodes": dict, "cordon": list}
CHOICES = {
    "cgroup_version": (1, 2),
    "cgroup_driver": ("systemd", "cgroupfs"),
    "container_runtime": ("containerd", "cri-o", "docker"),
    "mode": ("enabled", "disabled"),
    "gpu_reset": ("nvml", "command", "reboot"),
    "nvml_fault": tuple(error.name for error in NvmlError),
}
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


def problems_of(content: Object) -> Iterator[str]:
    """Everything that is wrong with a scenario's data."""
    yield from _check_mapping("", content, TOP_KEYS, required=("name", "nodes"))
    if isinstance(content.get("speed"), (int, float)) and content["speed"] <= 0:
        yield f"speed: must be positive, not {content['speed']}"
    names: set[str] = set()
    for number, node in enumerate(content.get("nodes") or [] if isinstance(content.get("nodes"), list) else []):
        where = f"nodes[{number}]"
        yield from _check_mapping(where, node, NODE_KEYS, required=("name",))
        if isinstance(node, dict) and isinstance(node.get("name"), str):
            yield from _check_node(where, node, names)
    ages: list[timedelta] = []
    for number, step in enumerate(content.get("history") or [] if isinstance(content.get("history"), list) else []):
        where = f"history[{number}]"
        yield from _check_mapping(where, step, STEP_KEYS, required=("age",))
        if isinstance(step, dict):
            yield from _check_step(where, step, ages)


def _check_mapping(where: str, value: Any, keys: Object, required: Sequence[str]) -> Iterator[str]:
    prefix = f"{where}: " if where else ""
    if not isinstance(value, dict):
        yield f"{prefix}must be a mapping, not {value!r}"
        return
    for key in sorted(set(value) - set(keys), key=str):
        yield f"{prefix}unknown key {key!r}; known are {', '.join(sorted(keys))}"
    for key in required:
        if key not in value:
            yield f"{prefix}{key} is missing"
    for key, item in value.items():
        wanted = keys.get(key)
        if wanted is None:
            continue
        if not isinstance(item, wanted) or (isinstance(item, bool) and wanted is not bool):
            kind = wanted[0] if isinstance(wanted, tuple) else wanted
            yield f"{prefix}{key} must be a {kind.__name__}, not {item!r}"
        elif key in CHOICES and item not in CHOICES[key]:
            yield f"{prefix}{key} must be one of {', '.join(map(str, CHOICES[key]))}, not {item!r}"


def _check_node(where: str, node: Object, names: set[str]) -> Iterator[str]:
    count = node.get("count", 1)
    if "count" in node and "{n}" not in node["name"]:
        yield f"{where}: with count the name must hold {{n}}, as in gpu-{{n}}"
    if isinstance(count, int) and count < 1:
        yield f"{where}: count must be at least 1, not {count}"
    for name in names_of(node):
        if not NODE_NAME.fullmatch(name):
            yield f"{where}: {name!r} is no legal node name (lower-case letters, digits, '-' and '.')"
        if name in names:
            yield f"{where}: there are two nodes named {name}"
        names.add(name)
    for unit in node.get("host_services") or [] if isinstance(node.get("host_services"), list) else []:
        if not isinstance(unit, str) or not unit.endswith(".service"):
            yield f"{where}.host_services: {unit!r} is no systemd service such as nvidia-dcgm.service"
    for position, item in enumerate(node.get("gpus") or [] if isinstance(node.get("gpus"), list) else []):
        yield from _check_gpu(f"{where}.gpus[{position}]", item)


def _check_gpu(where: str, gpu: Any) -> Iterator[str]:
    yield from _check_mapping(where, gpu, GPU_KEYS, required=("card",))
    if not isinstance(gpu, dict) or not isinstance(gpu.get("card"), str):
        return
    if gpu["card"] not in CARDS:
        yield f"{where}: no card {gpu['card']!r}; there are {', '.join(CARDS)}"
    elif isinstance(gpu.get("mig"), dict):
        yield from _check_mig(f"{where}.mig", gpu["mig"], CARDS[gpu["card"]])


def _is_count(value: object) -> bool:
    """A whole number from 1 on; YAML's true is none."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _check_mig(where: str, given: Object, card: Card) -> Iterator[str]:
    yield from _check_mapping(where, given, MIG_KEYS, required=("mode",))
    devices = given.get("devices") or {}
    if card.mig is None:
        yield f"{where}: {card.key} knows no MIG"
    elif not isinstance(devices, dict) or not all(_is_count(count) for count in devices.values()):
        yield f"{where}.devices: must be counts of at least 1 by profile, such as 1g.12gb: 7"
    elif devices and given.get("mode") != "enabled":
        yield f"{where}: devices need mode: enabled"
    else:
        try:
            place(card.mig, devices)
        except (KeyError, ValueError) as error:
            yield f"{where}.devices: {error.args[0]}"


def _check_step(where: str, step: Object, ages: list[timedelta]) -> Iterator[str]:
    if isinstance(step.get("age"), str):
        try:
            age = parse_age(step["age"])
        except ValueError as error:
            yield f"{where}: {error}"
        else:
            if ages and age > ages[-1]:
                yield f"{where}: age {step['age']} is before the step above it; steps go from the oldest to the newest"
            ages.append(age)
    for key in ("apply", "delete"):
        for position, manifest in enumerate(step.get(key) or [] if isinstance(step.get(key), list) else []):
            known = isinstance(manifest, dict) and isinstance(manifest.get("metadata"), dict)
            if not known or not {"apiVersion", "kind"} <= set(manifest) or "name" not in manifest["metadata"]:
                yield f"{where}.{key}[{position}]: needs apiVersion, kind and metadata.name"


def parse_age(text: str) -> timedelta:
    """``28d``, ``1d12h``, ``90m``, ``0s``."""
    parts = re.findall(r"(\d+)([dhms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"age {text!r} is none like 28d, 1d12h, 90m or 0s")
    return timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))


def names_of(node: Object) -> list[str]:
    """The nodes that one entry stands for."""
    if "count" not in node:
        return [node["name"]]
    count = node["count"] if isinstance(node["count"], int) else 1
    return [node["name"].replace("{n}", str(number)) for number in range(1, count + 1)]

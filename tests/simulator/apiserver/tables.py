"""Tables for ``kubectl get``: columns from a data file, cells by kind."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any

import yaml

from simulator.apiserver.podstatus import pod_restarts, pod_status, ready_containers
from simulator.apiserver.resources import DATA, ResourceType
from simulator.apiserver.selectors import selector_string

Object = dict[str, Any]
Cells = Callable[[Object, datetime], list[Any]]

NONE = "<none>"
UNKNOWN = "<unknown>"
ROLE_PREFIX = "node-role.kubernetes.io/"


def render(kind: ResourceType, objects: list[Object], now: datetime, include: str, *, columns: bool = True) -> Object:
    """A Table; ``include`` is None, Metadata or Object. A watch sends the columns with its first event only."""
    definitions = _custom_columns(kind) if kind.custom else _columns(kind.key)
    rows = [{"cells": _cells(kind, obj, now), "object": _row_object(obj, include)} for obj in objects]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": definitions if columns else [],
        "rows": rows,
    }


def _row_object(obj: Object, include: str) -> Object | None:
    if include == "None":
        return None
    if include == "Object":
        return obj
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


@lru_cache(maxsize=1)
def _column_table() -> dict[str, list[str]]:
    table: dict[str, list[str]] = yaml.safe_load((DATA / "columns.yml").read_text())
    return table


@lru_cache(maxsize=128)
def _columns(resource: str) -> list[Object]:
    names = _column_table().get(resource, ["Created At:date"])
    return [_column("Name", "string", "name", 0), *map(_parsed_column, names)]


def _parsed_column(text: str) -> Object:
    text, _unused, priority = text.partition("/")
    name, _unused, kind = text.partition(":")
    return _column(name, kind or "string", "", int(priority or 0))


def _column(name: str, kind: str, text_format: str, priority: int) -> Object:
    return {
        "name": name,
        "type": kind,
        "format": text_format,
        "description": f"{name} of the object.",
        "priority": priority,
    }


def _custom_columns(kind: ResourceType) -> list[Object]:
    extra = kind.columns or ({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},)
    shown = [_column(item["name"], item["type"], item.get("format", ""), item.get("priority", 0)) for item in extra]
    return [_column("Name", "string", "name", 0), *shown]


def _cells(kind: ResourceType, obj: Object, now: datetime) -> list[Any]:
    name = obj["metadata"]["name"]
    if kind.custom:
        paths = [item["jsonPath"] for item in kind.columns] or [".metadata.creationTimestamp"]
        return [name, *(_at_path(obj, path) for path in paths)]
    cells = CELLS.get(kind.key)
    return [name, *(cells(obj, now) if cells else [obj["metadata"]["creationTimestamp"]])]


def _at_path(obj: Any, path: str) -> Any:
    for part in path.strip(".").split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return obj


def human_duration(seconds: float) -> str:
    """As kubectl prints ages: ``28d``, ``5h3m``, ``12s``."""
    left = max(0, int(seconds))
    if left < 120:
        return f"{left}s"
    minutes, hours, days = left // 60, left // 3600, left // 86400
    if minutes < 10:
        return f"{minutes}m{left % 60}s" if left % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    return f"{days}d" if days < 730 else f"{days // 365}y{days % 365}d"


def age(stamp: str | None, now: datetime) -> str:
    if not stamp:
        return UNKNOWN
    moment = datetime.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    return human_duration((now - moment).total_seconds())


def _age(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


def _node(obj: Object, now: datetime) -> list[Any]:
    conditions = {item["type"]: item["status"] for item in obj["status"].get("conditions") or []}
    states = {"True": "Ready", "False": "NotReady"}
    status = states.get(conditions.get("Ready", ""), "NotReady" if "Ready" in conditions else "Unknown")
    if obj["spec"].get("unschedulable"):
        status += ",SchedulingDisabled"
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(key[len(ROLE_PREFIX) :] for key in labels if key.startswith(ROLE_PREFIX))
    addresses = {item["type"]: item["address"] for item in obj["status"].get("addresses") or []}
    info = obj["status"]["nodeInfo"]
    wide = [addresses.get("InternalIP", NONE), addresses.get("ExternalIP", NONE)]
    wide += [info[key] or UNKNOWN for key in ("osImage", "kernelVersion", "containerRuntimeVersion")]
    return [status, ",".join(roles) or NONE, _age(obj, now), info["kubeletVersion"], *wide]


def _pod(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    wide = [
        status.get("podIP") or NONE,
        obj["spec"].get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        NONE,
    ]
    return [ready_containers(obj), pod_status(obj), pod_restarts(obj), _age(obj, now), *wide]


def _template_cells(obj: Object) -> list[str]:
    containers = obj["spec"]["template"]["spec"].get("containers") or []
    names = ",".join(container["name"] for container in containers)
    images = ",".join(container.get("image", "") for container in containers)
    return [names, images, selector_string(obj["spec"].get("selector") or {})]


def _daemonset(obj: Object, now: datetime) -> list[Any]:
    keys = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    numbers = [obj["status"].get(key, 0) for key in keys]
    selector = obj["spec"]["template"]["spec"].get("nodeSelector") or {}
    text = ",".join(f"{key}={value}" for key, value in sorted(selector.items())) or NONE
    return [*numbers, text, _age(obj, now), *_template_cells(obj)]


def _deployment(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    ready = f"{status.get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"
    return [
        ready,
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _age(obj, now),
        *_template_cells(obj),
    ]


def _replicaset(obj: Object, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    numbers = [obj["spec"].get("replicas", 0), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [*numbers, _age(obj, now), *_template_cells(obj)]


def _statefulset(obj: Object, now: datetime) -> list[Any]:
    ready = f"{(obj.get('status') or {}).get('readyReplicas', 0)}/{obj['spec'].get('replicas', 0)}"
    return [ready, _age(obj, now), *_template_cells(obj)[:2]]


def _event(obj: Object, now: datetime) -> list[Any]:
    involved = obj.get("involvedObject") or {}
    stamp = obj.get("lastTimestamp") or obj.get("eventTime") or obj["metadata"]["creationTimestamp"]
    first = obj.get("firstTimestamp") or obj.get("eventTime") or obj["metadata"]["creationTimestamp"]
    target = f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"
    source = (obj.get("source") or {}).get("component") or obj.get("reportingComponent", "")
    wide_first = [involved.get("fieldPath", ""), source]
    wide_last = [age(first, now), obj.get("count", 1), obj["metadata"]["name"]]
    return [
        age(stamp, now),
        obj.get("type"),
        obj.get("reason"),
        target,
        *wide_first,
        obj.get("message", ""),
        *wide_last,
    ]


def _service(obj: Object, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    ports = ",".join(f"{port.get('port')}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or []) or NONE
    return [
        spec.get("type"),
        spec.get("clusterIP") or NONE,
        NONE,
        ports,
        _age(obj, now),
        selector_string({"matchLabels": spec.get("selector")}),
    ]


def _budget(obj: Object, now: datetime) -> list[Any]:
    spec = obj["spec"]
    limits = [str(spec.get("minAvailable", "N/A")), str(spec.get("maxUnavailable", "N/A"))]
    return [*limits, (obj.get("status") or {}).get("disruptionsAllowed", 0), _age(obj, now)]


def _revision(obj: Object, now: datetime) -> list[Any]:
    owners = obj["metadata"].get("ownerReferences") or []
    controller = f"{owners[0]['kind'].lower()}.apps/{owners[0]['name']}" if owners else NONE
    return [controller, obj.get("revision", 0), _age(obj, now)]


CELLS: dict[str, Cells] = {
    "nodes": _node,
    "pods": _pod,
    "namespaces": lambda obj, now: [obj["status"]["phase"], _age(obj, now)],
    "configmaps": lambda obj, now: [len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), _age(obj, now)],
    "secrets": lambda obj, now: [obj.get("type"), len(obj.get("data") or {}), _age(obj, now)],
    "serviceaccounts": lambda obj, now: [_age(obj, now)],
    "services": _service,
    "events": _event,
    "apps/daemonsets": _daemonset,
    "apps/deployments": _deployment,
    "apps/replicasets": _replicaset,
    "apps/statefulsets": _statefulset,
    "apps/controllerrevisions": _revision,
    "coordination.k8s.io/leases": lambda obj, now: [(obj.get("spec") or {}).get("holderIdentity", ""), _age(obj, now)],
    "node.k8s.io/runtimeclasses": lambda obj, now: [obj.get("handler"), _age(obj, now)],
    "policy/poddisruptionbudgets": _budget,
    "scheduling.k8s.io/priorityclasses": lambda obj, now: [
        obj["value"],
        bool(obj.get("globalDefault")),
        _age(obj, now),
        obj.get("preemptionPolicy"),
    ],
}

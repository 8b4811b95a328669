"""Reading and making parts of objects that several controllers share."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from simulator.clock import Clock, rfc3339

Object = dict[str, Any]
TERMINAL = ("Succeeded", "Failed")
#: The alphabet of generated names: no vowels, so that no words appear.
SAFE = "bcdfghjklmnpqrstvwxz2456789"
ANNOTATION_PREFIX = "simulator.kubegpu/"


def key_of(obj: Object) -> str:
    namespace = obj["metadata"].get("namespace")
    name = obj["metadata"]["name"]
    return f"{namespace}/{name}" if namespace else name


def split_key(key: str) -> tuple[str, str]:
    namespace, _unused, name = key.rpartition("/")
    return namespace, name


def controller_of(obj: Object) -> Object | None:
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return reference
    return None


def owned_by(obj: Object, owner: Object) -> bool:
    reference = controller_of(obj)
    return reference is not None and reference["uid"] == owner["metadata"]["uid"]


def owner_reference(owner: Object, api_version: str, kind: str) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def is_terminating(obj: Object) -> bool:
    return "deletionTimestamp" in obj["metadata"]


def is_finished(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in TERMINAL


def is_active(pod: Object) -> bool:
    return not is_finished(pod) and not is_terminating(pod)


def condition(obj: Object, kind: str) -> Object | None:
    for item in (obj.get("status") or {}).get("conditions") or ():
        if item["type"] == kind:
            return item
    return None


def is_true(obj: Object, kind: str) -> bool:
    found = condition(obj, kind)
    return found is not None and found["status"] == "True"


def is_ready(pod: Object) -> bool:
    return is_true(pod, "Ready")


def node_name(pod: Object) -> str:
    return pod["spec"].get("nodeName") or ""


def with_condition(conditions: list[Object] | None, new: Object) -> list[Object]:
    """The conditions with ``new`` in its place; its transition time is the old one's if the status did not change."""
    result, replaced = [], False
    for item in conditions or []:
        if item["type"] != new["type"]:
            result.append(item)
            continue
        replaced = True
        if item["status"] == new["status"] and "lastTransitionTime" in item:
            new = {**new, "lastTransitionTime": item["lastTransitionTime"]}
        result.append(new)
    return result if replaced else [*result, new]


def annotation(pod: Object, name: str) -> str | None:
    """What the scenario says about a pod in a ``simulator.kubegpu/`` annotation."""
    return (pod["metadata"].get("annotations") or {}).get(ANNOTATION_PREFIX + name)


def seconds_annotation(pod: Object, name: str, default: float) -> float:
    """A duration in simulated seconds from a ``simulator.kubegpu/`` annotation."""
    value = annotation(pod, name)
    return default if value is None else float(value)


def content_hash(*parts: Any, length: int = 10) -> str:
    """A short safe-to-read hash of JSON data, as controllers put into names and labels."""
    digest = hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).digest()
    return "".join(SAFE[byte % len(SAFE)] for byte in digest[:length])


def pod_from_template(owner: Object, api_version: str, kind: str, template: Object, labels: Object) -> Object:
    """A new pod of a controller, with a generated name."""
    meta = template.get("metadata") or {}
    metadata: Object = {
        "generateName": f"{owner['metadata']['name']}-",
        "namespace": owner["metadata"]["namespace"],
        "labels": {**(meta.get("labels") or {}), **labels},
        "ownerReferences": [owner_reference(owner, api_version, kind)],
    }
    if meta.get("annotations"):
        metadata["annotations"] = dict(meta["annotations"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": dict(template["spec"])}


def stamp(clock: Clock) -> str:
    return rfc3339(clock.now())

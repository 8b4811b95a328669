"""Write schema.json: the fields of the types that the server stores, taken from the official Python client's models.

Run by hand when a newer client brings fields that tests need: ``python tests/simulator/apiserver/data/generate_schema.py``.
The models say ``str`` for quantities, ``datetime`` for both kinds of time and ``object`` for int-or-string; the tables
below put that right.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from kubernetes.client import models

HERE = Path(__file__).parent
SPECIAL_MODELS = {
    ("", "Event"): "CoreV1Event",
    ("events.k8s.io", "Event"): "EventsV1Event",
    ("authentication.k8s.io", "TokenRequest"): "AuthenticationV1TokenRequest",
    ("resource.k8s.io", "ResourceClaim"): "ResourceV1ResourceClaim",
}
EXTRA_KINDS = [
    ("policy", "v1", "Eviction"),
    ("autoscaling", "v1", "Scale"),
    ("authentication.k8s.io", "v1", "TokenRequest"),
]
QUANTITY_MAPS = {"allocatable", "allocatedResources", "capacity", "default", "defaultRequest", "hard", "limits", "max"}
QUANTITY_MAPS |= {"maxLimitRequestRatio", "min", "overhead", "podFixed", "requests", "used"}
QUANTITIES = {("V1EmptyDirVolumeSource", "sizeLimit"), ("V1ResourceFieldSelector", "divisor")}
MICRO_TIMES = {("V1LeaseSpec", "acquireTime"), ("V1LeaseSpec", "renewTime"), ("CoreV1Event", "eventTime")}
MICRO_TIMES |= {("EventsV1Event", "eventTime"), ("CoreV1EventSeries", "lastObservedTime")}
MICRO_TIMES |= {("EventsV1EventSeries", "lastObservedTime")}
BYTE_MAPS = {("V1Secret", "data"), ("V1ConfigMap", "binaryData")}
INT_OR_STRING = {"maxUnavailable", "maxSurge", "minAvailable", "port", "targetPort"}
SCALARS = {"str": "str", "int": "int", "bool": "bool", "float": "float", "datetime": "time", "date": "time"}


def field_type(model: str, name: str, text: str) -> str:
    if (model, name) in MICRO_TIMES:
        return "microtime"
    if (model, name) in QUANTITIES:
        return "quantity"
    if (model, name) in BYTE_MAPS:
        return "{}bytes"
    if match := re.fullmatch(r"[Ll]ist\[(.*)\]", text):
        return "[]" + field_type(model, "", match.group(1))
    if match := re.fullmatch(r"[Dd]ict[\[(]str, (.*)[\])]", text):
        return "{}quantity" if name in QUANTITY_MAPS else "{}" + field_type(model, "", match.group(1))
    if text == "object":
        return "intstr" if name in INT_OR_STRING else "any"
    return SCALARS.get(text, text)


def collect(model: str, types: dict[str, dict[str, str]]) -> None:
    if model in types or not hasattr(models, model):
        return
    cls = getattr(models, model)
    fields = types[model] = {}
    for attribute, text in cls.openapi_types.items():
        fields[cls.attribute_map[attribute]] = field_type(model, cls.attribute_map[attribute], text)
    for reference in list(fields.values()):
        collect(reference.replace("[]", "").replace("{}", ""), types)


def main() -> None:
    kinds: dict[str, str] = {}
    types: dict[str, dict[str, str]] = {}
    wanted = list(EXTRA_KINDS)
    for group in json.loads((HERE / "resources.json").read_text())["groups"]:
        for version in group["versions"]:
            wanted += [(group["name"], version["version"], item["kind"]) for item in version["resources"]]
    for group, version, kind in wanted:
        model = SPECIAL_MODELS.get((group, kind), version.capitalize() + kind)
        if hasattr(models, model):
            kinds[f"{group}/{version}/{kind}"] = model
            collect(model, types)
    lines = [f'"{name}": {json.dumps(fields)}' for name, fields in sorted(types.items())]
    text = '{"kinds": ' + json.dumps(kinds, indent=1) + ',\n"types": {\n' + ",\n".join(lines) + "\n}}\n"
    (HERE / "schema.json").write_text(text)


if __name__ == "__main__":
    main()

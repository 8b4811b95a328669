"""Label selectors, node affinity, taints and tolerations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Object = dict[str, Any]


def matches_labels(selector: Object | None, labels: Object | None) -> bool:
    """A LabelSelector; None selects nothing, an empty one everything."""
    if selector is None:
        return False
    labels = labels or {}
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(item, labels) for item in selector.get("matchExpressions") or [])


def contains(labels: Object | None, wanted: Object | None) -> bool:
    """A nodeSelector: every wanted label with its value."""
    labels = labels or {}
    return all(labels.get(key) == value for key, value in (wanted or {}).items())


def matches_node_terms(terms: Iterable[Object], node: Object) -> bool:
    """Node selector terms: any of them, all expressions and fields within one; an empty term matches nothing."""
    labels = node["metadata"].get("labels") or {}
    fields = {"metadata.name": node["metadata"]["name"]}
    return any(_term(term, labels, fields) for term in terms)


def required_node_terms(spec: Object) -> list[Object] | None:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required.get("nodeSelectorTerms") or [] if required else None


def selects_node(spec: Object, node: Object) -> bool:
    """nodeSelector and required node affinity of a pod spec."""
    if not contains(node["metadata"].get("labels"), spec.get("nodeSelector")):
        return False
    terms = required_node_terms(spec)
    return terms is None or matches_node_terms(terms, node)


def named_nodes(spec: Object) -> set[str] | None:
    """The nodes that required affinity names by metadata.name in every term; None if it does not."""
    terms = required_node_terms(spec)
    if not terms:
        return None
    names: set[str] = set()
    for term in terms:
        fields = [item for item in term.get("matchFields") or [] if item.get("operator") == "In"]
        if not fields:
            return None
        names.update(fields[0].get("values") or [])
    return names


def tolerates(tolerations: Iterable[Object] | None, taint: Object) -> bool:
    return any(_toleration(item, taint) for item in tolerations or [])


def untolerated(
    tolerations: list[Object] | None, taints: Iterable[Object] | None, effects: tuple[str, ...]
) -> Object | None:
    """The first taint with one of the effects that nothing tolerates."""
    return next(
        (taint for taint in taints or [] if taint.get("effect") in effects and not tolerates(tolerations, taint)), None
    )


def _term(term: Object, labels: Object, fields: Object) -> bool:
    expressions, by_field = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not by_field:
        return False
    return all(_expression(item, labels) for item in expressions) and all(
        _expression(item, fields) for item in by_field
    )


def _expression(item: Object, labels: Object) -> bool:
    key, operator, values = item.get("key", ""), item.get("operator"), item.get("values") or []
    if operator == "In":
        return key in labels and labels[key] in values
    if operator == "NotIn":
        return labels.get(key) not in values if key in labels else True
    if operator == "Exists":
        return key in labels
    if operator == "DoesNotExist":
        return key not in labels
    return _compare(labels.get(key), operator, values)


def _compare(value: Any, operator: Any, values: list[Any]) -> bool:
    try:
        number, bound = int(value), int(values[0])
    except (TypeError, ValueError, IndexError):
        return False
    return number > bound if operator == "Gt" else number < bound if operator == "Lt" else False


def _toleration(item: Object, taint: Object) -> bool:
    if item.get("effect") and item["effect"] != taint.get("effect"):
        return False
    if item.get("key") and item["key"] != taint["key"]:
        return False
    operator = item.get("operator") or "Equal"
    if operator == "Exists":
        return True
    return bool(item.get("key")) and (item.get("value") or "") == (taint.get("value") or "")

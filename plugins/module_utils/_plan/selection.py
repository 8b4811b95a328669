# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a DaemonSet selects, as the scheduler reads its node selector and required node affinity. PRIVATE to the collection.

Taints are left out: one that keeps the DaemonSet's pod away today may be gone tomorrow.
"""

from __future__ import annotations

from typing import Any, Mapping


def selects(plugin: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    """Whether a DaemonSet wants a pod on a node.

    :param plugin: as the cluster file has it: node_selector and node_affinity.
    :param name: the node's.
    """
    selector = plugin.get("node_selector") or {}
    if any(labels.get(label) != value for label, value in selector.items()):
        return False
    required = (plugin.get("node_affinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    terms = required.get("nodeSelectorTerms") or ()
    return any(_holds(term, name, labels) for term in terms)


def _holds(term: Mapping[str, Any], name: str, labels: Mapping[str, str]) -> bool:
    """One of the alternatives; all that it says must be true, and an empty one selects nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    # The node's name is the only field there is.
    return all(_is_true(one, labels) for one in expressions) and all(
        _is_true(one, {"metadata.name": name}) for one in fields
    )


def _is_true(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(str(requirement.get("key")))
    values = [str(one) for one in requirement.get("values") or ()]
    operator = requirement.get("operator")
    if operator in ("In", "NotIn"):
        # A node without the label is not in anything.
        return (value in values) == (operator == "In")
    if operator in ("Exists", "DoesNotExist"):
        return (value is not None) == (operator == "Exists")
    return _compare(str(operator), value, values)


def _compare(operator: str, value: str | None, values: list[str]) -> bool:
    """Gt and Lt, for whole numbers."""
    try:
        left, right = int(str(value)), int(values[0])
    except (ValueError, IndexError):
        return False
    return left > right if operator == "Gt" else operator == "Lt" and left < right

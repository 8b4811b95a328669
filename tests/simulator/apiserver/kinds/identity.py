"""What may never change about an object once it is made."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import Cause, forbidden_field, invalid_value
from simulator.apiserver.kinds.base import quoted

Object = dict[str, Any]


def identity_causes(new: Object, old: Object) -> list[Cause]:
    """uid, creationTimestamp, and finalizers of an object that is being deleted."""
    causes = []
    for field in ("uid", "creationTimestamp"):
        sent, kept = new["metadata"].get(field), old["metadata"].get(field)
        if sent and sent != kept:
            causes.append(invalid_value(f"metadata.{field}", quoted(sent), "field is immutable"))
    if old["metadata"].get("deletionTimestamp"):
        known = old["metadata"].get("finalizers") or []
        added = [item for item in new["metadata"].get("finalizers") or [] if item not in known]
        if added:
            shown = ", ".join(quoted(item) for item in added)
            why = f"no new finalizers can be added if the object is being deleted, found new finalizers []string{{{shown}}}"
            causes.append(forbidden_field("metadata.finalizers", why))
    return causes

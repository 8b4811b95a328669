"""Options of a write: from the query, or from DeleteOptions in the body."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from simulator.apiserver.errors import bad_request, forbidden_field, invalid_options, required, unsupported

Object = dict[str, Any]

VALIDATIONS = ("", "Ignore", "Strict", "Warn")
POLICIES = ["Foreground", "Background", "Orphan", "nil"]


@dataclass
class WriteOptions:
    """``manager`` None leaves managedFields alone, as in-process components do. ``warnings`` collects what to report."""

    dry_run: bool = False
    manager: str | None = None
    validation: str = "Ignore"
    force: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class DeleteOptions:
    grace_period_seconds: int | None = None
    propagation: str | None = None
    preconditions: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


def write_options(query: Mapping[str, str], kind: str, user_agent: str, *, apply: bool = False) -> WriteOptions:
    """``kind`` names the options in errors: CreateOptions, UpdateOptions, PatchOptions. ApiError 422."""
    causes = []
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        causes.append(unsupported("dryRun", json.dumps([dry_run]), ["All"]))
    validation = query.get("fieldValidation", "")
    if validation not in VALIDATIONS:
        causes.append(unsupported("fieldValidation", json.dumps(validation), list(VALIDATIONS)))
    manager = query.get("fieldManager", "")
    if apply and not manager:
        causes.append(required("fieldManager", "is required for apply patch"))
    if not apply and kind == "PatchOptions" and query.get("force"):
        causes.append(forbidden_field("force", "may not be specified for non-apply patch"))
    if causes:
        raise invalid_options(kind, causes)
    manager = manager or (user_agent.partition("/")[0] or "unknown")[:128]
    force = query.get("force", "").lower() in ("true", "1")
    return WriteOptions(bool(dry_run), manager, validation or "Warn", force)


def delete_options(query: Mapping[str, str], raw: bytes) -> DeleteOptions:
    """The body wins over the query, as in a real server. ApiError 400 or 422."""
    body: Object = {}
    if raw.strip():
        try:
            body = yaml.safe_load(raw)
        except yaml.YAMLError as error:
            raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    return parse_delete_options(body or _from_query(query), dry_run=query.get("dryRun") == "All")


def parse_delete_options(body: Object, *, dry_run: bool = False) -> DeleteOptions:
    propagation = body.get("propagationPolicy")
    if propagation is not None and propagation not in POLICIES[:3]:
        raise invalid_options("DeleteOptions", [unsupported("propagationPolicy", json.dumps(propagation), POLICIES)])
    wanted = body.get("dryRun") or []
    if wanted not in ([], ["All"]):
        raise invalid_options("DeleteOptions", [unsupported("dryRun", json.dumps(wanted), ["All"])])
    return DeleteOptions(
        grace_period_seconds=body.get("gracePeriodSeconds"),
        propagation=propagation,
        preconditions=body.get("preconditions") or {},
        dry_run=dry_run or bool(wanted),
    )


def _from_query(query: Mapping[str, str]) -> Object:
    options: Object = {}
    if "gracePeriodSeconds" in query:
        options["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
    if "propagationPolicy" in query:
        options["propagationPolicy"] = query["propagationPolicy"]
    return options

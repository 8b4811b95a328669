"""Errors as the API server words them. Each becomes a Status object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


class ApiError(Exception):
    """A refused request. ``details`` None leaves the key out of the Status, an empty dict writes ``{}``."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Object | None = None,
        *,
        headers: dict[str, str] | None = None,
        metadata: Object | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}
        self.metadata = metadata or {}

    def status(self) -> Object:
        """The Status object; empty message and reason are left out, as Go's omitempty does."""
        status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure"}
        if self.message:
            status["message"] = self.message
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        status["code"] = self.code
        return status


@dataclass(frozen=True)
class Cause:
    """One field problem of a 422."""

    reason: str
    message: str
    field: str


@dataclass(frozen=True)
class Subject:
    """What an error is about: the resource's group, plural name and Kind, and the object's name."""

    group: str
    plural: str
    kind: str

    @property
    def qualified_resource(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    def details(self, name: str, *, by_kind: bool = False) -> Object:
        details: Object = {"name": name} if name else {}
        if self.group:
            details["group"] = self.group
        details["kind"] = self.kind if by_kind else self.plural
        return details


def not_found(subject: Subject, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{subject.qualified_resource} "{name}" not found', subject.details(name))


def unknown_resource() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def already_exists(subject: Subject, name: str) -> ApiError:
    return ApiError(
        409, "AlreadyExists", f'{subject.qualified_resource} "{name}" already exists', subject.details(name)
    )


def conflict(subject: Subject, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {subject.qualified_resource} "{name}": {why}'
    return ApiError(409, "Conflict", message, subject.details(name))


def precondition_failed(subject: Subject, name: str, why: str) -> ApiError:
    """Delete and eviction preconditions name the Kind, not the resource."""
    message = f'Operation cannot be fulfilled on {subject.qualified_kind} "{name}": {why}'
    return ApiError(409, "Conflict", message, subject.details(name, by_kind=True))


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden(subject: Subject, name: str, why: str, causes: list[Cause] | None = None) -> ApiError:
    what = f'{subject.qualified_resource} "{name}"' if name else subject.qualified_resource
    details = subject.details(name)
    if causes:
        details["causes"] = cause_list(causes)
    return ApiError(403, "Forbidden", f"{what} is forbidden: {why}", details)


def internal_error(message: str) -> ApiError:
    """Errors that the server has no reason for; they carry no ``reason`` field."""
    return ApiError(500, "", message)


def invalid(subject: Subject, name: str, causes: list[Cause], *, by_resource: bool = False) -> ApiError:
    """422 with one cause per field. ``by_resource`` is for the few that name the resource instead of the Kind."""
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    what = subject.qualified_resource if by_resource else subject.qualified_kind
    details = subject.details(name, by_kind=not by_resource)
    details["causes"] = cause_list(causes)
    return ApiError(422, "Invalid", f'{what} "{name}" is invalid: {text}', details)


def cause_list(causes: list[Cause]) -> list[Object]:
    return [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]


def invalid_options(kind: str, causes: list[Cause]) -> ApiError:
    """422 about the query or the options of a request (CreateOptions, PatchOptions, …)."""
    return invalid(Subject("meta.k8s.io", kind, kind), "", causes)


def invalid_patch(text: str) -> ApiError:
    """A patched object that does not decode: reported as an invalid patch of an unnamed object."""
    cause = Cause("FieldValueInvalid", f'Invalid value: "<the patched object as JSON>": {text}', "patch")
    details = {"causes": cause_list([cause])}
    return ApiError(422, "Invalid", f' "" is invalid: patch: {cause.message}', details)


def rejected_patch() -> ApiError:
    """A JSON patch that cannot be applied, whatever the cause."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", {})


def required(field: str, detail: str = "") -> Cause:
    return Cause("FieldValueRequired", f"Required value: {detail}" if detail else "Required value", field)


def invalid_value(field: str, value: str, detail: str) -> Cause:
    """``value`` is already JSON: quoted for strings, bare for numbers and objects."""
    return Cause("FieldValueInvalid", f"Invalid value: {value}: {detail}", field)


def forbidden_field(field: str, detail: str) -> Cause:
    return Cause("FieldValueForbidden", f"Forbidden: {detail}", field)


def duplicate(field: str, value: str, detail: str) -> Cause:
    return Cause("FieldValueDuplicate", f"Duplicate value: {value}: {detail}", field)


def too_long(field: str, detail: str) -> Cause:
    return Cause("FieldValueTooLong", f"Too long: {detail}", field)


def unsupported(field: str, value: str, supported: list[str]) -> Cause:
    choices = ", ".join(f'"{choice}"' for choice in supported)
    return Cause("FieldValueNotSupported", f"Unsupported value: {value}: supported values: {choices}", field)

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Kubernetes API refused, or why it could not be asked. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import Target, parse_path, request_verb

_DOING = {
    "get": "read",
    "list": "list",
    "watch": "watch",
    "create": "create",
    "update": "replace",
    "patch": "patch",
    "delete": "delete",
}
_LOGIN = (
    "Check the credentials: the options kubeconfig, context and api_key of the task, or K8S_AUTH_KUBECONFIG, "
    "K8S_AUTH_CONTEXT and K8S_AUTH_API_KEY in the environment."
)
_CURES = {
    404: "Check that it exists, and that kubeconfig and context name the cluster that is meant.",
    405: "The API server does not offer this; check that it is a Kubernetes API server of a supported version.",
    409: "Somebody else changed or created it meanwhile. Run again: the run reads the new state first.",
    410: "The list or watch is too old to be continued. Run again.",
    413: "The object is too large for the API server.",
    422: "The API server found the object invalid. Correct the named field.",
    429: "The API server is overloaded, or a disruption budget forbids it now. Wait a moment and run again.",
}
_CURE_5XX = "The API server or what it depends on (etcd, a webhook) is in trouble. Look at its health, then run again."
# The answers of authorization; a 403 may also come from admission (a terminating namespace, a quota), where a grant does not help.
_DENIED = re.compile(r'cannot \S+ resource|cannot \S+ path|is forbidden: User "')
_TEXT_LIMIT = 600


@dataclass(frozen=True)
class Request:
    """A request as its error names it.

    :param verb: as a role names it: get, list, watch, create, update, patch, delete.
    """

    verb: str
    path: str
    host: str = ""

    @classmethod
    def of(cls, method: str, path: str, host: str = "", watching: bool = False) -> Request:
        """The request of an HTTP method on a path."""
        return cls(verb=request_verb(method, path, watching), path=path, host=host)

    @property
    def target(self) -> Target:
        """The object or collection that it is about."""
        return parse_path(self.path)

    def attempt(self) -> str:
        """What was attempted, in words: "Cannot patch nodes gpu-1"."""
        return f"Cannot {_DOING.get(self.verb, self.verb)} {self.target if self.target.resource else self.path}"


class ApiError(KubeGpuError):
    """A request that the API refused (``status`` set) or that did not reach it (``status`` None).

    :param reason: the API's reason ("NotFound", "Conflict"), or for a request that got no answer one of
        Unreachable, CertificateRefused, Timeout, ConnectionLost, BadAnswer.
    :param retry_after: seconds after which the API asks to be tried again, if it said so.
    :param details: more of the API's answer: ``causes`` (such as the disruption budget of a refused eviction) and
        ``continue`` (with 410: the token that goes on at a newer state).
    """

    def __init__(
        self,
        msg: str,
        *,
        request: Request,
        reason: str,
        status: int | None = None,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        facts = {"status": status, "reason": reason, "verb": request.verb, "path": request.path}
        super().__init__(msg, api_error=facts)
        self.status = status
        self.reason = reason
        self.verb = request.verb
        self.path = request.path
        self.retry_after = retry_after
        self.causes: Sequence[Mapping[str, Any]] = tuple((details or {}).get("causes") or ())
        self.continue_token: str = (details or {}).get("continue") or ""

    @property
    def outcome_unknown(self) -> bool:
        """True for a write that may have been carried out all the same: the answer is missing, not the request."""
        sent = self.reason in ("Timeout", "ConnectionLost", "BadAnswer") or self.status in (500, 502, 504)
        return sent and self.verb not in ("get", "list", "watch")


def refused(request: Request, status: int, body: bytes | str, headers: Mapping[str, str] | None = None) -> ApiError:
    """The error of an answer with a status that is no success."""
    answer = _read_status(body)
    reason = answer.get("reason") or f"HTTP{status}"
    said = _shorten(answer.get("message") or "")
    observed = f"the API answered {status} {reason}" + (f": {said}" if said else "")
    return ApiError(
        f"{request.attempt()}: {observed.rstrip('.')}. {_cure(request, status, said)}",
        request=request,
        reason=reason,
        status=status,
        retry_after=_retry_after(answer, headers or {}),
        details={**(answer.get("metadata") or {}), **(answer.get("details") or {})},
    )


def broken(request: Request, reason: str, observed: str) -> ApiError:
    """The error of a request that got no usable answer."""
    where = request.host or "the Kubernetes API"
    cures = {
        "Unreachable": "Check that the API server runs, the address in kubeconfig or host, and the network and proxy in between.",
        "CertificateRefused": "Give the cluster's CA (ca_cert, or certificate-authority in the kubeconfig) and the host name "
        "that its certificate bears. validate_certs: false is for tests only.",
        "Timeout": "Check the load of the API server and the network in between, then run again.",
        "ConnectionLost": "Run again: the run reads the present state first.",
        "BadAnswer": "Check that host or kubeconfig name a Kubernetes API server, not a login page or a proxy.",
    }
    unsure = ""
    if reason in ("Timeout", "ConnectionLost") and request.verb not in ("get", "list", "watch"):
        unsure = " Whether the request was carried out is not known."
    return ApiError(
        f"{request.attempt()} at {where}: {observed.rstrip('.')}.{unsure} {cures[reason]}",
        request=request,
        reason=reason,
    )


def _cure(request: Request, status: int, said: str) -> str:
    if status == 401:
        return f"The API does not know these credentials (expired or wrong). {_LOGIN}"
    if status == 403:
        return _cure_forbidden(request, said)
    if status >= 500:
        return _CURE_5XX
    if 300 <= status < 400:
        return "A proxy or login page answered. Check that host or kubeconfig name the API server itself."
    return _CURES.get(status, "Correct the request's input as the message says.")


def _cure_forbidden(request: Request, said: str) -> str:
    if "system:anonymous" in said:
        return f"The request bore no credentials. {_LOGIN}"
    if said and not _DENIED.search(said):
        return "This is no matter of permission: correct what the message names, then run again."
    target = request.target
    if not target.resource:
        return f'Grant the verb "{request.verb}" on this path to the user.'
    scope = f'in namespace "{target.namespace}" (Role)' if target.namespace else "for the whole cluster (ClusterRole)"
    return f'Grant the user the verb "{request.verb}" on "{target.qualified}" {scope}, or use credentials that have it.'


def _read_status(body: bytes | str) -> dict[str, Any]:
    """The API's Status object; of any other answer (plain text of a proxy, an unknown path) its text as the message."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    try:
        answer = json.loads(text)
    except ValueError:
        return {"message": " ".join(text.split())}
    return (
        answer if isinstance(answer, dict) and answer.get("kind") == "Status" else {"message": " ".join(text.split())}
    )


def _retry_after(answer: Mapping[str, Any], headers: Mapping[str, str]) -> float | None:
    seconds = headers.get("Retry-After") or (answer.get("details") or {}).get("retryAfterSeconds")
    try:
        return float(seconds) if seconds else None
    except (TypeError, ValueError):
        return None


def _shorten(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else f"{text[:_TEXT_LIMIT]} …"

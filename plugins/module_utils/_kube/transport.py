# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Connections to the API server, with kubernetes.core's authentication. PRIVATE to the collection.

JSON goes over the official client's connection pool as it is. A list of 1,000 nodes (19 MB) takes 0.23 s so, 0.8 s
through typed models and 1.9 s through the dynamic client, which besides asks /version and /apis before all else.
"""

from __future__ import annotations

import os
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping

from ansible.module_utils.basic import missing_required_lib

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import AUTH_OPTIONS
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import Request, broken

_KUBERNETES_TRACE: str | None = None
_KUBERNETES_CORE_TRACE: str | None = None
try:
    import kubernetes
    import urllib3
    from urllib3._collections import HTTPHeaderDict  # urllib3 1.26 has it nowhere else
    from urllib3.util.retry import Retry
except ImportError:
    _KUBERNETES_TRACE = traceback.format_exc()
    Retry = object
try:
    # kubernetes.core offers these three under such names since 2.3. Its public get_api_client() builds a dynamic client
    # around them, which costs two discovery requests a task and hides 401 and 403 behind them.
    from ansible_collections.kubernetes.core.plugins.module_utils.k8s.client import (
        _create_auth_spec,
        _create_configuration,
        _create_headers,
    )
except ImportError:
    _KUBERNETES_CORE_TRACE = traceback.format_exc()

CONNECT_TIMEOUT_SECONDS = 10
READ_TIMEOUT_SECONDS = 30
#: Connections that are kept, so that no thread makes its own anew for each request.
_CONNECTIONS = 32
#: How often a read is tried again, and the longest that a Retry-After header may make it wait.
READ_RETRIES = 4
RETRY_AFTER_LIMIT_SECONDS = 15
_CHUNK_BYTES = 65536
#: For so long credentials are taken as they were.
_CREDENTIALS_SECONDS = 1.0
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})


class ReadRetry(Retry):
    """urllib3's retry for reads: overload, server errors and lost connections, bounded in number and in time."""

    @classmethod
    def default(cls) -> ReadRetry:
        """The retry of every read."""
        return cls(
            total=READ_RETRIES,
            backoff_factor=0.2,
            status_forcelist=RETRIED_STATUSES,
            allowed_methods=frozenset({"GET"}),
            redirect=0,
            raise_on_redirect=False,
            raise_on_status=False,
        )

    def get_retry_after(self, response: Any) -> float | None:
        """The server's wish, up to the limit: a task must not hang for an hour because a header says so."""
        seconds = super().get_retry_after(response)
        return None if seconds is None else min(seconds, RETRY_AFTER_LIMIT_SECONDS)

    def increment(
        self, method: Any = None, url: Any = None, response: Any = None, error: Any = None, *rest: Any, **more: Any
    ) -> Any:
        """A certificate does not get better by asking again."""
        if isinstance(error, urllib3.exceptions.SSLError):
            raise error
        return super().increment(method, url, response, error, *rest, **more)


@dataclass(frozen=True)
class Answer:
    """An HTTP answer.

    :param attempts: requests that were really sent for it.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    attempts: int = 1


@dataclass(frozen=True)
class Stream:
    """An HTTP answer that is read as it comes."""

    response: Any
    request: Request
    timeout_seconds: float

    @property
    def status(self) -> int:
        """HTTP status."""
        return int(self.response.status)

    @property
    def headers(self) -> Mapping[str, str]:
        """HTTP headers."""
        headers: Mapping[str, str] = self.response.headers
        return headers

    def chunks(self) -> Iterator[bytes]:
        """Pieces of the body, until its end or until the connection breaks.

        :raises ApiError: reason Timeout: the connection fell silent. How long it has been of no use, nobody knows.
        """
        try:
            yield from self.response.stream(_CHUNK_BYTES)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise broken(self.request, "Timeout", f"nothing was heard for {self.timeout_seconds:g} s") from error
        except urllib3.exceptions.HTTPError:
            return

    def close(self) -> None:
        """Drop the connection: what is left in it is of no use to another request."""
        self.response.close()


@dataclass
class Transport:
    """One API server with credentials. Safe to be used by several threads.

    :param host: base URL without a slash at its end.
    :param pool: urllib3 pool manager of the official client, with its TLS and proxy settings.
    :param authorize: headers that identify the user, asked for with each request because tokens expire.
    """

    host: str
    pool: Any
    authorize: Callable[[], dict[str, str]]
    headers: list[tuple[str, str]] = field(default_factory=list)

    def send(
        self, method: str, path: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request and read its whole answer, whatever its status. Only GET is ever tried again.

        :raises ApiError: no answer came.
        """
        response = self._open(
            method, path, body=body, headers=headers, timeout=READ_TIMEOUT_SECONDS, preload_content=True
        )
        history = getattr(response.retries, "history", ()) or ()
        return Answer(status=response.status, headers=response.headers, body=response.data, attempts=1 + len(history))

    def stream(self, path: str, timeout_seconds: float) -> Stream:
        """Open a GET whose answer is read as it comes. The caller closes it.

        :param timeout_seconds: the longest silence.
        """
        response = self._open("GET", path, timeout=timeout_seconds, preload_content=False)
        return Stream(response, Request.of("GET", path, self.host, watching=True), timeout_seconds)

    def _open(
        self, method: str, path: str, *, timeout: float, headers: Mapping[str, str] | None = None, **options: Any
    ) -> Any:
        request = Request.of(method, path, self.host, watching=not options.get("preload_content", True))
        try:
            return self.pool.request(
                method,
                f"{self.host}{path}",
                headers=self._headers(headers or {}),
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_SECONDS, read=timeout),
                # False also hands redirects back: an API server has none, a login page does.
                retries=ReadRetry.default() if method == "GET" else False,
                redirect=False,
                **options,
            )
        except urllib3.exceptions.HTTPError as error:
            raise explain(request, error) from error

    def _headers(self, more: Mapping[str, str]) -> Any:
        headers = HTTPHeaderDict()
        for name, value in self.headers:
            headers.add(name, value)
        for name, value in {"Accept": "application/json", **self.authorize(), **more}.items():
            headers[name] = value
        return headers


def explain(request: Request, error: Exception) -> Exception:
    """The ApiError for an exception of urllib3."""
    cause = getattr(error, "reason", None)
    if not isinstance(cause, Exception):
        cause = error
    kinds = urllib3.exceptions
    if isinstance(cause, kinds.ProxyError) and isinstance(getattr(cause, "original_error", None), Exception):
        return broken(request, "Unreachable", f"the proxy failed ({cause.original_error})")
    if isinstance(cause, kinds.SSLError):
        return broken(request, "CertificateRefused", f"TLS failed ({cause})")
    if isinstance(cause, (kinds.NewConnectionError, kinds.ConnectTimeoutError, kinds.LocationParseError)):
        return broken(request, "Unreachable", f"no connection ({_plain(cause)})")
    if isinstance(cause, kinds.ReadTimeoutError):
        return broken(request, "Timeout", f"no answer within {READ_TIMEOUT_SECONDS} s")
    return broken(request, "ConnectionLost", f"the connection broke before the answer was complete ({_plain(cause)})")


def _plain(error: Exception) -> str:
    """An exception's text without the address of the connection object that urllib3 puts before it."""
    text = str(error)
    return text.rpartition(": ")[2] if " object at 0x" in text or text.startswith("HTTP") else text


def connect(params: Mapping[str, Any], user_agent: str) -> Transport:
    """The API server that the options name, as kubernetes.core would find it.

    :param params: a module's parameters. Empty strings count as not given, as playbooks pass them on.
    :raises KubeGpuError: a library is missing, or the kubeconfig cannot be used.
    """
    require_libraries()
    auth = {name: params[name] for name in AUTH_OPTIONS if params.get(name) not in (None, "")}
    try:
        configuration = _create_configuration(_create_auth_spec(None, **auth))
    except Exception as error:  # the client raises what its YAML, file and plugin code raise  # pylint: disable=broad-except
        raise KubeGpuError(
            f"Cannot use {_source(auth)}: {str(error).rstrip('.')}. Give a readable kubeconfig (option kubeconfig or "
            "K8S_AUTH_KUBECONFIG) with a context that exists, or host and api_key."
        ) from error
    configuration.connection_pool_maxsize = max(_CONNECTIONS, configuration.connection_pool_maxsize or 0)
    pool = kubernetes.client.rest.RESTClientObject(configuration).pool_manager
    headers = [("User-Agent", user_agent)]
    for name, value in _create_headers(None, **auth).items():
        # Several groups are several headers of one name.
        headers += [(name, single) for single in (value if isinstance(value, list) else [value])]
    return Transport(
        host=configuration.host.rstrip("/"),
        pool=pool,
        authorize=Credentials(lambda: _authorization(configuration)),
        headers=headers,
    )


def _source(auth: Mapping[str, Any]) -> str:
    """Where the configuration was looked for, in words."""
    given = auth.get("kubeconfig") or os.environ.get("K8S_AUTH_KUBECONFIG") or os.environ.get("KUBECONFIG")
    if isinstance(given, dict):
        return "the kubeconfig given as a mapping"
    return f"kubeconfig {given}" if given else "the default kubeconfig (~/.kube/config)"


def require_libraries() -> None:
    """Fail with what to install if the client library or kubernetes.core is missing."""
    if _KUBERNETES_TRACE:
        raise KubeGpuError(missing_required_lib("kubernetes"), exception=_KUBERNETES_TRACE)
    if _KUBERNETES_CORE_TRACE:
        raise KubeGpuError(
            "Cannot import the client set-up of the collection kubernetes.core. Install a supported version: "
            'ansible-galaxy collection install "kubernetes.core:>=5.0.0,<7.0.0"',
            exception=_KUBERNETES_CORE_TRACE,
        )


class Credentials:
    """Headers that identify the user, asked for at most once in a while.

    The official client looks through its whole configuration and environment for them, which is a good part of what a small
    request costs. It takes a token for expired minutes before it is.

    :param ask: for the headers as they are now.
    """

    def __init__(self, ask: Callable[[], dict[str, str]], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._guard = threading.Lock()
        self._known: dict[str, str] = {}
        self._until = float("-inf")

    def __call__(self) -> dict[str, str]:
        """The headers."""
        with self._guard:
            if self._monotonic() >= self._until:
                self._known = self._ask()
                self._until = self._monotonic() + _CREDENTIALS_SECONDS
            return self._known


def _authorization(configuration: Any) -> dict[str, str]:
    """Headers from the configuration; this also refreshes a token that an exec plugin or OIDC provides."""
    settings = configuration.auth_settings().values()
    return {setting["key"]: setting["value"] for setting in settings if setting["in"] == "header" and setting["value"]}

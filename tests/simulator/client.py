"""A small JSON client for tests: standard library only, so that nothing under test is used to look at the results."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

Object = dict[str, Any]
PATCH_TYPES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


class ClientError(Exception):
    """An answer of 400 or more; ``body`` is the Status object where there is one."""

    def __init__(self, verb: str, path: str, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        text = body.get("message") or body.get("error") if isinstance(body, dict) else body
        super().__init__(f"{verb} {path}: {status} {text}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class Client:
    """Talks to the cluster of a kubeconfig. Its requests are audited like anybody's."""

    def __init__(self, kubeconfig: Path, *, user_agent: str = "simulator-client") -> None:
        config = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        self.url: str = cluster["server"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._context = ssl.create_default_context(cadata=authority)
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}", "User-Agent": user_agent}

    def get(self, path: str, **query: str) -> Object:
        return self.request("GET", path, query=query)

    def items(self, path: str, **query: str) -> list[Object]:
        found: list[Object] = self.get(path, **query)["items"]
        return found

    def create(self, path: str, body: Object, **query: str) -> Object:
        return self.request("POST", path, body, query=query)

    def replace(self, path: str, body: Object, **query: str) -> Object:
        return self.request("PUT", path, body, query=query)

    def patch(self, path: str, body: Any, *, kind: str = "merge", **query: str) -> Object:
        return self.request("PATCH", path, body, content_type=PATCH_TYPES[kind], query=query)

    def delete(self, path: str, body: Object | None = None, **query: str) -> Object:
        return self.request("DELETE", path, body, query=query)

    def text(self, path: str, **query: str) -> str:
        """An answer that is no JSON, such as a log."""
        return self._send("GET", path, None, "application/json", query).decode()

    def stream(self, path: str, timeout: float, **query: str) -> http.client.HTTPResponse:
        """The lines of a watch as they come; to be closed by the caller. ``timeout``: seconds that may pass between two."""
        request = urllib.request.Request(f"{self.url}{path}?{urlencode(query)}", headers=self._headers)
        response: http.client.HTTPResponse = urllib.request.urlopen(request, context=self._context, timeout=timeout)
        return response

    def request(
        self,
        verb: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        query: dict[str, str] | None = None,
    ) -> Object:
        answer: Object = json.loads(self._send(verb, path, body, content_type, query or {}) or b"{}")
        return answer

    def _send(self, verb: str, path: str, body: Any, content_type: str, query: dict[str, str]) -> bytes:
        address = f"{self.url}{path}?{urlencode(query)}" if query else f"{self.url}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(address, data, {**self._headers, "Content-Type": content_type}, method=verb)
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=120) as response:
                content: bytes = response.read()
                return content
        except urllib.error.HTTPError as error:
            raw = error.read()
            try:
                answer: Any = json.loads(raw)
            except ValueError:
                answer = raw.decode(errors="replace")
            raise ClientError(verb, path, error.code, answer, dict(error.headers)) from None

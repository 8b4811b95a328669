"""Who sends a request: static tokens, ServiceAccount tokens, impersonation."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from multidict import CIMultiDictProxy

from simulator.apiserver.errors import ApiError

if TYPE_CHECKING:
    from datetime import datetime

    from simulator.registry import Registry


@dataclass(frozen=True)
class User:
    name: str
    groups: tuple[str, ...]


ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
ANONYMOUS = User("system:anonymous", ("system:unauthenticated",))


@dataclass(frozen=True)
class _Grant:
    namespace: str
    account: str
    uid: str
    expires: datetime


class Authenticator:
    """Anonymous requests are allowed and become ``system:anonymous``; only an unknown bearer token is 401."""

    def __init__(self, registry: Registry, tokens: dict[str, User]) -> None:
        self._registry = registry
        self._tokens = dict(tokens)
        self._grants: dict[str, _Grant] = {}

    def authenticate(self, headers: CIMultiDictProxy[str]) -> User:
        user = self._user(headers.get("Authorization", ""))
        impersonated = headers.get("Impersonate-User")
        if impersonated:
            groups = tuple(headers.getall("Impersonate-Group", [])) or ("system:authenticated",)
            return User(impersonated, groups)
        return user

    def issue(self, namespace: str, account: str, uid: str, seconds: int) -> tuple[str, datetime]:
        """A token for a ServiceAccount that ends with it or after ``seconds``."""
        token = secrets.token_urlsafe(32)
        expires = self._registry.clock.now() + timedelta(seconds=seconds)
        self._grants[token] = _Grant(namespace, account, uid, expires)
        return token, expires

    def _user(self, authorization: str) -> User:
        scheme, _unused, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return ANONYMOUS
        if token in self._tokens:
            return self._tokens[token]
        grant = self._grants.get(token)
        if grant is None or not self._is_valid(grant):
            raise ApiError(401, "Unauthorized", "Unauthorized")
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{grant.namespace}", "system:authenticated")
        return User(f"system:serviceaccount:{grant.namespace}:{grant.account}", groups)

    def _is_valid(self, grant: _Grant) -> bool:
        account = self._registry.store.get("serviceaccounts", grant.namespace, grant.account)
        same = account is not None and account["metadata"]["uid"] == grant.uid
        return same and grant.expires > self._registry.clock.now()

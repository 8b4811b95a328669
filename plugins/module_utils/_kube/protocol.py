# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the steps of a rollout need of an API server. PRIVATE to the collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Protocol

if TYPE_CHECKING:
    from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import ListResult, RequestCounts


class KubeApi(Protocol):
    """KubeClient is one. All methods raise ApiError and may be called from several threads."""

    requests: RequestCounts

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        """Read an object."""

    def get_or_none(self, path: str, **query: Any) -> dict[str, Any] | None:
        """Read an object, None if it does not exist."""

    def pages(self, path: str, *, page_size: int = ..., **query: Any) -> Iterator[ListResult]:
        """Read a collection page by page."""

    def create(self, path: str, body: Mapping[str, Any], *, dry_run: bool = ...) -> dict[str, Any]:
        """Create an object."""

    def patch(self, path: str, body: Any, *, kind: str = ..., dry_run: bool = ...) -> dict[str, Any]:
        """Patch an object; metadata.resourceVersion in a merge patch makes it conditional."""

    def delete(self, path: str, body: Mapping[str, Any] | None = ..., *, dry_run: bool = ...) -> dict[str, Any]:
        """Delete an object."""

    def watch(
        self,
        path: str,
        resource_version: str,
        timeout_seconds: float,
        *,
        opened: Callable[[], None] | None = ...,
        **query: Any,
    ) -> Iterator[dict[str, Any]]:
        """Events of a collection from a resourceVersion on, until the time is over or the connection breaks.

        :param opened: told when the server has begun to answer, that is before the first event.
        """

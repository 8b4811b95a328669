# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing namespaced objects: what ought to be there, and what ought not. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import TRIES, passes, pause
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import objects as rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.objects import (
    ObjectChange,
    plan_object,
    title_of,
    uid_of,
)

#: Where the kinds live that the collection makes or changes.
_KINDS = {"ConfigMap": ("api/v1", "configmaps"), "DaemonSet": ("apis/apps/v1", "daemonsets")}

Replan = Callable[["dict[str, Any] | None"], "ObjectChange | None"]


def path_of(manifest: Mapping[str, Any]) -> str:
    """The API path of an object."""
    api, resource = _KINDS[manifest["kind"]]
    metadata = manifest["metadata"]
    return api_path(resource, metadata["namespace"], metadata["name"], api=api)


class Objects:
    """ConfigMaps and DaemonSets in the cluster, for a run."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._api = session.api

    def read(self, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
        """The object that a manifest is about, None if there is none."""
        return self._api.get_or_none(path_of(manifest))

    def find(self, kind: str, namespace: str, selector: str) -> list[dict[str, Any]]:
        """Objects of a kind. Items of a list do not say their kind: it is put in."""
        api, resource = _KINDS[kind]
        path = api_path(resource, namespace, api=api)
        api_version = api.partition("/")[2]
        pages = self._api.pages(path, labelSelector=selector)
        return [{**obj, "apiVersion": api_version, "kind": kind} for page in pages for obj in page.items]

    def bring(self, manifests: Iterable[Mapping[str, Any]]) -> list[ObjectChange]:
        """What is to be done so that these objects are as their manifests say."""
        return [plan_object(manifest, self.read(manifest)) for manifest in manifests]

    def write(self, change: ObjectChange, replan: Replan | None = None) -> None:
        """Do what a change says. If the object is no longer what was looked at, it is read and planned anew.

        :param replan: what to do about the object as it is then; for an object of ours, what its manifest says.
        :raises KubeGpuError: it must not be written any more, or did not come to rest.
        """
        again = replan or (lambda live: plan_object(change.manifest, live))
        present: ObjectChange | None = change
        for attempt in range(TRIES):
            if present is None or present.kind == rules.NOTHING:
                return
            if present.kind == rules.REFUSED:
                raise KubeGpuError(present.problem)
            self._session.fence.check()
            try:
                self._send(present)
            except ApiError as error:
                if not passes(error) and error.status != 404:
                    raise
                trouble = error
            else:
                return
            pause(self._session.clock, attempt, trouble)
            present = again(self.read(change.manifest))
        raise trouble

    def delete(self, obj: Mapping[str, Any]) -> None:
        """Delete the very object that was looked at. One that is gone, or was made anew, is left at that."""
        for attempt in range(TRIES):
            self._session.fence.check()
            try:
                self._api.delete(path_of(obj), _only(obj))
            except ApiError as error:
                if error.status in (404, 409):
                    return
                if not passes(error):
                    raise
                trouble = error
            else:
                return
            pause(self._session.clock, attempt, trouble)
        raise trouble

    def _send(self, change: ObjectChange) -> None:
        path = path_of(change.manifest)
        collection = path.rpartition("/")[0]
        if change.kind == rules.CREATE:
            self._api.create(collection, change.manifest)
            return
        if change.live is None:
            raise AssertionError("only an object that exists can be changed")
        if change.kind == rules.RECREATE:
            self._api.delete(path, _only(change.live))
            self._api.create(collection, change.manifest)
            return
        version = (change.live.get("metadata") or {}).get("resourceVersion")
        after = {name: value for name, value in change.after.items() if name not in ("kind", "apiVersion")}
        metadata = {**(after.get("metadata") or {}), "resourceVersion": version}
        self._api.patch(path, {**after, "metadata": metadata})


def show(changes: Iterable[ObjectChange], side: str) -> dict[str, Any]:
    """One side of the diff of some changes, by object."""
    return {title_of(change.manifest): getattr(change, side) for change in changes}


def _only(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "propagationPolicy": "Background",
        "preconditions": {"uid": uid_of(obj)},
    }

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that a kubelet refused for good while their node was in maintenance. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import failed_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import TRIES, passes, pause
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session, Wave


def report_refused_pods(wave: Wave) -> None:
    """Find them. Those whose controller has made others by now are removed, unless that is not wished.

    Nodes are in service by now, and rightly so: that this look is refused costs a warning.
    """
    try:
        _report(wave)
    except ApiError as error:
        wave.warn(f"Pods that kubelets refused during the maintenance could not be looked at: {error.msg}")


def _report(wave: Wave) -> None:
    noted = {name: written.before.maintenance for name, written in wave.writes.items()}
    since = {name: note.since for name, note in noted.items() if note is not None}
    for name, failures in failed_pods(wave.session.api, since).items():
        result = wave.results[name]
        result.facts["admission_failures"] = failures
        for failure in failures:
            wanted = wave.session.params["remove_failed_pods"] and failure["owner"] is not None
            failure["removed"] = wanted and _remove(wave.session, failure)
            if failure["removed"]:
                removal = f"delete failed pod {failure['namespace']}/{failure['name']}"
                result.actions = (*result.actions, removal)


def _remove(session: Session, failure: dict[str, Any]) -> bool:
    """Delete this very pod. What cannot be deleted stays reported: it only lies there."""
    path = api_path("pods", failure["namespace"], failure["name"])
    for attempt in range(TRIES):
        session.fence.check()
        try:
            session.api.delete(path, {"preconditions": {"uid": failure["uid"]}})
        except ApiError as error:
            if error.status == 404 or (error.status == 409 and "UID in " in error.msg):
                return True  # somebody else was faster, its controller perhaps
            if not passes(error):
                return False
            pause(session.clock, attempt, error)
        else:
            return True
    return False

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether there is a kubeconfig to read, in words that name its path. PRIVATE to the collection.

Modules of kubernetes.core take the path for a secret and blot it out of their messages, so it has to be looked at before.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

VARIABLE = "kubegpu_kubeconfig"
_SETTING = "Set kubegpu_kubeconfig in the inventory or with -e"
_DEFAULT = "~/.kube/config"


def find_problem(kubeconfig: Any, environ: Mapping[str, str]) -> str:
    """Why no kubeconfig can be read, "" if one can, or none is needed.

    :param kubeconfig: the variable's value; "" if it is not set. As for kubectl, it may be several paths with colons between.
    :param environ: environment of Ansible, which its modules on the control node have as well.
    """
    if environ.get("K8S_AUTH_HOST"):
        return ""
    given = [(VARIABLE, kubeconfig), ("K8S_AUTH_KUBECONFIG in the environment", environ.get("K8S_AUTH_KUBECONFIG"))]
    # In a pod, its service account comes before what follows.
    if "KUBERNETES_SERVICE_HOST" not in environ:
        given += [("KUBECONFIG in the environment", environ.get("KUBECONFIG")), ("", _DEFAULT)]
    for source, value in given:
        if value:
            return _look(source, value) if isinstance(value, str) else ""
    return ""


def _look(source: str, value: str) -> str:
    """What is wrong with all of the paths; one that can be read is enough."""
    paths = [os.path.abspath(os.path.expanduser(path)) for path in value.split(os.pathsep) if path]
    wrongs = [_wrong(path) for path in paths]
    if not all(wrongs):
        return ""
    told = "; ".join(f"{path} {wrong}" for path, wrong in zip(paths, wrongs))
    if not source:
        return (
            f"No kubeconfig was given, and that of kubectl is of no use: {told}. So the cluster was not asked, and nothing was "
            f"changed. {_SETTING}, or K8S_AUTH_KUBECONFIG or KUBECONFIG in the environment."
        )
    way = _SETTING if source == VARIABLE else f"Set it to a kubeconfig, or unset it and set {VARIABLE}"
    return f"The kubeconfig of {source} cannot be used: {told}. So the cluster was not asked, and nothing was changed. {way}."


def _wrong(path: str) -> str:
    if not os.path.exists(path):
        return "does not exist"
    if os.path.isdir(path):
        return "is a directory"
    if not os.access(path, os.R_OK):
        return "is not readable by the user that runs Ansible"
    if os.path.getsize(path) == 0:
        return "is empty"
    return ""

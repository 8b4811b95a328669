# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options with which modules find and enter the cluster. PRIVATE to the collection.

They are kubernetes.core's own, so that its documentation fragment, its K8S_AUTH_* variables and AWX's credential apply.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec

AUTH_OPTIONS: dict[str, dict[str, Any]]
try:
    from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC
except ImportError:
    # The names alone, so that a task gets as far as the message that says what to install.
    _NAMES = (
        "kubeconfig context host api_key username password validate_certs ca_cert client_cert client_key "
        "proxy no_proxy proxy_headers persist_config impersonate_user impersonate_groups"
    )
    AUTH_OPTIONS = {name: {"type": "raw", "no_log": True} for name in _NAMES.split()}
else:
    AUTH_OPTIONS = AUTH_ARG_SPEC

KUBE_AUTH_SPEC = ArgumentSpec(options=AUTH_OPTIONS)

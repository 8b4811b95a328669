# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The nodes of a plan's file or of a cluster's, for filters. PRIVATE to the collection."""

from __future__ import annotations

import json
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain


def read_nodes(asking: str, path: Any) -> dict[str, Any]:
    """What the file says of each node.

    :param asking: the filter, for the message.
    :raises AnsibleFilterError: it cannot be read.
    """
    try:
        with open(str(to_plain(path)), encoding="utf-8") as stream:
            return json.load(stream).get("nodes") or {}
    except (OSError, ValueError, AttributeError) as error:
        raise AnsibleFilterError(
            f"{asking}: {path} cannot be read as the file of a plan or a cluster: {error}"
        ) from error

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""JSON files by which the steps of a run hand on what they know. PRIVATE to the collection.

A file, because a cluster of some thousand nodes is too large for a task's arguments and result.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError


def read_document(path: str, what: str) -> Any:
    """The decoded file.

    :param what: what it is, for messages, such as "plan".
    :raises KubeGpuError: it cannot be read, or is no JSON.
    """
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise KubeGpuError(
            f"Cannot read the {what} file {path}: {error.strerror or error}. Give the path that it was written to."
        ) from error
    except ValueError as error:
        raise KubeGpuError(
            f"The {what} file {path} is no JSON ({error}). It may have been cut off or edited: have it written again."
        ) from error


def write_document(path: str, content: Any, what: str) -> None:
    """Write the file whole or not at all. Only its owner may read it, as it tells much about a cluster.

    :raises KubeGpuError: it cannot be written.
    """
    directory = os.path.dirname(os.path.abspath(path))
    try:
        handle, temporary = tempfile.mkstemp(dir=directory, prefix=".kubegpu-", suffix=".json")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(content, file, separators=(",", ":"))
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise KubeGpuError(
            f"Cannot write the {what} file {path}: {error.strerror or error}. Create the directory, or give another path."
        ) from error

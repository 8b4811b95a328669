# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files on the control node. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError


def write_text(path: str, text: str) -> None:
    """Write a file in one step, so that a reader sees the old or the new content, never a part.

    :param path: its directory is made if it does not exist.
    :raises KubeGpuError: it cannot be written.
    """
    directory = os.path.dirname(os.path.abspath(path))
    temporary = None
    try:
        os.makedirs(directory, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=directory, prefix=f".{os.path.basename(path)}.")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            # mkstemp gives the owner alone access; the usual mask decides instead
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        os.replace(temporary, path)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise KubeGpuError(
            f"Writing {path} on the control node failed: {error.strerror}. Name a directory that may be written.",
            path=path,
        ) from error


def write_json(path: str, document: Any) -> None:
    """Write a JSON document, see :func:`write_text`."""
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def read_json(path: str, schema_version: int) -> dict[str, Any]:
    """Read a JSON document of a known schema.

    :raises KubeGpuError: it is missing, not JSON, or of another schema.
    """
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except OSError as error:
        raise KubeGpuError(
            f"Reading {path} failed: {error.strerror}. It is written by an earlier step: run that first.", path=path
        ) from error
    except ValueError as error:
        raise KubeGpuError(
            f"Reading {path} failed: it is not JSON ({error}). Remove it and run the step that writes it again.",
            path=path,
        ) from error
    found = document.get("schema_version") if isinstance(document, dict) else None
    if found != schema_version:
        raise KubeGpuError(
            f"{path} has schema_version {found!r}, this version of the collection reads {schema_version}. "
            "Run the step that writes it again, with the same version of the collection.",
            path=path,
        )
    return document


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

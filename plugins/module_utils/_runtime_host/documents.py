# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs leave on a node about its container runtime. PRIVATE to the collection."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import replace_durably

SCHEMA_VERSION = 1
_MODE = 0o600


def read_document(path: str) -> Tuple[Optional[Dict[str, Any]], Optional[str]]:
    """A document that is here, and why it cannot be read; both None if it is not there."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, f"{path} cannot be read: {error.strerror}. Run with become."
    except ValueError as error:
        return (
            None,
            f"{path} is no JSON ({error}); somebody else has written to it, or the disk has lost a part of it. Move it away, then run again.",
        )
    if not isinstance(document, dict) or document.get("schema_version") != SCHEMA_VERSION:
        return (
            None,
            f"{path} is not of schema version {SCHEMA_VERSION}: another version of this collection wrote it, or somebody else. Use that version, "
            "or move it away, then run again.",
        )
    return document, None


def write_document(path: str, document: Mapping[str, Any]) -> None:
    """Put a document in place, all of it or nothing, and on the disk when this returns.

    :raises KubeGpuError: it cannot be written.
    """
    try:
        write_durably(path, _encode({**document, "schema_version": SCHEMA_VERSION}))
    except OSError as error:
        raise KubeGpuError(
            f"Writing {path} failed: {error.strerror}. Run with become, and see that its directory can be written to and has space left."
        ) from error


def write_durably(path: str, content: bytes) -> None:
    """As :func:`write_document`, any content.

    :raises OSError: it cannot be written; what was there stands.
    """
    make_directory(os.path.dirname(path))
    replace_durably(path, content, _MODE)


def make_directory(path: str) -> None:
    """Make a directory for what is nobody else's business: configs may hold secrets of registries."""
    os.makedirs(path, mode=0o700, exist_ok=True)


def _encode(document: Mapping[str, Any]) -> bytes:
    return f"{json.dumps(document, indent=1, sort_keys=True)}\n".encode()

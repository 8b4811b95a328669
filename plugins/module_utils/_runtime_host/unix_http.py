# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP over a socket of the host. PRIVATE to the collection."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, Optional, Tuple


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("localhost", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def get(path: str, url: str, seconds: float = 5.0) -> Tuple[int, str]:
    """Status and body of an answer; status 0 and the reason if there is none. Never raises."""
    connection = _Connection(path, seconds)
    try:
        connection.request("GET", url)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, f"{path}: {error}"
    finally:
        connection.close()


def get_json(path: str, url: str, seconds: float = 5.0) -> Optional[Any]:
    """A document, None if there is no good answer."""
    status, body = get(path, url, seconds)
    if status != http.client.OK:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def accepts(path: str, seconds: float = 2.0) -> bool:
    """Whether anybody listens there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
        one.settimeout(seconds)
        try:
            one.connect(path)
        except OSError:
            return False
    return True

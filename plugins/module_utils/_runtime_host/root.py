# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the node's files are seen from here. PRIVATE to the collection."""

from __future__ import annotations

import os


class Root:
    """Translates paths between the node and here.

    :param prefix: where the node's root directory is mounted; "/" where the code runs on the node itself.
    """

    def __init__(self, prefix: str = "/") -> None:
        self.prefix = os.path.realpath(prefix).rstrip("/")

    def real(self, path: str) -> str:
        """The path here of a path of the node."""
        return f"{self.prefix}{path}" if self.prefix else path

    def node(self, path: str) -> str:
        """The path on the node of a path here; one that leads out of the root stays as it is."""
        if self.prefix and path.startswith(f"{self.prefix}/"):
            return path[len(self.prefix) :]
        return path

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that containerd's settings are spread over. PRIVATE to the collection.

A node has nothing that reads TOML. What is needed of it is one list of strings in front of the first table, which is found in the
text; what the list means as a whole is for the control node to say.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from typing import List

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)
_IMPORTS = re.compile(r"^[ \t]*[\"']?imports[\"']?[ \t]*=[ \t]*\[", re.MULTILINE)
_WORDS = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'([^'\n]*)'|(#[^\n]*)|(\])")


def find_imports(text: str) -> List[str]:
    """Patterns of the files that a file of settings imports, as written there."""
    # The list itself may have lines that begin with a bracket, so the start is looked for first.
    start = _IMPORTS.search(text)
    table = _TABLE.search(text)
    if start is None or (table and table.start() < start.start()):
        return []
    found: List[str] = []
    for word in _WORDS.finditer(text, start.end()):
        basic, literal, comment, end = word.groups()
        if end:
            break
        if comment is None:
            found.append(literal if basic is None else basic.replace('\\"', '"').replace("\\\\", "\\"))
    return found


def expand(root: Root, importing: str, patterns: List[str]) -> List[str]:
    """Paths of the node that patterns stand for, relative to the file that names them, in the order in which they are read."""
    found: List[str] = []
    for pattern in patterns:
        absolute = os.path.normpath(os.path.join(os.path.dirname(importing), pattern))
        found += [root.node(path) for path in _matching(root.real(absolute))] if _is_pattern(absolute) else [absolute]
    return list(dict.fromkeys(found))


def _matching(pattern: str) -> List[str]:
    directory, name = os.path.split(pattern)
    if _is_pattern(directory):
        return sorted(glob.glob(pattern))
    # containerd's patterns match names that begin with a dot, as Python's do not.
    try:
        return sorted(os.path.join(directory, one) for one in os.listdir(directory) if fnmatch.fnmatchcase(one, name))
    except OSError:
        return []


def _is_pattern(path: str) -> bool:
    return any(letter in path for letter in "*?[")

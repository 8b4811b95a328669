# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of a file looks like in --diff mode. Pure. PRIVATE to the collection."""

from __future__ import annotations

import re
from typing import Dict, Optional

# Names under which engines keep what lets them into registries.
_SECRET = re.compile(r"password|passwd|secret|token|auth", re.IGNORECASE)
_KEY = r"""(?:password|passwd|secret|token|auth|authorization)["']?[ \t]*[=:][ \t]*"""
# Each text can be read in one way only: what is ambiguous, and never closed, would be tried in all ways, without end.
_STRING = "|".join(
    (
        r'"{3}(?:\\[\s\S]|(?!"{3})[^\\])*"{3,5}(?!")',
        r"'{3}(?:(?!'{3})[\s\S])*'{3,5}(?!')",
        r'"(?!"")(?:[^"\\\n]|\\.)*"',
        r"'(?!'')[^'\n]*'",
    )
)
# Between them: a comment may have a quote of its own.
_BETWEEN = r"""[^\]"'#]|(?<=[\s,\[])#[^\n]*\n|(?<![\s,\[])#"""
# One with a line of its own, whose comment may tell of a former one.
_LINE = re.compile(
    rf"""^([ \t#-]*["']?[\w.-]*{_KEY})(?!\[|{{|"{{3}}|'{{3}})\S.*?(,?)(\r?)$""", re.MULTILINE | re.IGNORECASE
)
# One in the middle of a line (behind quoted keys, in an inline table, in JSON), over several lines, or in a list. No list of
# passwords is longer; a bracket that nothing closes is not followed through all of a file.
_INSIDE = re.compile(rf"""({_KEY})(?:{_STRING}|\[(?:{_BETWEEN}|{_STRING}){{0,4096}}\])""", re.IGNORECASE)
_IN_URL = re.compile(r"""(://)[^/\s"'@]+@""")
HIDDEN = "(not shown)"


def is_secret(key: str) -> bool:
    """Whether a key's value is not for logs."""
    return bool(_SECRET.search(key))


def without_secrets(text: str) -> str:
    """A config as it may be shown."""
    text = _LINE.sub(lambda found: f'{found.group(1)}"{HIDDEN}"{found.group(2)}{found.group(3)}', text)
    text = _INSIDE.sub(lambda found: f'{found.group(1)}"{HIDDEN}"', text)
    return without_logins(text)


def without_logins(text: str) -> str:
    """A text without user and password in the addresses in it, as of a proxy."""
    return _IN_URL.sub(lambda found: f"{found.group(1)}{HIDDEN}@", text)


def diff_entry(path: str, before: Optional[str], after: Optional[str]) -> Dict[str, str]:
    """An entry for Ansible's ``diff``, which goes into logs: values that let one into a registry are not shown.

    :param before: None: there is no file.
    :param after: None: there is to be no file.
    """
    return {
        "before_header": path if before is not None else f"{path} (absent)",
        "after_header": path if after is not None else f"{path} (absent)",
        "before": without_secrets(before or ""),
        "after": without_secrets(after or ""),
    }

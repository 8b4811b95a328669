# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of a file looks like in --diff mode. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Dict, Optional


def diff_entry(path: str, before: Optional[str], after: Optional[str]) -> Dict[str, str]:
    """An entry for Ansible's ``diff``.

    :param before: None: there is no file.
    :param after: None: there is to be no file.
    """
    return {
        "before_header": path if before is not None else f"{path} (absent)",
        "after_header": path if after is not None else f"{path} (absent)",
        "before": before or "",
        "after": after or "",
    }

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of the device plugin's config fields as a Python module: Ansible ships nothing else to where code runs.

Run it after a change of config_fields.yaml; a test holds the two together.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).resolve().parents[5] / "plugins" / "module_utils" / "_plugin"
SOURCE = PACKAGE / "config_fields.yaml"
TARGET = PACKAGE / "config_fields.py"

HEAD = '''\
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fields of the device plugin's config file. Generated from config_fields.yaml. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple


@dataclass(frozen=True)
class Field:
    """One field: where it stands, what it takes, and the oldest plugin that knows it."""

    path: str
    type: str
    since: Tuple[int, int, int]
    choices: Tuple[str, ...] = ()


FIELDS = (
'''


def render(source: str) -> str:
    """The module's text from the YAML's."""
    lines = [_line(field) for field in yaml.safe_load(source)["fields"]]
    return HEAD + "".join(lines) + ")\n"


def _line(field: dict[str, Any]) -> str:
    since = tuple(int(part) for part in field["since"].lstrip("v").split("."))
    choices = "".join(f', "{choice}"' for choice in field.get("choices", ()))
    tail = f", ({choices[2:]})" if choices else ""
    return f'    Field("{field["path"]}", "{field["type"]}", {since}{tail}),\n'


if __name__ == "__main__":
    TARGET.write_text(render(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of variables into each role's README, from its argument_specs.

``python -m tools.role_tables`` writes them; the contract tests check that they are current.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

ROLES = Path(__file__).resolve().parents[2] / "roles"
BEGIN, END = "<!-- variables: begin -->", "<!-- variables: end -->"


def readme_with_table(role: Path) -> str:
    """The role's README with the table between its markers made anew."""
    readme = (role / "README.md").read_text(encoding="utf-8")
    head, _unused, rest = readme.partition(BEGIN)
    _unused, _unused, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{_table(role)}\n\n{END}{tail}"


def user_variable(default: Any) -> str | None:
    """The user's variable that a role's default reads first."""
    match = re.match(r"\{\{\s*(kubegpu_[a-z0-9_]+)\s*\|\s*default\(", str(default))
    return match.group(1) if match else None


def _table(role: Path) -> str:
    """Variables of all entry points, each once, in the order of the spec: as they are set, and as the role calls them."""
    specs = yaml.safe_load((role / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    options = {name: option for spec in specs.values() for name, option in spec.get("options", {}).items()}
    defaults = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8")) or {}
    rows = [
        [
            f"`{user_variable(defaults.get(name)) or name}`",
            option["type"],
            f"`{json.dumps(option.get('default'))}`",
            " ".join(option["description"].split()),
            f"`{name}`",
        ]
        for name, option in options.items()
    ]
    headers = ["Variable", "Type", "Default", "Effect", "In the role"]
    return tabulate(rows, headers=headers, tablefmt="github", disable_numparse=True)


def main() -> None:
    """Write every role's table."""
    for readme in sorted(ROLES.glob("*/README.md")):
        readme.write_text(readme_with_table(readme.parent), encoding="utf-8")


if __name__ == "__main__":
    main()

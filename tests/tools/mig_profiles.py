# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the table of MIG profiles as a Python module: Ansible ships nothing else to where code runs.

``python -m tools.mig_profiles`` writes it; a contract test holds the two together.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

PACKAGE = Path(__file__).resolve().parents[2] / "plugins" / "module_utils" / "_mig"
SOURCE = PACKAGE / "profiles.yaml"
TARGET = PACKAGE / "profiles.py"

HEAD = '''\
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU instance profiles by card. Generated from profiles.yaml. PRIVATE to the collection."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Place, Profile


class Model(NamedTuple):
    """One card; profiles.yaml explains the fields."""

    key: str
    products: Tuple[str, ...]
    pci: Tuple[int, ...]
    compute_capability: str
    needs_reset: Optional[bool]
    mode_persists: Optional[bool]
    min_driver: Optional[str]
    confidence: str
    profiles: Tuple[Profile, ...]


def _profile(
    name: str, id: Optional[int], slices: int, starts: Tuple[int, ...], size: int, most: int, mib: Optional[int]
) -> Profile:
    return Profile(name, slices, tuple(Place(start, size) for start in starts), most, id, mib)


MODELS = (
'''


def render(source: str) -> str:
    """The module's text from the YAML's."""
    return HEAD + "".join(_model(model) for model in yaml.safe_load(source)["models"]) + ")\n"


def _model(model: dict[str, Any]) -> str:
    lines = [
        _text(model["key"]),
        _products(model["products"]),
        _tuple(model["pci"]),
        _text(model["compute_capability"]),
        str(model["needs_reset"]),
        str(model["mode_persists"]),
        _text(model["min_driver"]),
        _text(model["confidence"]),
        _tuple((f"\n            {_profile(profile)}" for profile in model["profiles"]), "\n        "),
    ]
    return "    Model(\n" + "".join(f"        {line},\n" for line in lines) + "    ),\n"


def _profile(profile: dict[str, Any]) -> str:
    starts = _tuple(map(str, profile["starts"] or ()))
    # The whole MiB of the two digits that nvidia-smi prints.
    mib = None if profile["gib"] is None else int(profile["gib"] * 1024)
    size = profile["size"] or 0
    return f'_profile("{profile["name"]}", {profile["id"]}, {profile["slices"]}, {starts}, {size}, {profile["max"]}, {mib})'


def _products(names: list[str]) -> str:
    """One line, unless the formatter would break it."""
    line = _tuple(map(_text, names))
    return line if len(line) < 111 else _tuple((f"\n            {_text(name)}" for name in names), "\n        ")


def _text(value: Any) -> str:
    return "None" if value is None else f'"{value}"'


def _tuple(parts: Any, end: str = "") -> str:
    """A tuple's source; one of several lines ends each with a comma."""
    parts = list(parts)
    if not parts:
        return "()"
    inner = ("," if end else ", ").join(parts)
    return f"({inner}{',' if end or len(parts) == 1 else ''}{end})"


if __name__ == "__main__":
    TARGET.write_text(render(SOURCE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {TARGET}")

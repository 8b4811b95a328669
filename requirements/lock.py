# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Renew the pinned requirements: resolve every ``.in`` file beside this one under each given Python.

    python3 requirements/lock.py python3.11 python3.12 python3.13

One ``.txt`` per ``.in``, with environment markers where the Pythons get different versions. The newest Python given
speaks for newer ones too. Nothing is installed: pip reports what it would install.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
HEADER = "# Written by requirements/lock.py from {source}: change that file and run it again.\n"

Pins = dict[str, str]  # project name -> version


def version_of(python: str) -> tuple[int, int]:
    """Major and minor version of an interpreter."""
    code = "import sys; print(*sys.version_info[:2])"
    major, minor = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    return int(major), int(minor)


def resolve(python: str, source: Path) -> Pins:
    """What pip would install into an empty environment of this Python."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([python, "-m", "venv", scratch], check=True)
        pip = [f"{scratch}/bin/python", "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        report = Path(scratch) / "report.json"
        subprocess.run([*pip, "--report", str(report), "-r", str(source)], check=True)
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in installed}


def merge(resolved: dict[tuple[int, int], Pins]) -> list[str]:
    """Requirement lines for all Pythons; a marker wherever they do not agree."""
    pythons = sorted(resolved)
    lines = []
    for name in sorted({name for pins in resolved.values() for name in pins}):
        versions = [resolved[python].get(name) for python in pythons]
        for version in dict.fromkeys(filter(None, versions)):
            markers = [marker(pythons, index) for index, other in enumerate(versions) if other == version]
            condition = "" if len(markers) == len(pythons) else f" ; {' or '.join(markers)}"
            lines.append(f"{name}=={version}{condition}")
    return lines


def marker(pythons: list[tuple[int, int]], index: int) -> str:
    """Marker for one of the Pythons; the newest includes those after it."""
    operator = ">=" if index == len(pythons) - 1 else "=="
    major, minor = pythons[index]
    return f"python_version {operator} '{major}.{minor}'"


def main(pythons: list[str]) -> None:
    """Write every lock file."""
    if not pythons:
        sys.exit(__doc__)
    for source in sorted(HERE.glob("*.in")):
        resolved = {version_of(python): resolve(python, source) for python in pythons}
        text = HEADER.format(source=source.name) + "\n".join(merge(resolved)) + "\n"
        source.with_suffix(".txt").write_text(text, encoding="utf-8")
        print(f"{source.with_suffix('.txt').name}: {len(text.splitlines()) - 1} pins")


if __name__ == "__main__":
    main(sys.argv[1:])

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository as the contract tests read it: files as text, YAML and syntax trees; nothing is imported or run."""

from __future__ import annotations

import ast
import functools
import subprocess
from pathlib import Path
from typing import Any, Iterator

import yaml

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "plugins"
MODULE_UTILS = PLUGINS / "module_utils"
MODULES = sorted((PLUGINS / "modules").glob("[!_]*.py"))
ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yml"))
COLLECTION = "kubegpu.sharing"
PACKAGE = f"ansible_collections.{COLLECTION}.plugins.module_utils"


@functools.lru_cache(maxsize=None)
def files() -> tuple[Path, ...]:
    """Every file that is, or would be, committed."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(sorted(ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()))


@functools.lru_cache(maxsize=None)
def text(path: Path) -> str:
    """A file's text; empty for what is none."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def name(path: Path) -> str:
    """A test's id."""
    return path.relative_to(ROOT).as_posix()


@functools.lru_cache(maxsize=None)
def load(path: Path) -> Any:
    """A YAML file, or None where it is missing."""
    return yaml.safe_load(text(path)) if path.exists() else None


def constants(path: Path) -> dict[str, str]:
    """Text constants at the top of a Python file: DOCUMENTATION, EXAMPLES, RETURN."""
    return _assignments(ast.parse(text(path)).body)


def _assignments(body: list[ast.stmt]) -> dict[str, str]:
    return {
        target.id: statement.value.value
        for statement in body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
        for target in statement.targets
        if isinstance(target, ast.Name) and isinstance(statement.value.value, str)
    }


def documentation(path: Path) -> dict[str, Any]:
    """A plugin's documentation with the options of the fragments that it extends."""
    documented = yaml.safe_load(constants(path)["DOCUMENTATION"])
    options: dict[str, Any] = {}
    for fragment in documented.get("extends_documentation_fragment", []):
        options.update(_fragment(fragment).get("options", {}))
    options.update(documented.get("options", {}))
    return {**documented, "options": options}


def _fragment(full_name: str) -> dict[str, Any]:
    """One documentation fragment, of this collection or of one that set-up brought."""
    namespace, collection, file_name, *part = full_name.split(".")
    base = ROOT / ".venv" / "collections" / "ansible_collections" / namespace / collection
    source = text(base / "plugins" / "doc_fragments" / f"{file_name}.py")
    body = next(node.body for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    return yaml.safe_load(_assignments(body)[part[0].upper() if part else "DOCUMENTATION"])


@functools.lru_cache(maxsize=None)
def imports(path: Path) -> frozenset[str]:
    """Full names that a Python file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found)


def resolve(full_name: str) -> list[Path]:
    """The file in module_utils that defines an imported name; none for names from elsewhere."""
    if not full_name.startswith(f"{PACKAGE}."):
        return []
    parts = full_name[len(PACKAGE) + 1 :].split(".")
    for length in (len(parts), len(parts) - 1):
        path = MODULE_UTILS.joinpath(*parts[:length]).with_suffix(".py")
        if path.is_file():
            return [path]
    return []


def python_files(directory: Path) -> list[Path]:
    """Python files of the repository below a directory."""
    return [path for path in files() if path.suffix == ".py" and path.is_relative_to(directory)]


def tasks(node: Any) -> Iterator[dict[str, Any]]:
    """Every task in loaded YAML: of plays, of task files, and those in blocks."""
    for item in node if isinstance(node, list) else []:
        if not isinstance(item, dict):
            continue
        nested = [
            key for key in ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always") if key in item
        ]
        for key in nested:
            yield from tasks(item[key])
        if not nested:
            yield item

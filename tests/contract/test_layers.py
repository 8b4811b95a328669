# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which way dependencies point."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from contract.repository import (
    COLLECTION,
    MODULE_UTILS,
    MODULES,
    PACKAGE,
    PLUGINS,
    ROOT,
    imports,
    name,
    python_files,
    resolve,
)

PURE = (
    "_sizing",
    "_mig",
    "_plan",
    "_plugin",
    "_cluster",
    "_report",
    "_rollout",
    "_rollback",
    "_eviction",
    "_rehearsal",
    "_holders",
    "_export",
    "_measure",
    "_hardening",
    "_runtime",
    "_usage",
)
# Fine on the control node, where the pure packages run.
CONTROL_NODE_LIBRARIES = {"jinja2", "jmespath", "tabulate", "tomlkit", "yaml"}
# Node-side code finds the standard library and what travels with a module.
NODE_LIBRARIES = {"ansible.module_utils", "pynvml"}
NODE_MODULES = (
    "container_runtime_info",
    "gpu_access_info",
    "gpu_info",
    "gpu_xid_info",
    "gpu_usage",
    "mig_config",
    "node_program",
    "runtime_files",
)
COLLECTION_PACKAGE = f"ansible_collections.{COLLECTION}"


def foreign(path: Path) -> set[str]:
    """Imports that are neither of the standard library nor of this collection."""
    standard = sys.stdlib_module_names
    return {
        full_name
        for full_name in imports(path)
        if full_name.split(".")[0] not in standard and not full_name.startswith(COLLECTION_PACKAGE)
    }


def own(path: Path) -> set[str]:
    """Packages of module_utils that a file imports from, such as _core."""
    return {full_name[len(PACKAGE) + 1 :].split(".")[0] for full_name in imports(path) if full_name.startswith(PACKAGE)}


def test_plugin_imports_by_full_names() -> None:
    # Those by relative ones would go past the tests below, which look at full names.
    guilty = [
        name(path)
        for path in python_files(PLUGINS)
        if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    ]
    assert not guilty


@pytest.mark.parametrize("package", PURE)
def test_pure_package_knows_neither_ansible_nor_kubernetes_nor_nvml(package: str) -> None:
    for path in python_files(MODULE_UTILS / package):
        assert {full_name.split(".")[0] for full_name in foreign(path)} <= CONTROL_NODE_LIBRARIES, name(path)
        assert own(path) <= {*PURE, "_core"}, name(path)
        from_core = {full_name for full_name in imports(path) if full_name.startswith(f"{PACKAGE}._core")}
        # Of _core, what has nothing of Ansible in it.
        assert all(full_name.split("._core.")[1].startswith(("errors.", "outcome.")) for full_name in from_core), name(
            path
        )


@pytest.mark.parametrize(("library", "package"), [("kubernetes", "_kube"), ("pynvml", "_nvml")])
def test_client_library_is_imported_by_one_package_only(library: str, package: str) -> None:
    users = [path for path in python_files(PLUGINS) if library in {part.split(".")[0] for part in imports(path)}]
    assert all(path.is_relative_to(MODULE_UTILS / package) for path in users), list(map(name, users))


def test_node_side_code_needs_nothing_installed() -> None:
    waiting = [path for path in MODULES if path.stem in NODE_MODULES]
    # What stays on a node after a run, too.
    waiting += python_files(MODULE_UTILS / "_boot")
    seen: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        unknown = {part for part in foreign(path) if not any(part.startswith(library) for library in NODE_LIBRARIES)}
        assert not unknown, name(path)
        for full_name in imports(path):
            if full_name.startswith(PACKAGE):
                waiting += resolve(full_name)


def test_simulator_knows_nothing_of_the_collection() -> None:
    # It could otherwise prove the collection's own mistakes right.
    guilty = [
        name(path)
        for path in python_files(ROOT / "tests" / "simulator")
        if any(full_name.startswith("ansible_collections") for full_name in imports(path))
    ]
    assert not guilty

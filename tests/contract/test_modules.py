# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules: their examples, their action group, their tests, and which side they run on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from contract.repository import (
    COLLECTION,
    MODULES,
    PLUGINS,
    ROLES,
    ROOT,
    constants,
    documentation,
    imports,
    load,
    name,
    python_files,
    resolve,
    text,
)

# Keywords of a task, beside its action.
KEYWORDS = {
    "name", "register", "when", "loop", "loop_control", "become", "delegate_to", "run_once", "vars", "check_mode", "diff",
    "until", "retries", "delay", "failed_when", "changed_when", "no_log", "environment", "tags", "notify", "args",
    "async", "poll",
}  # fmt: skip
AUTHENTICATION = "kubernetes.core.k8s_auth_options"


def examples(path: Path) -> list[dict[str, Any]]:
    """Tasks in a module's EXAMPLES; those of a play as well."""
    shown = yaml.safe_load(constants(path)["EXAMPLES"])
    return [task for item in shown for task in (item["tasks"] if "hosts" in item else [item])]


def talks_to_the_api(path: Path) -> bool:
    """Whether a module takes the options of a Kubernetes connection."""
    return AUTHENTICATION in yaml.safe_load(constants(path)["DOCUMENTATION"]).get("extends_documentation_fragment", [])


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_is_short(path: Path) -> None:
    lines = len(text(path).splitlines())
    assert lines < 300, f"{lines} lines: move logic to module_utils"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_examples_use_real_options(path: Path) -> None:
    own = f"{COLLECTION}.{path.stem}"
    documented = documentation(path)["options"]
    tasks = examples(path)
    assert any(own in task for task in tasks)
    for task in tasks:
        assert task.get("name"), f"a task without a name: {task}"
        actions = [key for key in task if key not in KEYWORDS]
        assert len(actions) == 1, f"{task['name']}: {actions}"
        assert actions[0].count(".") >= 2, f"{task['name']}: {actions[0]} is no full name"
        if actions[0] == own:
            check_options(task[own] or {}, documented, task["name"])


def check_options(given: dict[str, Any], documented: dict[str, Any], where: str) -> None:
    """Options of an example exist, required ones are there, and choices are among the choices."""
    names = {alias: option for option, spec in documented.items() for alias in (option, *spec.get("aliases", []))}
    assert set(given) <= set(names), where
    required = {option for option, spec in documented.items() if spec.get("required")}
    assert required <= {names[option] for option in given}, where
    for option, value in given.items():
        choices = documented[names[option]].get("choices")
        if choices and "{{" not in str(value):
            assert set(value if isinstance(value, list) else [value]) <= set(choices), f"{where}: {option}"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_is_in_the_action_group_if_it_talks_to_the_api(path: Path) -> None:
    group = load(ROOT / "meta/runtime.yml")["action_groups"]["k8s"]
    # The group's defaults would hand a kubeconfig to a module that has no such option.
    assert (path.stem in group) == talks_to_the_api(path)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_that_runs_on_nodes_never_loads_the_kubernetes_client(path: Path) -> None:
    kube = [full_name for full_name in imports(path) if "._kube" in full_name]
    assert bool(kube) <= talks_to_the_api(path)


def test_action_group_names_existing_modules() -> None:
    existing = {path.stem for path in MODULES}
    assert set(load(ROOT / "meta/runtime.yml")["action_groups"]["k8s"]) <= existing


def test_action_plugin_has_a_documented_module_of_its_name() -> None:
    actions = {path.stem for path in (PLUGINS / "action").glob("[!_]*.py")}
    assert actions <= {path.stem for path in MODULES}


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_has_unit_tests(path: Path) -> None:
    tests = python_files(ROOT / "tests/unit/plugins")
    if any(path.stem in test.stem for test in tests):
        return
    # Its logic is in module_utils, and so may be the tests: of a file that the module uses, other than what all use.
    logic = {file for full_name in imports(path) for file in resolve(full_name) if file.parent.name != "_core"}
    assert any(file in logic for test in tests for full_name in imports(test) for file in resolve(full_name))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_module_has_integration_tests(path: Path) -> None:
    full_name = f"{COLLECTION}.{path.stem}"
    # Called by a test itself, or by the roles whose playbooks the tests run.
    callers = [*python_files(ROOT / "tests/integration"), *(ROOT / "tests/integration").rglob("*.yml")]
    callers += [task_file for role in ROLES for task_file in (role / "tasks").glob("*.yml")]
    assert any(full_name in text(caller) for caller in callers)

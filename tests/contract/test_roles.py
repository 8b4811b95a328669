# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Roles: specs, defaults and READMEs say the same, and every kubegpu_* variable means one thing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Iterator

import pytest
from jinja2.nativetypes import NativeEnvironment

from ansible_collections.kubegpu.sharing.plugins.module_utils._export.metrics import Reading, describe_usage
from contract.repository import ROLES, ROOT, files, load, name, text
from tools import role_tables

TYPES: dict[str, type | tuple[type, ...]] = {
    "bool": bool,
    "dict": dict,
    "float": (int, float),
    "int": int,
    "list": list,
    "path": str,
    "raw": object,
    "str": str,
}
USER_VARIABLE = re.compile(r"\bkubegpu_[a-z0-9_]+\b")
PLACES = ("README.md", "CONTRIBUTING.md", "docs", "inventories", "playbooks", "roles")
# Groups that the rollout makes, what it hands from play to play, and how names of settings begin.
NO_SETTINGS = {"kubegpu_rollout_nodes", "kubegpu_control", "kubegpu_selected_hosts", "kubegpu_runtime_"}
# Metrics have the collection's name before them too.
METRICS = {metric.name for metric in describe_usage(Reading(None, {}, 0))}
# What a default may refer to beside the user's variables.
CONTEXT = {"inventory_hostname": "a-host"}


def specs(role: Path) -> dict[str, Any]:
    return load(role / "meta/argument_specs.yml")["argument_specs"]


def options(role: Path) -> dict[str, Any]:
    """Options of all entry points, in the order in which they appear first."""
    return {option: spec for entry in specs(role).values() for option, spec in entry.get("options", {}).items()}


def defaults(role: Path) -> dict[str, Any]:
    return load(role / "defaults/main.yml") or {}


def rendered(value: Any) -> Any:
    """A default as Ansible sees it while the user has set nothing."""
    if isinstance(value, str) and "{{" in value:
        return NativeEnvironment().from_string(value).render(CONTEXT)
    return value


def conditions(node: Any) -> Iterator[str]:
    """What tasks and blocks depend on."""
    if isinstance(node, list):
        for item in node:
            yield from conditions(item)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("when", "failed_when", "changed_when", "until", "that"):
                yield from map(str, value if isinstance(value, list) else [value])
            else:
                yield from conditions(value)


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_has_readme_meta_and_specs(role: Path) -> None:
    missing = [path for path in ("README.md", "meta/main.yml", "meta/argument_specs.yml") if not (role / path).exists()]
    assert not missing


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_every_entry_point_has_a_task_file(role: Path) -> None:
    missing = [entry for entry in specs(role) if not (role / "tasks" / f"{entry}.yml").exists()]
    assert not missing


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_variables_bear_the_name_of_the_role(role: Path) -> None:
    strangers = [option for option in {**options(role), **defaults(role)} if not option.startswith(f"{role.name}_")]
    assert not strangers


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_entry_points_agree_on_an_option(role: Path) -> None:
    for entry, spec in specs(role).items():
        for option, described in spec.get("options", {}).items():
            assert described == options(role)[option], f"{entry}: {option}"


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_defaults_are_the_specs_defaults_in_their_order(role: Path) -> None:
    optional = {option: spec for option, spec in options(role).items() if "default" in spec}
    assert list(defaults(role)) == list(optional)
    for option, spec in optional.items():
        assert rendered(defaults(role)[option]) == rendered(spec["default"]), option


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_defaults_have_the_type_of_the_spec(role: Path) -> None:
    for option, spec in options(role).items():
        assert "description" in spec, option
        if "default" in spec:
            value = rendered(spec["default"])
            assert isinstance(value, TYPES[spec.get("type", "str")]), f"{option}: {value!r} is no {spec.get('type')}"
            assert spec.get("type") == "bool" or not isinstance(value, bool), option


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_default_reads_one_variable_of_the_user(role: Path) -> None:
    unpaired = [option for option, value in defaults(role).items() if role_tables.user_variable(value) is None]
    assert not unpaired


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_default_has_a_comment_above_it(role: Path) -> None:
    lines = text(role / "defaults/main.yml").splitlines()
    bare = [line for above, line in zip(lines, lines[1:]) if re.match(r"[a-z_]+:", line) and not above.startswith("#")]
    assert not bare


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_readme_has_the_current_table_of_variables(role: Path) -> None:
    assert text(role / "README.md") == role_tables.readme_with_table(role), "run: .venv/bin/python -m tools.role_tables"


@pytest.mark.parametrize("role", ROLES, ids=name)
def test_role_conditions_take_switches_for_what_they_say(role: Path) -> None:
    """-e kubegpu_x=false is a text, and a text that is not empty is true."""
    switches = [option for option, spec in options(role).items() if spec.get("type") == "bool"]
    unread = [
        f"{name(path)}: {condition}"
        for path in sorted(role.glob("tasks/*.yml"))
        for condition in conditions(load(path))
        for switch in switches
        if re.search(rf"\b{switch}\b(?!\s*\|\s*bool)", condition)
    ]
    assert unread == []


def test_user_variable_has_the_same_default_everywhere() -> None:
    seen: dict[str, Any] = {}
    for role in ROLES:
        for option, value in defaults(role).items():
            user = role_tables.user_variable(value)
            assert rendered(value) == seen.setdefault(str(user), rendered(value)), f"{option} reads {user}"


def test_user_variable_that_is_mentioned_exists() -> None:
    known = {user for role in ROLES for value in defaults(role).values() for user in USER_VARIABLE.findall(str(value))}
    suffixes = (".yml", ".md", ".rst")
    places = [path for path in files() if path.suffix in suffixes and path.relative_to(ROOT).parts[0] in PLACES]
    unknown = {
        f"{name(path)}: {user}"
        for path in places
        for user in USER_VARIABLE.findall(text(path))
        if user not in known | NO_SETTINGS | METRICS
    }
    assert not unknown

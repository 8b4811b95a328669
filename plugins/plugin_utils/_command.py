# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that comes next, made from the one that was typed. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.splitter import parse_kv

COLLECTION = "kubegpu.sharing."
_PLAN_ID = "kubegpu_plan_id"
_PLAYBOOK_FILE = re.compile(r"(^|/)playbooks/[a-z_]+\.yml$")
_EXTRA = re.compile(r"^(?:-e|--extra-vars)(?:=?(?P<value>.+))?$", re.DOTALL)
_DRY = ("--check", "--diff")
# Several switches in one word: those of a dry run are taken out.
_SWITCHES = re.compile(r"^-[CDKJbkv]+$")


def follow_up(argv: Sequence[str], playbook: str, plan_id: str) -> str:
    """The command that carries a plan out, with what this one was given: inventory, limit, variables.

    Values of variables that are not the collection's are not repeated, as they may be secrets: they show as "...".

    :param argv: the command at hand. Where it names none of the collection's playbooks, nothing is known of its options.
    :param playbook: name within the collection, such as "rollout".
    """
    name = COLLECTION + playbook
    approved = ["-e", f"{_PLAN_ID}={plan_id}"]
    if not any(_is_ours(word) for word in argv[1:]):
        return shlex.join(["ansible-playbook", name, *approved])
    words, rest = [_program(argv[0])], list(argv[1:])
    while rest:
        word = rest.pop(0)
        extra = _EXTRA.match(word)
        if extra:
            value = extra["value"] or (rest.pop(0) if rest else "")
            words += [part for kept in _keep_variables(value) for part in ("-e", kept)]
        elif _is_ours(word):
            words.append(name)
        elif _SWITCHES.match(word):
            left = word.replace("C", "").replace("D", "")
            words += [left] if left != "-" else []
        elif word not in _DRY:
            words.append(word)
    return shlex.join([*words, *approved])


def _is_ours(word: str) -> bool:
    return word.startswith(COLLECTION) or bool(_PLAYBOOK_FILE.search(word))


def _program(path: str) -> str:
    """As it was typed: by its name alone, if the shell finds it so."""
    name = os.path.basename(path)
    found = shutil.which(name)
    if found and os.path.exists(path) and os.path.samefile(found, path):
        return name
    return path


def _keep_variables(text: str) -> list[str]:
    """Values for -e that give the same variables, without the plan's id and without what may be secret."""
    if text.startswith("@"):
        return [text]
    variables = _read(text)
    if variables is None:
        return []
    ours = {name: value for name, value in variables.items() if name.startswith("kubegpu_")}
    hidden = [f"{name}=..." for name in variables if name not in ours]
    if not hidden and _PLAN_ID not in ours:
        return [text]
    ours.pop(_PLAN_ID, None)
    plain = all(isinstance(value, str) and value for value in ours.values())
    shown = " ".join(f"{name}={shlex.quote(value)}" for name, value in ours.items()) if plain else yaml_in_a_line(ours)
    return [*([shown] if ours else []), *hidden]


def yaml_in_a_line(variables: Mapping[str, Any]) -> str:
    """Variables as Ansible reads them behind -e."""
    return yaml.safe_dump(dict(variables), default_flow_style=True, width=10**6, sort_keys=False).strip()


def _read(text: str) -> dict[str, Any] | None:
    """The variables of one -e; None if they cannot be told, in which case Ansible would not have begun."""
    try:
        found = yaml.safe_load(text) if text.lstrip().startswith("{") else parse_kv(text)
    except (yaml.YAMLError, AnsibleError):
        return None
    return found if isinstance(found, dict) else None

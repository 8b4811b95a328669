# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command that comes next, made from the one that was typed. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ansible.errors import AnsibleError
from ansible.parsing.splitter import parse_kv

COLLECTION = "kubegpu.sharing."
_PLAN_ID = "kubegpu_plan_id"
# Of a sampling alone; kubegpu_measurements_dir is the plan's as well.
_OF_MEASURE = "kubegpu_measure_"
_PLAYBOOK_FILE = re.compile(r"(?:^|/)playbooks/([a-z_]+\.yml)$")
_PLAYBOOKS = Path(__file__).resolve().parents[2] / "playbooks"
_EXTRA = ("-e", "--extra-vars")
_DRY = ("-C", "--check", "-D", "--diff")

# What ansible-playbook knows. Which word is a playbook, and which a value, cannot be told without.
_SWITCH_WORDS = (
    "-h --help --version -v --verbose -k --ask-pass --force-handlers -b --become -K --ask-become-pass -C --check -D --diff --list-hosts "
    "--flush-cache -J --ask-vault-password --ask-vault-pass --syntax-check --list-tasks --list-tags --step"
)
_VALUE_WORDS = (
    "--private-key --key-file -u --user -c --connection -T --timeout --ssh-common-args --sftp-extra-args --scp-extra-args "
    "--ssh-extra-args --connection-password-file --conn-pass-file --become-method --become-user --become-password-file "
    "--become-pass-file -t --tags --skip-tags -i --inventory --inventory-file -l --limit -e --extra-vars --vault-id "
    "--vault-password-file --vault-pass-file -f --forks -M --module-path --start-at-task"
)
_SWITCHES, _WITH_VALUE = frozenset(_SWITCH_WORDS.split()), frozenset(_VALUE_WORDS.split())


class _UnclearError(Exception):
    """The line has a word of which it cannot be told for sure what it means."""


@dataclass(frozen=True)
class _Part:
    """An option with its value, or a playbook, for which ``option`` is empty."""

    option: str = ""
    value: str | None = None

    def words(self) -> list[str]:
        return [self.option, *([] if self.value is None else [self.value])]


def follow_up(argv: Sequence[str], playbook: str, plan_id: str) -> str:
    """The command that carries a plan out, or makes one, with what this one was given: inventory, limit, variables.

    Values of variables that are not the collection's are not repeated, as they may be secrets: they show as "...".

    :param argv: the command at hand. Where it names other playbooks than the collection's, or cannot be read for sure, nothing of
        it is repeated.
    :param playbook: name within the collection, such as "rollout".
    :param plan_id: what is approved by it; empty if it is nothing yet.
    """
    return follow_up_with(argv, playbook, {_PLAN_ID: plan_id} if plan_id else {})


def follow_up_with(argv: Sequence[str], playbook: str, variables: Mapping[str, str], limit: str = "") -> str:
    """The same with any variables, in place of those of these names that were given, and always without the plan's id that was given.

    :param limit: the limit of the run, for where the line cannot be repeated.
    """
    added = [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]
    try:
        words = _repeat(list(_read_line(list(argv[1:]))), COLLECTION + playbook, {_PLAN_ID, *variables})
    except _UnclearError:
        limited = ["--limit", limit] if limit else []
        return shlex.join(["ansible-playbook", COLLECTION + playbook, *added, *limited])
    return shlex.join([_program(argv[0]), *words, *added])


def _repeat(parts: Sequence[_Part], playbook: str, without: Set[str]) -> list[str]:
    playbooks = [part for part in parts if not part.option]
    if not playbooks or not all(_is_ours(part.value or "") for part in playbooks):
        raise _UnclearError

    def is_dropped(name: str) -> bool:
        return name in without or (name.startswith(_OF_MEASURE) and playbook != f"{COLLECTION}measure")

    words: list[str] = []
    for part in parts:
        if part.option in _EXTRA:
            words += [word for kept in _keep_variables(part.value or "", is_dropped) for word in ("-e", kept)]
        elif part is playbooks[0]:
            words.append(playbook)
        elif part.option and part.option not in _DRY:
            words += part.words()
    return words


def _read_line(words: list[str]) -> Iterator[_Part]:
    """The line as ansible-playbook reads it, which it must have done without complaint.

    Options may be shortened (--extra-var), bundled (-bCi inventory) and hold their value (-iinventory, --limit=gpu-7).
    """
    while words:
        word = words.pop(0)
        if word == "--":
            yield from (_Part(value=rest) for rest in words)
            return
        if word.startswith("--"):
            yield _read_long(word, words)
        elif word.startswith("-") and word != "-":
            yield from _read_short(word, words)
        else:
            yield _Part(value=word)


def _read_long(word: str, words: list[str]) -> _Part:
    typed, equals, value = word.partition("=")
    known = _SWITCHES | _WITH_VALUE
    meant = [typed] if typed in known else [option for option in known if option.startswith(typed)]
    if len(meant) != 1 or (equals and meant[0] in _SWITCHES):
        raise _UnclearError
    if meant[0] in _SWITCHES:
        return _Part(meant[0])
    return _Part(meant[0], value if equals else _take(words))


def _read_short(word: str, words: list[str]) -> Iterator[_Part]:
    """One word may have several switches, and an option with its value at the end. Switches that stay are one word again."""
    switches, rest = "", word[1:]
    while rest and f"-{rest[0]}" in _SWITCHES:
        switches, rest = switches + rest[0], rest[1:]
    left = "".join(switch for switch in switches if f"-{switch}" not in _DRY)
    if left:
        yield _Part(f"-{left}")
    if not rest:
        return
    option, value = f"-{rest[0]}", rest[1:]
    # Behind switches, versions of Python differ on whether "=" belongs to the value.
    if option not in _WITH_VALUE or value == "=" or (switches and value.startswith("=")):
        raise _UnclearError
    yield _Part(option, value.removeprefix("=") or _take(words))


def _take(words: list[str]) -> str:
    if not words:
        raise _UnclearError
    return words.pop(0)


def _is_ours(word: str) -> bool:
    file = _PLAYBOOK_FILE.search(word)
    return word.startswith(COLLECTION) or bool(file and (_PLAYBOOKS / file[1]).is_file())


def _program(path: str) -> str:
    """As it was typed: by its name alone, if the shell finds it so."""
    name = os.path.basename(path)
    found = shutil.which(name)
    if found and os.path.exists(path) and os.path.samefile(found, path):
        return name
    return path


def _keep_variables(text: str, is_dropped: Callable[[str], bool]) -> list[str]:
    """Values for -e that give the same variables, without some and without what may be secret."""
    if text.startswith("@"):
        return [text]
    variables = _read(text)
    ours = {name: value for name, value in variables.items() if name.startswith("kubegpu_")}
    # Words that set no variable are not repeated either: nobody knows what they were meant to be.
    hidden = [f"{name}=..." for name in variables if name not in ours and name != "_raw_params"]
    if len(ours) == len(variables) > 0 and not any(map(is_dropped, ours)):
        return [text]
    ours = {name: value for name, value in ours.items() if not is_dropped(name)}
    plain = all(isinstance(value, str) and value for value in ours.values())
    shown = " ".join(f"{name}={shlex.quote(value)}" for name, value in ours.items()) if plain else yaml_in_a_line(ours)
    return [*([shown] if ours else []), *hidden]


def yaml_in_a_line(variables: Mapping[str, Any]) -> str:
    """Variables as Ansible reads them behind -e."""
    return yaml.safe_dump(dict(variables), default_flow_style=True, width=10**6, sort_keys=False).strip()


def _read(text: str) -> dict[str, Any]:
    """The variables of one -e, as Ansible reads them."""
    try:
        found = yaml.safe_load(text) if text.startswith(("{", "[")) else parse_kv(text)
    except (yaml.YAMLError, AnsibleError) as error:
        raise _UnclearError from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise _UnclearError
    return found

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files: headers, modes, generated tables, what is documented, and what is said nowhere."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from contract.repository import (
    COLLECTION,
    MODULE_UTILS,
    MODULES,
    PLAYBOOKS,
    PLUGINS,
    ROOT,
    files,
    load,
    name,
    python_files,
    text,
)

HEADER = (
    "# Copyright: (c) 2026, kubegpu.sharing maintainers\n"
    "# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)\n"
    "# SPDX-License-Identifier: GPL-3.0-or-later\n"
)
MODULE_SHEBANG = "#!/usr/bin/python\n"
# The index, registry and mirror are the machine's settings; a path of one machine helps nobody else. In pieces, so that this
# file does not say them itself.
FORBIDDEN = [
    re.escape("pypi" + ".org"),
    re.escape("python" + "hosted.org"),
    re.escape("deb." + "debian.org"),
    re.escape("galaxy." + "ansible.com"),
    r"(?<![\w.}/-])/(?:root|work|Users|opt/pypi)/",
    r"(?<!/var)/tmp/kube" + "gpu",
    "TO" + "DO|FIX" + "ME|X" + "XX",
]


@pytest.mark.parametrize("path", python_files(PLUGINS), ids=name)
def test_plugin_file_starts_with_the_licence(path: Path) -> None:
    start = MODULE_SHEBANG + HEADER if path in MODULES else HEADER
    assert text(path).startswith(start)
    assert "from __future__ import annotations" in text(path)


@pytest.mark.parametrize("path", python_files(MODULE_UTILS), ids=name)
def test_module_utils_are_private(path: Path) -> None:
    assert "PRIVATE to the collection." in text(path).split("from __future__")[0]


def test_file_is_executable_if_it_says_what_runs_it() -> None:
    wrong = []
    for path in files():
        executable = bool(path.stat().st_mode & stat.S_IXUSR)
        # Ansible runs modules by their shebang, but never from here.
        runs = path.open("rb").read(2) == b"#!" and path not in MODULES
        if executable != runs:
            wrong.append(name(path))
    assert not wrong


@pytest.mark.parametrize("words", FORBIDDEN)
def test_no_file_names_a_machine_or_leaves_work_open(words: str) -> None:
    pattern = re.compile(words)
    guilty = [f"{name(path)}: {found.group()}" for path in files() if (found := pattern.search(text(path)))]
    assert not guilty


def test_table_in_yaml_has_a_python_module_beside_it() -> None:
    # Ansible ships only Python files to where code runs.
    missing = [name(path) for path in files() if is_table(path) and not path.with_suffix(".py").exists()]
    assert not missing


def is_table(path: Path) -> bool:
    return path.is_relative_to(MODULE_UTILS) and path.suffix in (".yaml", ".yml")


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_playbook_is_documented(path: Path) -> None:
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.rst")]
    assert any(f"{COLLECTION}.{path.stem}" in text(document) for document in documents)


def test_readme_begins_with_the_two_commands() -> None:
    first_screen = text(ROOT / "README.md").splitlines()[:30]
    assert "make demo" in "\n".join(first_screen)
    assert "make test" in "\n".join(first_screen)


def test_linters_skip_nothing() -> None:
    settings = load(ROOT / ".ansible-lint")
    assert settings["profile"] == "production"
    assert not settings["skip_list"]
    assert not settings["warn_list"]
    assert not list((ROOT / "tests/sanity").glob("ignore-*.txt"))


def test_noqa_gives_a_reason_on_its_line() -> None:
    # Nothing else in the line's comments: a reason may stand before or behind.
    bare = re.compile(
        r"^[^#\n]*#\s*(?:noqa|type:\s*ignore|nosec|pylint:\s*disable)\b(?:[:=\[][^\s(]*)?\s*$", re.MULTILINE
    )
    own = Path(__file__)
    guilty = [
        f"{name(path)}: {found.group()}" for path in files() if path != own and (found := bare.search(text(path)))
    ]
    assert not guilty


def test_lock_files_cover_what_they_are_made_from() -> None:
    for source in (ROOT / "requirements").glob("*.in"):
        pinned = {line.split("==")[0] for line in text(source.with_suffix(".txt")).splitlines() if "==" in line}
        wanted = {
            re.split(r"[<>=~! ]", line)[0].lower().replace("_", "-")
            for line in text(source).splitlines()
            if line and not line.startswith(("#", "-r"))
        }
        assert wanted <= pinned, source.name


def test_execution_environment_gets_the_libraries_of_the_control_node() -> None:
    described = load(ROOT / "meta/execution-environment.yml")
    listed = text(ROOT / described["dependencies"]["python"])
    missing = [
        library
        for library in ("kubernetes", "jmespath", "nvidia-ml-py", "tabulate", "tomlkit")
        if library not in listed
    ]
    assert not missing

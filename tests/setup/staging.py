# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the checks in noxfile.py need beside their commands: a copy of the collection at a path that says its name, a home
for ansible-test, interpreters for the oldest Python, and what may be in the tarball.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from ansible import module_utils

# The caller's settings and the owner of the checkout do not matter here.
GIT = ("git", "-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")
NODE_REQUIREMENTS = ("pytest==8.3.5", "pytest-timeout==2.4.0", "nvidia-ml-py==13.615.71")
# Plugin types as ansible-doc names them, by directory.
DOCUMENTED = {
    "modules": "module",
    "filter": "filter",
    "inventory": "inventory",
    "connection": "connection",
    "lookup": "lookup",
    "callback": "callback",
    "test": "test",
}
UNWANTED = (".venv", ".cache", ".nox", ".git", ".github", ".ci", ".ansible", "build", "__pycache__", "output")
UNWANTED_SUFFIXES = (".pyc", ".so", ".o", ".gz", ".swp", ".orig", ".rej")


def stage(root: Path, target: Path) -> Path:
    """Copy what git tracks or would track to ``target/ansible_collections/kubegpu/sharing``.

    Tools want the collection below a directory of its name and follow no links; kubernetes.core goes beside it. Unchanged
    files are left as they are, so that caches by time stamp stay valid.
    """
    collections = target / "ansible_collections"
    destination = collections / "kubegpu" / "sharing"
    listed = subprocess.run(
        [*GIT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = {name for name in listed.split("\0") if name and (root / name).is_file()}
    for name in names:
        copy_if_changed(root / name, destination / name)
    remove_others(destination, names)
    shutil.copytree(
        root / ".venv" / "collections" / "ansible_collections" / "kubernetes",
        collections / "kubernetes",
        dirs_exist_ok=True,
    )
    return destination


def copy_if_changed(source: Path, target: Path) -> None:
    """Copy content and mode unless they are the same."""
    mode = source.stat().st_mode
    if target.exists() and target.stat().st_mode == mode and target.read_bytes() == source.read_bytes():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def remove_others(directory: Path, names: Iterable[str]) -> None:
    """Remove what earlier copies left behind, other than a tool's own directories."""
    wanted = set(names)
    for path in sorted(directory.rglob("*"), reverse=True):
        relative = path.relative_to(directory)
        if relative.parts[0] == ".git" or relative.parts[:2] == ("tests", "output"):
            continue
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif str(relative) not in wanted:
            path.unlink()


def make_repository(directory: Path) -> None:
    """Make the copy a git checkout of its own: ansible-test asks git what belongs to the collection."""
    if not (directory / ".git").exists():
        subprocess.run([*GIT, "init", "--quiet"], cwd=directory, check=True)
    subprocess.run([*GIT, "add", "--all"], cwd=directory, check=True, capture_output=True)


def prepare_home(home: Path, python: Path) -> None:
    """A home directory in which ansible-test installs its tools from the package index that pip is configured for."""
    query = (
        "from types import SimpleNamespace; from platform import python_version_tuple as v;"
        "from ansible_test._internal.python_requirements import get_venv_packages as packages;"
        "print(packages(SimpleNamespace(version='.'.join(v()[:2])))['pip'])"
    )
    # The name under which ansible-test keeps the script depends on the pip that its version wants.
    pip_version = subprocess.run([python, "-c", query], check=True, capture_output=True, text=True).stdout.strip()
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name("get_pip.py"), cache / f"get_pip_{pip_version.replace('.', '_')}.py")
    configuration = home / ".config" / "pip" / "pip.conf"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.write_text(pip_configuration(python), encoding="utf-8")


def pip_configuration(python: Path) -> str:
    """The caller's settings of pip from all files and variables, as one file: ansible-test passes neither on."""
    sections: dict[str, dict[str, str]] = {"global": {}}
    listed = subprocess.run([python, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True).stdout
    # Variables last: they win over files.
    for line in sorted(listed.splitlines(), key=lambda line: line.startswith(":env:")):
        key, value = line.split("=", 1)
        section, option = key.rsplit(".", 1)
        section = "global" if section == ":env:" else section
        sections.setdefault(section, {})[option] = str(ast.literal_eval(value))
    proxy = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY")
    if proxy:
        sections["global"].setdefault("proxy", proxy)
    lines = []
    for section, options in sections.items():
        lines.append(f"[{section}]")
        lines += [f"{option} = {' '.join(value.split())}" for option, value in options.items()]
    return "\n".join(lines) + "\n"


def node_floor() -> str:
    """The oldest Python that the installed ansible-core runs modules with."""
    from ansible_test._util.target.common import constants

    versions = (*constants.REMOTE_ONLY_PYTHON_VERSIONS, *constants.CONTROLLER_PYTHON_VERSIONS)
    return min(versions, key=lambda version: tuple(map(int, version.split("."))))


def find_interpreter(version: str) -> Path | None:
    """An interpreter of this version that starts: on the PATH, or one that pyenv has."""
    candidates = [Path(found)] if (found := shutil.which(f"python{version}")) else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates += sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
    for candidate in candidates:
        if subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0:
            return candidate
    return None


def node_environment(root: Path, python: Path) -> Path:
    """A virtual environment like a node's Python while a module runs, and pytest; returns its interpreter.

    Of Ansible it has what travels with a module: module_utils of the installed ansible-core.
    """
    directory = root / ".venv-node"
    interpreter = directory / "bin" / "python"
    stamp = directory / ".kubegpu-complete"
    wanted = " ".join((str(python), *NODE_REQUIREMENTS))
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        subprocess.run([python, "-m", "venv", "--clear", str(directory)], check=True)
        pip = [str(interpreter), "-m", "pip", "-qq", "--disable-pip-version-check", "install", *NODE_REQUIREMENTS]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    source = Path(module_utils.__file__).parent.parent
    target = next(directory.glob("lib/python*/site-packages")) / "ansible"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    (target / "__init__.py").touch()
    shutil.copy(source / "release.py", target)
    (target / "module_utils").symlink_to(source / "module_utils")
    return interpreter


def tarball_problems(tarball: Path) -> list[str]:
    """Files that no user of the collection wants."""
    with tarfile.open(tarball) as archive:
        paths = [PurePosixPath(name) for name in archive.getnames()]
    return [
        f"{tarball.name} contains {path}: add it to build_ignore in galaxy.yml"
        for path in paths
        if path.suffix in UNWANTED_SUFFIXES or any(part in UNWANTED for part in path.parts)
    ]


def plugin_names(collection: Path) -> dict[str, list[str]]:
    """Full names of the documented plugins of an installed collection, by ansible-doc's type."""
    found = {}
    for directory, kind in DOCUMENTED.items():
        names = [path.stem for path in sorted((collection / "plugins" / directory).glob("[!_]*.py"))]
        if names:
            found[kind] = [f"kubegpu.sharing.{name}" for name in names]
    return found

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The checks, quick ones first. "make test" runs them all; ``.venv/bin/nox -s NAME -- ARGUMENTS`` runs one.

Sessions have no virtual environment of their own: set-up (tests/setup) has pinned everything in .venv.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import nox

# Of tests/, which set-up made importable.
from hosts.packages import UNAVAILABLE, are_required
from setup import checks, staging

ROOT = Path(__file__).resolve().parent
BIN = ROOT / ".venv" / "bin"
COLLECTIONS = ROOT / ".venv" / "collections"
BUILD = ROOT / "build"
# Two processes: more would only make the timing of simulated clusters uneven on small machines.
PARALLEL = ("-n", "2", "--dist", "loadfile")

# Molecule scenarios that need a host of their own, which not every machine can have.
SCENARIOS_ON_HOSTS = ("gpu_usage", "mig_config", "nvidia_container_runtime", "nvidia_container_runtime_engines")

nox.options.default_venv_backend = "none"
nox.options.error_on_missing_interpreters = False

# For nox itself, which looks tools up on the PATH, and for all that it starts.
os.environ.update(
    PATH=f"{BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
    ANSIBLE_CONFIG=str(ROOT / "ansible.cfg"),
    # Collections and caches of the person who runs this stay out.
    ANSIBLE_HOME=str(BUILD / "ansible"),
)

# ansible-lint and molecule install a copy of the collection there, and would take the last run's for today's.
shutil.rmtree(BUILD / "ansible" / "collections", ignore_errors=True)


def run(session: nox.Session, *command: str, **options: Any) -> None:
    """Run a tool of .venv."""
    session.run(*command, external=True, **options)


def run_all(session: nox.Session, *commands: tuple[str, ...]) -> None:
    """Run every command, whatever the ones before it found, and fail if one did."""
    failed = []
    for command in commands:
        try:
            run(session, *command)
        except nox.command.CommandFailed:
            failed.append(textwrap.shorten(" ".join(command), 60, placeholder=" …"))
    if failed:
        session.error(f"found problems: {', '.join(failed)}")


def run_tests(session: nox.Session, *arguments: str, python: str | None = None, **options: Any) -> None:
    """Run pytest, of .venv or of another interpreter, and leave what failed for the summary of all checks."""
    pytest = ("pytest",) if python is None else (python, "-m", "pytest")
    run(session, *pytest, "-q", *checks.recording(session.name), *arguments, **options)


def packages() -> list[str]:
    """Import names of all that is type-checked as a package: the collection, and what lies below tests/."""
    tests = ROOT / "tests"
    below_tests = {path.relative_to(tests).parts[0] for path in tests.rglob("*/*.py")}
    return ["ansible_collections.kubegpu.sharing.plugins", *sorted(below_tests)]


@nox.session
def lint(session: nox.Session) -> None:
    """ruff, mypy, yamllint and ansible-lint with its strictest profile."""
    run_all(
        session,
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("mypy", *(part for name in packages() for part in ("-p", name))),
        ("mypy", "noxfile.py", "requirements/lock.py"),
        ("yamllint", "--strict", "."),
        ("ansible-lint", "--profile", "production", "--offline", "--strict", "--nocolor"),
    )


@nox.session
def contract(session: nox.Session) -> None:
    """What files of this repository promise each other."""
    run_tests(session, *PARALLEL, *(session.posargs or ["tests/contract"]))


@nox.session
def units(session: nox.Session) -> None:
    """Unit tests with the newest ansible-core that this Python gets."""
    run_tests(session, *PARALLEL, *(session.posargs or ["tests/unit"]))


@nox.session
def node_floor(session: nox.Session) -> None:
    """Unit tests of node-side code under the oldest Python that ansible-core supports on nodes."""
    version = staging.node_floor()
    interpreter = staging.find_interpreter(version)
    if interpreter is None:
        session.skip(f"this machine has no Python {version} (neither python{version} nor in pyenv)")
    else:
        python = str(staging.node_environment(ROOT, interpreter))
        # By file: the other tests could not even be imported there.
        candidates = sorted((ROOT / "tests" / "unit").rglob("test_*.py"))
        tests = [str(path) for path in candidates if "mark.node_side" in path.read_text(encoding="utf-8")]
        options = ("-p", "no:cacheprovider", "-m", "node_side")
        run_tests(session, *options, *(session.posargs or tests), python=python)


@nox.session
def docs(session: nox.Session) -> None:
    """Documentation of plugins and the guides, and the changelog fragments."""
    collection = staging.stage(ROOT, BUILD / "staged")
    staged = {"ANSIBLE_COLLECTIONS_PATH": str(BUILD / "staged")}
    options = ("--plugin-docs", "--validate-collection-refs", "all")
    with session.chdir(collection):
        run(session, "antsibull-docs", "lint-collection-docs", *options, ".", env=staged)
    run(session, "antsibull-changelog", "lint")


@nox.session
def build(session: nox.Session) -> None:
    """The tarball: it builds, holds nothing unwanted, installs, and its plugins load."""
    staged = staging.stage(ROOT, BUILD / "staged")
    target = BUILD / "tarball"
    shutil.rmtree(target, ignore_errors=True)
    run(session, "ansible-galaxy", "collection", "build", str(staged), "--output-path", str(target), silent=True)
    tarball = next(target.glob("*.tar.gz"))
    problems = staging.tarball_problems(tarball)
    if problems:
        session.error("\n".join(problems))
    installed = target / "installed"
    options = ("--offline", "--no-deps", "--collections-path", str(installed))
    run(session, "ansible-galaxy", "collection", "install", str(tarball), *options, silent=True)
    env = {"ANSIBLE_COLLECTIONS_PATH": f"{installed}{os.pathsep}{COLLECTIONS}"}
    for kind, names in staging.plugin_names(installed / "ansible_collections" / "kubegpu" / "sharing").items():
        run(session, "ansible-doc", "--json", "--type", kind, *names, env=env, silent=True)
        session.log(f"{kind}: {', '.join(names)}")


@nox.session
def sanity(session: nox.Session) -> None:
    """ansible-test sanity on the staged collection, without an ignore file."""
    collection = staging.stage(ROOT, BUILD / "staged")
    staging.make_repository(collection)
    home = ROOT / ".cache" / "ansible-test"
    staging.prepare_home(home, BIN / "python")
    found = collection / "tests" / "output" / "junit"
    shutil.rmtree(found, ignore_errors=True)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ("ansible-test", "sanity", "--color", "no", "--python", version, "--venv", "--junit")
    try:
        with session.chdir(collection):
            run(session, *command, *session.posargs, env={"HOME": str(home), "ANSIBLE_CONFIG": ""})
    finally:
        checks.keep(session.name, found)


@nox.session
def units_oldest(session: nox.Session) -> None:
    """Unit tests, and the tests marked for it, with the oldest supported ansible-core."""
    setup = subprocess.run(["sh", "tests/setup/prepare.sh", "oldest"], cwd=ROOT, check=False)
    if setup.returncode != 0:
        session.error("the environment with the oldest ansible-core could not be set up")
    bin_directory = ROOT / ".venv-oldest" / "bin"
    env = {"PATH": f"{bin_directory}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    python = str(bin_directory / "python")
    run_tests(session, *PARALLEL, *(session.posargs or ["tests/unit"]), python=python, env=env)
    if not session.posargs and any((ROOT / "tests" / "integration").rglob("test_*.py")):
        marked = ("-m", "oldest", "tests/integration")
        # 5: nothing is marked.
        run_tests(session, *PARALLEL, *marked, python=python, env=env, success_codes=[0, 5])


def prepare_hosts(*options: str) -> subprocess.CompletedProcess[str]:
    """Build what test hosts share, and as root on Debian install what they need."""
    command = [str(BIN / "python"), "-m", "hosts", "prepare", *options]
    return subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.PIPE, text=True)


@nox.session
def integration(session: nox.Session) -> None:
    """Playbooks, modules and clients against the simulated cluster (or the one of KUBEGPU_TEST_KUBECONFIG)."""
    if not session.posargs:
        # Minutes, which are not to count as a test's. What cannot be had is told by the tests that want it.
        prepare_hosts("--containerds")
    run_tests(session, *PARALLEL, *(session.posargs or ["tests/integration"]))


@nox.session
def molecule(session: nox.Session) -> None:
    """Molecule scenarios on simulated clusters: check mode, converge, converge again without a change, testinfra."""
    on_hosts = (argument for name in SCENARIOS_ON_HOSTS for argument in ("--exclude", name))
    run(session, "molecule", "test", "--all", *on_hosts, *session.posargs)


@nox.session
def hosts(session: nox.Session) -> None:
    """Molecule scenarios on hosts with a real systemd; they reboot. As root on Debian, this installs what such hosts need."""
    ready = prepare_hosts()
    if ready.returncode == UNAVAILABLE and not are_required():
        session.skip(ready.stderr.strip())
    if ready.returncode != 0:
        session.error(ready.stderr.strip())
    run_all(session, *(("molecule", "test", "--scenario-name", name, *session.posargs) for name in SCENARIOS_ON_HOSTS))

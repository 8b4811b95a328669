# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set up the virtual environments of the checkout. Standard library only: it runs before anything is installed.

    environment.py NAME...      runtime: what "make demo" needs      (.venv)
                                test:    and what "make test" needs  (.venv)
                                oldest:  tests with the oldest ansible-core (.venv-oldest)

Each is stamped with a digest of what it was made from. A later run that finds the stamp does nothing; one that finds an
installation begun and not finished starts that environment afresh.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
CACHE = ROOT / ".cache"
REQUIREMENTS = ROOT / "requirements"
COLLECTIONS = REQUIREMENTS / "collections.json"
FORMAT = 1  # of what this script makes; a higher number makes existing environments out of date
KUBERNETES_CORE = "ansible_collections/kubernetes/core/"


class SetupError(Exception):
    """Set-up failed; the message says what to do."""


@dataclass(frozen=True)
class Environment:
    """One virtual environment and the lock file that fills it."""

    name: str
    directory: Path
    covers: tuple[str, ...] = ()  # smaller environments in the same directory

    @property
    def lock(self) -> Path:
        return REQUIREMENTS / f"{self.name}.txt"

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    @property
    def begun(self) -> Path:
        """Exists while an installation runs."""
        return self.directory / ".kubegpu-begun"

    @property
    def home(self) -> Path:
        """Says for which path the environment was made, once it was; the scripts in it work nowhere else."""
        return self.directory / ".kubegpu-home"

    def stamp(self, name: str | None = None) -> Path:
        """Exists once everything is in place; contains the digest."""
        return self.directory / f".kubegpu-{name or self.name}"

    def digest(self, name: str | None = None) -> str:
        """Changes with what is installed and with the checkout's path, which the installed scripts contain."""
        content = hashlib.sha256(f"{FORMAT} {ROOT}".encode())
        for path in (REQUIREMENTS / f"{name or self.name}.txt", COLLECTIONS):
            content.update(path.read_bytes())
        return content.hexdigest()


ENVIRONMENTS = {
    environment.name: environment
    for environment in (
        Environment("runtime", ROOT / ".venv"),
        Environment("test", ROOT / ".venv", covers=("runtime",)),
        Environment("oldest", ROOT / ".venv-oldest"),
    )
}


def main(names: list[str]) -> int:
    """Set up the named environments, one process at a time."""
    unknown = [name for name in names if name not in ENVIRONMENTS]
    if unknown or not names:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        with one_at_a_time():
            for name in names:
                prepare(ENVIRONMENTS[name])
    except SetupError as error:
        print(f"\nSet-up failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nSet-up interrupted. The same command starts it again.", file=sys.stderr)
        return 130
    return 0


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Keep a second set-up of this checkout waiting, so that two commands may be started together."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "setup.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another set-up of this checkout ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def prepare(environment: Environment) -> None:
    """Bring one environment up to date."""
    if is_ready(environment):
        return
    started = time.monotonic()
    where = environment.directory.relative_to(ROOT)
    print(f"Setting up {where} ({environment.name}), once; this takes a minute or two.", flush=True)
    create(environment)
    environment.begun.touch()
    install(environment)
    if environment.directory == ROOT / ".venv":
        link_collections(environment.directory / "collections")
    add_import_paths(environment)
    for name in (*environment.covers, environment.name):
        environment.stamp(name).write_text(environment.digest(name), encoding="utf-8")
    environment.begun.unlink()
    print(f"Set up {where} in {time.monotonic() - started:.0f} s.", flush=True)


def is_ready(environment: Environment) -> bool:
    """Whether a finished installation of exactly this is there and its interpreter still works."""
    stamp = environment.stamp()
    if environment.begun.exists() or not stamp.exists():
        return False
    return stamp.read_text(encoding="utf-8") == environment.digest() and works(environment.python)


def works(python: Path) -> bool:
    """Whether an interpreter starts; one of a virtual environment dangles after the system's Python went."""
    with contextlib.suppress(OSError):
        return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0
    return False


def create(environment: Environment) -> None:
    """An empty virtual environment, unless a sound one is there to build on."""
    for doomed in ROOT.glob(".venv-doomed-*"):
        shutil.rmtree(doomed)
    made_here = environment.home.exists() and environment.home.read_text(encoding="utf-8") == str(ROOT)
    if made_here and works(environment.python) and not environment.begun.exists():
        return
    # Aside first: a removal that is interrupted must not leave something that looks like an environment.
    if environment.directory.exists():
        doomed = ROOT / f".venv-doomed-{os.getpid()}"
        environment.directory.rename(doomed)
        shutil.rmtree(doomed)
    make_empty(environment.directory)
    environment.home.write_text(str(ROOT), encoding="utf-8")


def make_empty(directory: Path) -> None:
    """A virtual environment of the interpreter that runs this, with pip."""
    command = [sys.executable, "-m", "venv", str(directory)]
    if subprocess.run(command, check=False).returncode != 0:
        raise SetupError(f"{' '.join(command)} did not work, see above.")


def install(environment: Environment) -> None:
    """The pinned packages, from the package index that this machine's pip is configured for."""
    pip(environment, "install", "--no-warn-script-location", "-r", str(environment.lock))


def pip(environment: Environment, *arguments: str) -> None:
    """Run pip of an environment."""
    command = [str(environment.python), "-m", "pip", "-qq", "--disable-pip-version-check", *arguments]
    if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise SetupError(
            f"pip could not do its part ({' '.join(arguments)}). Check that the package index that pip is configured"
            " for (pip config list) can be reached, and run the same command again."
        )


def link_collections(collections: Path) -> None:
    """The checkout and kubernetes.core, where ansible.cfg looks for collections."""
    namespace = collections / "ansible_collections" / "kubegpu"
    namespace.mkdir(parents=True, exist_ok=True)
    link = namespace / "sharing"
    if not link.is_symlink():
        link.symlink_to(Path(os.path.relpath(ROOT, namespace)))
    pinned = json.loads(COLLECTIONS.read_text(encoding="utf-8"))["kubernetes.core"]
    target = collections / "ansible_collections" / "kubernetes" / "core"
    if collection_version(target) != pinned["version"]:
        source = kubernetes_core(pinned)
        partial = target.with_name(f"core.{os.getpid()}")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, partial)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)


def collection_version(directory: Path) -> str | None:
    """Version in a collection's manifest."""
    try:
        manifest = json.loads((directory / "MANIFEST.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(manifest["collection_info"]["version"])


def kubernetes_core(pinned: dict[str, str]) -> Path:
    """kubernetes.core out of the community bundle, which the package index has (it needs no Galaxy server).

    The bundle's 54 MB are fetched once and only the collection's 1 MB is kept.
    """
    kept = CACHE / f"kubernetes.core-{pinned['version']}"
    if collection_version(kept) == pinned["version"]:
        return kept
    scratch = CACHE / f"download-{os.getpid()}"
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        requirement = f"ansible=={pinned['bundle']}"
        options = ("--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--dest", str(scratch))
        pip(ENVIRONMENTS["runtime"], "download", *options, requirement)
        with zipfile.ZipFile(next(scratch.glob("ansible-*.whl"))) as wheel:
            unpack_verified(wheel, scratch)
        unpacked = scratch / KUBERNETES_CORE
        if collection_version(unpacked) != pinned["version"]:
            raise SetupError(f"{requirement} does not contain kubernetes.core {pinned['version']}.")
        shutil.rmtree(kept, ignore_errors=True)
        unpacked.rename(kept)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return kept


def unpack_verified(wheel: zipfile.ZipFile, target: Path) -> None:
    """Unpack the collection and hold every file to the digest in the wheel's own record."""
    record = next(name for name in wheel.namelist() if name.endswith(".dist-info/RECORD"))
    digests = {row[0]: row[1] for row in csv.reader(wheel.read(record).decode().splitlines())}
    for name in wheel.namelist():
        if not name.startswith(KUBERNETES_CORE) or name.endswith("/"):
            continue
        content = wheel.read(name)
        encoded = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if digests.get(name) != f"sha256={encoded}":
            raise SetupError(f"{name} in {wheel.filename} does not match the wheel's record: fetch it again.")
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def add_import_paths(environment: Environment) -> None:
    """Make the packages below tests/ (simulator, demo, benchmarks) importable in the environment."""
    query = [str(environment.python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(query, check=True, capture_output=True, text=True).stdout.strip())
    (site / "kubegpu_dev.pth").write_text(f"{ROOT / 'tests'}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

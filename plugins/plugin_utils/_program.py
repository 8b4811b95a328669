# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that stays on a node: one file with all it needs but Python. PRIVATE to the collection.

It is a zip archive that Python runs (a zipapp): the part of module_utils that its entry point imports, and the control node's
pynvml. The same files give the same bytes, whoever builds it and when, so that it is replaced only when something differs.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError

COLLECTION = Path(__file__).resolve().parents[2]
PREFIX = "ansible_collections.kubegpu.sharing."
ENTRY = "plugins.module_utils._boot.program"
# The earliest that a zip archive can tell.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644
# Python reads an archive anew for each import, by places that it has noted before. One that was replaced since has other places.
_MAIN = '''\
"""{name} {version}"""

import os
import sys

try:
    import pynvml

    from {prefix}{entry} import main
except (EOFError, ImportError, SyntaxError):
    # A newer one has taken its place since it was begun: run that.
    if os.environ.get("KUBEGPU_BEGUN_AGAIN"):
        raise
    os.environ["KUBEGPU_BEGUN_AGAIN"] = "1"
    options = [f"-{{one}}" for one, given in (("I", sys.flags.isolated), ("S", sys.flags.no_site)) if given]
    os.execv(sys.executable, [sys.executable, *options, *sys.argv])
sys.exit(main(sys.argv[1:], "{version}"))
'''


def build_program(pynvml: Path, collection: Path = COLLECTION) -> bytes:
    """The archive.

    :param pynvml: the file pynvml.py of nvidia-ml-py.
    """
    content = {"pynvml.py": pynvml.read_bytes()}
    for path in sorted(_imported(collection, ENTRY)):
        content[f"{PREFIX.replace('.', '/')}{path.relative_to(collection).as_posix()}"] = path.read_bytes()
    for name in list(content):
        # Python 3.8 finds no package in an archive that is a mere directory.
        content.update({f"{parent}/__init__.py": b"" for parent in map(str, Path(name).parents) if parent != "."})
    content["__main__.py"] = _MAIN.format(
        name="kubegpu.sharing", version=read_version(collection), prefix=PREFIX, entry=ENTRY
    ).encode()
    return _archive(content)


def find_pynvml() -> Path:
    """The control node's pynvml.py.

    :raises KubeGpuError: it has none, or another thing of that name.
    """
    spec = importlib.util.find_spec("pynvml")
    if spec is None or not spec.origin or not spec.origin.endswith("pynvml.py"):
        found = "has none" if spec is None else f"has something else of that name at {spec.origin}"
        raise KubeGpuError(
            f"Building the program that stays on a node needs the Python module pynvml; the control node {found}. "
            "Install nvidia-ml-py (12.550.52 or later) for the Python that runs Ansible."
        )
    return Path(spec.origin)


def digest_of(program: bytes) -> str:
    """What tells two programs apart."""
    return hashlib.sha256(program).hexdigest()


def read_version(collection: Path = COLLECTION) -> str:
    """Of the collection: as it was built, or, in a checkout, as it would be."""
    manifest = collection / "MANIFEST.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text(encoding="utf-8"))["collection_info"]["version"])
    return str(yaml.safe_load((collection / "galaxy.yml").read_text(encoding="utf-8"))["version"])


def _archive(content: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    # Stored, not compressed: what a compressor makes differs between versions of zlib.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(content):
            entry = zipfile.ZipInfo(name, _TIMESTAMP)
            entry.create_system = 3
            entry.external_attr = _MODE << 16
            archive.writestr(entry, content[name])
    return file.getvalue()


def _imported(collection: Path, entry: str) -> set[Path]:
    """The file of a module and of all that it imports from the collection, directly or not."""
    found: set[Path] = set()
    waiting = [_file_of(collection, PREFIX + entry)]
    while waiting:
        path = waiting.pop()
        if path is None or path in found:
            continue
        found.add(path)
        waiting += [_file_of(collection, name) for name in _imports(path)]
    return found


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file_of(collection: Path, name: str) -> Path | None:
    """The file of a module of the collection, or of the one that defines a name."""
    if not name.startswith(PREFIX):
        return None
    parts = name[len(PREFIX) :].split(".")
    for length in (len(parts), len(parts) - 1):
        path = collection.joinpath(*parts[:length]).with_suffix(".py")
        if path.is_file():
            return path
    return None

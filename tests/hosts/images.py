# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image for containers on test hosts, which reach no registry: Debian's static busybox, and nothing else.

    python -m hosts.images FILE NAME...

It serves as the image of a pod's sandbox as well: started without a command, it sleeps.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

from hosts.debian import Packages, unpacked
from hosts.packages import HostsUnavailableError, codename

_PROGRAMS = ("cat", "env", "id", "ls", "sh", "sleep", "true")
_LAYER, _CONFIG = "layer.tar", "config.json"


def write_image(target: Path, names: Sequence[str]) -> None:
    """An archive as "docker save" makes them, which ``ctr images import`` and ``docker load`` take.

    :param names: all names of the image, such as ``test.invalid/busybox:1``.
    """
    layer = _layer(unpacked(Packages(codename(), ("busybox-static",))) / "usr/bin/busybox")
    digest = f"sha256:{hashlib.sha256(layer).hexdigest()}"
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/bin"], "Entrypoint": ["/bin/sleep"], "Cmd": ["86400"]},
        "rootfs": {"type": "layers", "diff_ids": [digest]},
    }
    manifest = [{"Config": _CONFIG, "RepoTags": list(names), "Layers": [_LAYER]}]
    with tarfile.open(target, "w") as archive:
        _add(archive, _LAYER, layer)
        _add(archive, _CONFIG, json.dumps(config).encode())
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def _layer(busybox: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add(archive, "bin/busybox", busybox.read_bytes(), mode=0o755)
        for program in _PROGRAMS:
            link = tarfile.TarInfo(f"bin/{program}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def main(arguments: Sequence[str]) -> int:
    """0 if the archive was written; standard error has the reason if not."""
    try:
        write_image(Path(arguments[0]), arguments[1:])
    except HostsUnavailableError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

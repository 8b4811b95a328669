# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository laid out as the vendor's, signed by a key of its own, with packages that do what the vendor's do to a host."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = (
    "nvidia-container-toolkit",
    "nvidia-container-toolkit-base",
    "libnvidia-container-tools",
    "libnvidia-container1",
)
BASE = "nvidia-container-toolkit-base"
# What the vendor's does since 1.18, cut to what matters here.
POSTINST = """#!/bin/sh
set -e
case "$(systemctl is-system-running 2>/dev/null || true)" in
  running|degraded)
    systemctl daemon-reload
    systemctl enable --now nvidia-cdi-refresh.path
    ;;
esac
"""
PATH_UNIT = "[Path]\nPathChanged=/lib/modules\n[Install]\nWantedBy=multi-user.target\n"
SERVICE_UNIT = "[Service]\nType=oneshot\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"


class Repository:
    """``deb/`` as apt reads it, and ``gpgkey``, below ``directory``."""

    def __init__(self, directory: Path) -> None:
        self.packages = directory / "deb"
        self.key = directory / "gpgkey"
        self._scratch = directory / "scratch"
        self._home = directory / "gnupg"
        self.packages.mkdir(parents=True)
        self._home.mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "packages@example.com", "ed25519", "sign", "never")
        self.key.write_text(self._gpg("--armor", "--export"), encoding="ascii")

    @property
    def key_sha256(self) -> str:
        return hashlib.sha256(self.key.read_bytes()).hexdigest()

    def add(self, version: str) -> None:
        """All four packages in that version."""
        for name in NAMES:
            root = self._scratch / f"{name}-{version}"
            depends = (
                f"Depends: {BASE} (= {version}), libnvidia-container-tools (>= {version})\n" if name == NAMES[0] else ""
            )
            _write(
                root / "DEBIAN/control",
                f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@example.com>\n"
                f"{depends}Description: stand-in\n",
            )
            if name == BASE:
                _write(root / "DEBIAN/postinst", POSTINST, 0o755)
                _write(root / "usr/bin/nvidia-container-runtime", f"#!/bin/sh\necho {version}\n", 0o755)
                _write(root / "usr/lib/systemd/system/nvidia-cdi-refresh.path", PATH_UNIT)
                _write(root / "usr/lib/systemd/system/nvidia-cdi-refresh.service", SERVICE_UNIT)
            _run(
                "dpkg-deb", "--root-owner-group", "--build", str(root), str(self.packages / f"{name}_{version}_all.deb")
            )

    def sign(self) -> None:
        """Write the index of all packages, and sign it."""
        index = "".join(_describe(path) for path in sorted(self.packages.glob("*.deb"))).encode()
        (self.packages / "Packages").write_bytes(index)
        release = f"Origin: example\nSHA256:\n {hashlib.sha256(index).hexdigest()} {len(index)} Packages\n"
        _write(self._scratch / "Release", release)
        (self.packages / "InRelease").write_text(
            self._gpg("--clearsign", "--output", "-", str(self._scratch / "Release"))
        )

    def sign_detached(self, text: str) -> str:
        """The signature of a text, with an armour."""
        _write(self._scratch / "text", text)
        return self._gpg("--armor", "--detach-sign", "--output", "-", str(self._scratch / "text"))

    def _gpg(self, *arguments: str) -> str:
        return _run("gpg", "--batch", "--quiet", "--passphrase", "", "--homedir", str(self._home), *arguments)

    def close(self) -> None:
        """End the agent that gpg has started."""
        _run("gpgconf", "--homedir", str(self._home), "--kill", "all")


@contextmanager
def served(directory: Path, reader: str) -> Iterator[str]:
    """The directory's URL, as the machine with that address reaches it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((reader, 9))
        address = probe.getsockname()[0]
    handler = functools.partial(_Silent, directory=str(directory))
    with http.server.ThreadingHTTPServer((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{address}:{server.server_port}"
        server.shutdown()
        thread.join()


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


def _describe(package: Path) -> str:
    content = package.read_bytes()
    control = _run("dpkg-deb", "--field", str(package))
    return (
        f"{control}Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n\n"
    )


def _write(path: Path, content: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    path.chmod(mode)


def _run(*command: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True).stdout

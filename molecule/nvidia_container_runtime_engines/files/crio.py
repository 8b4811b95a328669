# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-in of CRI-O: it reads its files as CRI-O does, does not start where CRI-O would not, and answers at its socket.

What it has understood lies in /run/crio/understood.json.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import sys
from pathlib import Path

import tomllib

SOCKET = "/run/crio/crio.sock"


def read_runtime():
    """One file after the other: a later value counts, and so does a later table of a runtime, as a whole."""
    runtime = {"default_runtime": "crun", "runtimes": {}}
    for path in [Path("/etc/crio/crio.conf"), *sorted(Path("/etc/crio/crio.conf.d").iterdir())]:
        if path.is_file():
            found = tomllib.loads(path.read_text(encoding="utf-8")).get("crio", {}).get("runtime", {})
            runtimes = {**runtime["runtimes"], **found.get("runtimes", {})}
            runtime = {**runtime, **found, "runtimes": runtimes}
    return runtime


def problems(runtime):
    if runtime["default_runtime"] not in runtime["runtimes"]:
        yield f"default_runtime set to {runtime['default_runtime']!r} but no runtime entry found"
    # As before CRI-O 1.21, of every runtime; newer ones pass over those that are not the default, and would hide here what a failed start leaves.
    for name, table in runtime["runtimes"].items():
        for what in (table.get("runtime_path") or name, table.get("monitor_path") or "conmon"):
            if shutil.which(what) is None:
                yield f"invalid runtime_path for runtime {name!r}: stat {what}: no such file or directory"


class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/info" else 404)
        self.end_headers()
        self.wfile.write(b'{"storage_driver": "overlay", "cgroup_driver": "systemd"}')

    def address_string(self):
        return "socket"


class Server(http.server.HTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self):
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "crio", 0


def main():
    if "--version" in sys.argv:
        print("crio version 1.31.2\nVersion:        1.31.2")
        return 0
    runtime = read_runtime()
    found = list(problems(runtime))
    if found:
        print(f'level=fatal msg="validating runtime config: {found[0]}"', file=sys.stderr)
        return 1
    os.makedirs("/run/crio", exist_ok=True)
    Path("/run/crio/understood.json").write_text(json.dumps(runtime), encoding="utf-8")
    Path(SOCKET).unlink(missing_ok=True)
    server = Server(SOCKET, Answer)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())

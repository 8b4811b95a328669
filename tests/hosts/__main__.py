# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Command line of the test hosts."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from hosts.base import base
from hosts.containerds import SUITES, layer
from hosts.debian import Packages, unpacked
from hosts.host import HostError, start, stop
from hosts.packages import UNAVAILABLE, HostsUnavailableError, codename, install_packages


def main(arguments: list[str]) -> int:
    """0 if all went well; standard error has the reason if not."""
    parser = argparse.ArgumentParser(prog="python -m hosts", description="Hosts with a real systemd for tests.")
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="install what hosts need and build the root that they share")
    prepare.add_argument("--containerds", action="store_true", help="get the containerds that they may have, too")
    up = commands.add_parser("up", help="start a host; prints how to reach it, as JSON")
    up.add_argument("--name", required=True)
    up.add_argument("--containerd", choices=SUITES, help="give it this containerd instead of the one of its release")
    up.add_argument(
        "--package", action="append", default=[], help="give it this package of its release, and what that one needs"
    )
    down = commands.add_parser("down", help="end a host")
    for command in (up, down):
        command.add_argument("--dir", type=Path, required=True, help="for what is known of the host on this machine")
    options = parser.parse_args(arguments)
    try:
        if options.command == "down":
            stop(options.dir.resolve())
            return 0
        install_packages()
        if options.command == "prepare":
            base()
            for series in SUITES if options.containerds else ():
                layer(series)
        else:
            layers = [layer(options.containerd)] if options.containerd else []
            if options.package:
                layers.append(unpacked(Packages(codename(), tuple(options.package), root=base() / "root")))
            print(json.dumps(asdict(start(options.dir.resolve(), options.name, layers))))
    except HostsUnavailableError as error:
        print(error, file=sys.stderr)
        return UNAVAILABLE
    except HostError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

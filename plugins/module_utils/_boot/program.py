# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that stays on a node, and its commands. PRIVATE to the collection.

restore [--state-dir DIR] [--ready-path FILE] [--nvml-library FILE] [--host-service UNIT] ...
start-services [--ready-path FILE]
export-usage --path FILE [--nvml-library FILE] ...
runtime apply|settle --request FILE
"""

from __future__ import annotations

import argparse
from typing import Any, Dict, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._boot.export import Export, export_usage
from ansible_collections.kubegpu.sharing.plugins.module_utils._boot.restore import (
    Restore,
    restore_at_boot,
    start_services,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.settling import runtime_command


def main(arguments: Sequence[str], version: str) -> int:
    """Run a command; its exit status."""
    options = vars(_parser(version).parse_args(list(arguments)))
    command = options.pop("command")
    if command == "export-usage":
        return export_usage(Export(**options))
    if command == "runtime":
        return runtime_command(options["step"], options["request"])
    restore = Restore(**_restore_options(options))
    return restore_at_boot(restore) if command == "restore" else start_services(restore)


def _restore_options(options: Dict[str, Any]) -> Dict[str, Any]:
    return {**options, "host_services": tuple(options.get("host_services") or ())}


def _parser(version: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="kubegpu-sharing",
        description="Keeps a node's MIG layout over reboots, tells who uses its GPUs, and changes settings of its container runtime.",
    )
    parser.add_argument("--version", action="version", version=f"kubegpu.sharing {version}")
    commands = parser.add_subparsers(dest="command", required=True)
    restore = commands.add_parser("restore", help="put the recorded MIG layout back")
    _add_paths(restore, Restore(), "state_dir", "nvml_library", "proc_root", "kubelet_root", "lock_path", "ready_path")
    restore.add_argument("--host-service", dest="host_services", action="append")
    restore.add_argument("--wait-seconds", type=float, default=Restore().wait_seconds)
    start = commands.add_parser("start-services", help="start what a restore that was killed has left stopped")
    _add_paths(start, Restore(), "ready_path")
    export = commands.add_parser("export-usage", help="write who uses how much GPU memory, for node_exporter")
    export.add_argument("--path", required=True, help="file of node_exporter's textfile collector, NAME.prom")
    _add_paths(export, Export(""), "nvml_library", "proc_root", "kubelet_root", "log_root", "lock_path")
    runtime = commands.add_parser(
        "runtime", help="change the container runtime's settings, and undo it unless it is confirmed"
    )
    runtime.add_argument(
        "step", choices=["apply", "settle"], help="settle: put right what an apply that ended has left"
    )
    runtime.add_argument("--request", required=True, help="file with the change")
    return parser


def _add_paths(parser: argparse.ArgumentParser, default: Any, *names: str) -> None:
    for name in names:
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, default=getattr(default, name))

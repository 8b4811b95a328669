"""``python -m simulator``: run a simulated cluster and act on it."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator.cluster import ClusterError, SimulatedCluster, stop
from simulator.cluster_process import Order, run
from simulator.node_faults import KINDS
from simulator.scenario import ScenarioError


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.action(options)
    except (ClusterError, ScenarioError) as error:
        print(error, file=sys.stderr)
        return 1
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    up = _command(commands, "up", _up, "start a cluster in the background and print the path of its kubeconfig")
    _scenario_options(up)
    serve = _command(commands, "serve", _serve, "run a cluster in the foreground, in a directory made ready by up")
    _scenario_options(serve)
    serve.add_argument("--stop-with", type=int, metavar="PID", help="end when this process has ended")
    _command(commands, "down", _down, "end the cluster; it is no error if none is running")
    reboot = _command(commands, "reboot", _reboot, "power a node off and on")
    reboot.add_argument("--node", required=True)
    _fault_options(_command(commands, "fault", _fault, "make something go wrong, or right again"))
    audit = _command(commands, "audit", _audit, "print the API requests so far, one JSON object a line")
    audit.add_argument("--since", type=int, default=0, metavar="N", help="only those after request N")
    audit.add_argument("--writes", action="store_true", help="only those that could change something")
    _command(commands, "state", _state, "print what the simulator knows about itself")
    return parser


def _command(commands: Any, name: str, action: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text)
    parser.add_argument("--dir", required=True, type=Path, help="directory of the cluster")
    parser.set_defaults(action=action)
    return parser


def _scenario_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scenario", required=True, help="a scenario file, or the name of one that comes along, such as reference"
    )
    parser.add_argument("--speed", type=float, help="simulated seconds per second; default: as the scenario says")
    parser.add_argument("--port", type=int, default=0, help="default: any that is free")


def _fault_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", choices=[*KINDS, "api", "latency"])
    parser.add_argument("--node", help="the node; all kinds but owner, api and latency need it")
    parser.add_argument("--gpu", type=int, help="nvml: index of the GPU concerned")
    parser.add_argument("--lost", action="store_true", help="nvml: the GPU has fallen off the bus")
    parser.add_argument("--xid", type=int, help="nvml: the GPU reports this Xid")
    parser.add_argument("--error", help="nvml: name of the NVML error, such as DRIVER_NOT_LOADED")
    parser.add_argument(
        "--function", help="nvml: only this function fails; with @3 only the third call of it that a process makes"
    )
    parser.add_argument("--action", dest="direction", help="kubelet: down or up; host-service: start or stop")
    parser.add_argument(
        "--unit", help="host-service: a systemd service that keeps NVML open, such as nvidia-dcgm.service"
    )
    parser.add_argument("--code", type=int, help="plugin-crash, container-crash: exit code")
    parser.add_argument(
        "--pod", metavar="NAMESPACE/NAME", help="container-crash, once: the pod, or how its name begins"
    )
    parser.add_argument("--reason", help="container-crash: Error, or OOMKilled")
    parser.add_argument(
        "--daemonset", metavar="NAMESPACE/NAME", help="owner: the DaemonSet that is put back as it was at the start"
    )
    parser.add_argument("--reconcile", action="store_true", help="owner: from now on after every change")
    parser.add_argument(
        "--clear", action="store_true", help="nvml, not-ready, api: take the fault back (api: all of them)"
    )
    parser.add_argument("--latency-ms", type=float, dest="latency_ms", help="latency: of every API request from now on")
    text = "api: a property of the fault, any number of times: action, method, path, nth, count, status, …"
    parser.add_argument("--set", dest="fields", action="append", default=[], metavar="FIELD=VALUE", help=text)


def _up(options: argparse.Namespace) -> int:
    cluster = SimulatedCluster.start(
        options.scenario, options.dir, speed=options.speed, port=options.port, detached=True
    )
    print(cluster.kubeconfig)
    return 0


def _serve(options: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    run(Order(Path(options.scenario), options.dir, options.speed, options.port, options.stop_with))
    return 0


def _down(options: argparse.Namespace) -> int:
    print(f"ended the cluster in {options.dir}" if stop(options.dir) else f"no cluster is running in {options.dir}")
    return 0


def _reboot(options: argparse.Namespace) -> int:
    _cluster(options).reboot(options.node)
    print(f"{options.node} is rebooting")
    return 0


def _fault(options: argparse.Namespace) -> int:
    cluster = _cluster(options)
    if options.kind == "api" and options.clear:
        cluster.clear_api_faults()
        return 0
    names = ("node", "gpu", "xid", "error", "function", "code", "daemonset", "latency_ms", "unit", "pod", "reason")
    order = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    order |= {name: True for name in ("lost", "reconcile", "clear") if getattr(options, name)}
    if options.direction is not None:
        order["action"] = options.direction
    for text in options.fields:
        name, equals, value = text.partition("=")
        if not equals:
            raise ClusterError(f"fault: {text!r} is not FIELD=VALUE")
        order[name] = _value(value)
    print(json.dumps(cluster.fault(options.kind, **order)))
    return 0


def _audit(options: argparse.Namespace) -> int:
    cluster = _cluster(options)
    for entry in cluster.writes(options.since) if options.writes else cluster.audit(options.since):
        print(json.dumps(entry))
    return 0


def _state(options: argparse.Namespace) -> int:
    print(json.dumps(_cluster(options).state(), indent=2))
    return 0


def _cluster(options: argparse.Namespace) -> SimulatedCluster:
    return SimulatedCluster(options.dir.resolve())


def _value(text: str) -> Any:
    """Numbers, true, false and JSON as such; everything else is text."""
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    sys.exit(main())

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kubelet asks of a container runtime, to run pods on a test host: its Container Runtime Interface, v1.

Debian has no crictl. The few messages of it that are needed are written here by the numbers of their fields:
https://github.com/kubernetes/cri-api/blob/master/pkg/apis/runtime/v1/api.proto
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc

SOCKET = "/run/containerd/containerd.sock"
_SECONDS = 30
_POLL_SECONDS = 0.05
#: A message: the numbers of its fields, and their values. A list stands for a field that comes more than once.
Fields = Mapping[int, object]
#: The host's network, since a test host has no plugins for one.
_NODE = 2


class CriError(Exception):
    """The runtime refused; the message is its own."""


@dataclass(frozen=True)
class Answer:
    """Of a command that ran in a container."""

    code: int
    output: str


class Cri:
    """A runtime behind a socket of this machine."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def runtime_is_ready(self) -> bool:
        """Whether it would take pods, as the kubelet asks before it sends some."""
        conditions = [
            dict(_fields(one)) for part in _messages(self._call("Status", {}), 1) for one in _messages(part, 1)
        ]
        return any(condition.get(1) == b"RuntimeReady" and condition.get(2) == 1 for condition in conditions)

    def run(self, handler: str, image: str, *command: str) -> Answer:
        """A pod of one container, for as long as one command in it takes.

        :param handler: what a RuntimeClass names; empty for the default runtime.
        :raises CriError: there is no such handler, or the container does not start.
        """
        name = f"pod-{time.monotonic_ns()}"
        config: Fields = {
            1: {1: name, 2: name, 3: "default"},
            3: f"/var/log/pods/{name}",
            # Right for a runtime with systemd's cgroups, and as good as any other for one without.
            8: {1: "/kubepods.slice", 2: {1: {1: _NODE}}},
        }
        pod = _string(self._call("RunPodSandbox", {1: config, 2: handler}), 1)
        try:
            what: Fields = {1: {1: "main"}, 2: {1: image}, 11: "main.log"}
            container = _string(self._call("CreateContainer", {1: pod, 2: what, 3: config}), 1)
            self._call("StartContainer", {1: container})
            done = self._call("ExecSync", {1: container, 2: list(command), 3: _SECONDS})
        finally:
            self._call("StopPodSandbox", {1: pod})
            self._call("RemovePodSandbox", {1: pod})
        codes = [value for number, value in _fields(done) if number == 3 and isinstance(value, int)]
        return Answer(next(iter(codes), 0), _string(done, 1) + _string(done, 2))

    def _call(self, method: str, request: Fields) -> bytes:
        call = self._channel.unary_unary(f"/runtime.v1.RuntimeService/{method}")
        try:
            answer: bytes = call(_encode(request), timeout=_SECONDS, wait_for_ready=True)
            return answer
        except grpc.RpcError as error:
            raise CriError(f"{method}: {error.details()}") from error


@contextlib.contextmanager
def connect(directory: Path, socket: str = SOCKET) -> Iterator[Cri]:
    """The runtime of a test host, through ssh.

    :param directory: what "python -m hosts up" was given.
    """
    known = json.loads((directory / "host.json").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary, "socket")
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        options += ["ExitOnForwardFailure=yes", "ControlPath=none"]
        command = ["ssh", "-N", *(part for option in options for part in ("-o", option)), "-i", known["key"]]
        command += ["-L", f"{here}:{socket}", f"{known['user']}@{known['address']}"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL) as tunnel:
            try:
                deadline = time.monotonic() + _SECONDS
                while not here.exists():
                    if tunnel.poll() is not None or time.monotonic() > deadline:
                        raise CriError("there is no way to the host")
                    time.sleep(_POLL_SECONDS)
                # Newer libraries name the socket's path as the authority, which a runtime's HTTP/2 refuses.
                authority = [("grpc.default_authority", "localhost")]
                with grpc.insecure_channel(f"unix://{here}", options=authority) as channel:
                    yield Cri(channel)
            finally:
                tunnel.terminate()


def _encode(fields: Fields) -> bytes:
    return b"".join(_encode_field(number, value) for number, value in fields.items())


def _encode_field(number: int, value: object) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    if isinstance(value, list):
        return b"".join(_encode_field(number, one) for one in value)
    content = value.encode() if isinstance(value, str) else _encode(cast(Fields, value))
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        length, position = _read_varint(message, position)
        if key & 7 == 0:
            yield key >> 3, length
        else:
            yield key >> 3, message[position : position + length]
            position += length


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _messages(message: bytes, number: int) -> Iterator[bytes]:
    for found, value in _fields(message):
        if found == number and isinstance(value, bytes):
            yield value


def _string(message: bytes, number: int) -> str:
    return next((value.decode(errors="replace") for value in _messages(message, number)), "")

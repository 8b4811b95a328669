# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which container was given which devices, by the kubelet's PodResources API (v1). Read only. PRIVATE to the collection.

It is the kubelet's API for this, unlike its checkpoint: it leaves out pods that are gone, and names pods. But it speaks gRPC, for
which Python has nothing of its own; so it is asked where the node has ``grpc``, and nothing is installed for it. Its messages are
four, which are read here: https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/ has them.
"""

from __future__ import annotations

import importlib
import os
import stat
from dataclasses import dataclass
from types import ModuleType
from typing import Iterator, List, Sequence, Tuple, Union

SOCKET = "pod-resources/kubelet.sock"
_METHOD = "/v1.PodResourcesLister/List"
_SECONDS = 5
# Names of every pod of a node, with room: gRPC's own limit of 4 MiB is for strangers.
_MOST_BYTES = 16 * 1024 * 1024

# wire types of protocol buffers
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class PodResourcesError(Exception):
    """The kubelet cannot be asked, or its answer is not understood. The message says which."""


@dataclass(frozen=True)
class Given:
    """Devices of one resource that a container was given."""

    namespace: str
    pod: str
    container: str
    resource: str
    device_ids: Tuple[str, ...]


def list_given(kubelet_root: str) -> List[Given]:
    """Ask the kubelet.

    :raises PodResourcesError: no socket, no gRPC library, no answer.
    """
    path = os.path.join(kubelet_root, SOCKET)
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise PodResourcesError(f"{path} is no socket")
    except OSError as error:
        raise PodResourcesError(f"{path}: {error.strerror}") from error
    try:
        grpc = importlib.import_module("grpc")
    except ImportError as error:
        raise PodResourcesError(f"this Python has no gRPC library: {error}") from error
    return parse_list(_call(grpc, path))


def _call(grpc: ModuleType, path: str) -> bytes:
    # Newer libraries name the socket's path as the authority, which the kubelet's HTTP/2 refuses.
    options = [("grpc.default_authority", "localhost"), ("grpc.max_receive_message_length", _MOST_BYTES)]
    with grpc.insecure_channel(f"unix://{os.path.abspath(path)}", options=options) as channel:
        try:
            answer: bytes = channel.unary_unary(_METHOD)(b"", timeout=_SECONDS)
            return answer
        except grpc.RpcError as error:
            raise PodResourcesError(f"{path} answers: {error.code().name}: {error.details()}") from error


def parse_list(message: bytes) -> List[Given]:
    """A ListPodResourcesResponse.

    :raises PodResourcesError: it is none.
    """
    try:
        return [given for pod in _all(message, 1) for given in _parse_pod(pod)]
    except (IndexError, UnicodeDecodeError, ValueError) as error:
        raise PodResourcesError(f"the kubelet's answer is not understood: {error}") from error


def _parse_pod(message: bytes) -> Iterator[Given]:
    """PodResources: name, namespace, containers."""
    name, namespace = _text(message, 1), _text(message, 2)
    for container in _all(message, 3):
        # ContainerResources: name, devices
        for devices in _all(container, 2):
            # ContainerDevices: resource_name, device_ids; one for each NUMA node
            ids = tuple(value.decode("utf-8") for value in _all(devices, 2))
            yield Given(namespace, name, _text(container, 1), _text(devices, 1), ids)


def _text(message: bytes, field: int) -> str:
    found = _all(message, field)
    return found[-1].decode("utf-8") if found else ""


def _all(message: bytes, field: int) -> Sequence[bytes]:
    """The values of a field of messages or strings."""
    return [value for number, value in _fields(message) if number == field and isinstance(value, bytes)]


def _fields(message: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield tag >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(message, at)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field of wire type {kind}")
        if at + size > len(message):
            raise ValueError("it ends within a field")
        yield tag >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> Tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(message):
            raise ValueError("it ends within a number")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet's answers, as protocol buffers spell them."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_resources import (
    SOCKET,
    Given,
    PodResourcesError,
    list_given,
    parse_list,
)

pytestmark = pytest.mark.node_side


def field(number: int, value: bytes | str | int) -> bytes:
    """One field; a number is a varint, anything else has its length before it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode("utf-8") if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    # what is negative takes all 64 bits
    value &= (1 << 64) - 1
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def devices(resource: str, *ids: str, numa: int | None = None) -> bytes:
    topology = b"" if numa is None else field(3, field(1, field(1, numa)))
    return field(2, field(1, resource) + b"".join(field(2, one) for one in ids) + topology)


def container(name: str, *given: bytes, cpus: bytes = b"") -> bytes:
    return field(3, field(1, name) + b"".join(given) + cpus)


def pod(namespace: str, name: str, *containers: bytes) -> bytes:
    return field(1, field(1, name) + field(2, namespace) + b"".join(containers))


def test_parse_list_tells_what_containers_were_given() -> None:
    message = pod(
        "mlapps",
        "ner-0",
        container("server", devices("nvidia.com/gpu", "GPU-1::0", "GPU-1::3", numa=1)),
        container("sidecar"),
    ) + pod(
        "mlapps", "train-0", container("main", devices("nvidia.com/mig-1g.12gb", "MIG-7"), devices("rdma/hca", "a"))
    )
    assert parse_list(message) == [
        Given("mlapps", "ner-0", "server", "nvidia.com/gpu", ("GPU-1::0", "GPU-1::3")),
        Given("mlapps", "train-0", "main", "nvidia.com/mig-1g.12gb", ("MIG-7",)),
        Given("mlapps", "train-0", "main", "rdma/hca", ("a",)),
    ]


def test_parse_list_passes_over_fields_that_came_later() -> None:
    """cpu_ids (packed and not), memory, dynamic_resources of the container, and of wire types that no field has yet."""
    later = (
        field(3, b"\x00\x01\x02")
        + field(3, -1)
        + field(4, field(1, "hugepages-2Mi") + field(2, 1 << 40))
        + field(5, field(1, "gpu.nvidia.com"))
        + varint(9 << 3 | 1)
        + bytes(8)
        + varint(10 << 3 | 5)
        + bytes(4)
    )
    message = pod("mlapps", "ner-0", container("server", devices("nvidia.com/gpu", "GPU-1", numa=0), cpus=later))
    assert parse_list(message) == [Given("mlapps", "ner-0", "server", "nvidia.com/gpu", ("GPU-1",))]


def test_parse_list_of_a_node_without_pods_is_empty() -> None:
    assert parse_list(b"") == []


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        pytest.param(b"\x0a", "it ends within a number", id="no-length"),
        pytest.param(b"\x0a\x7f\x0a", "it ends within a field", id="cut-off"),
        pytest.param(b"\x0b", "a field of wire type 3", id="group"),
        pytest.param(field(1, field(1, b"\xff\xfe") + container("c", devices("r", "d"))), "utf-8", id="no-text"),
    ],
)
def test_parse_list_of_something_else_is_an_error_that_says_where(message: bytes, problem: str) -> None:
    with pytest.raises(PodResourcesError, match=problem):
        parse_list(message)


def test_every_beginning_of_an_answer_is_an_answer_or_an_error() -> None:
    message = pod("mlapps", "ner-0", container("server", devices("nvidia.com/gpu", "GPU-1::0", numa=1)))
    for length in range(1, len(message)):
        with pytest.raises(PodResourcesError):
            parse_list(message[:length])


def test_list_given_without_socket_says_so(tmp_path: Path) -> None:
    with pytest.raises(PodResourcesError, match="No such file"):
        list_given(str(tmp_path))


def test_list_given_of_something_that_is_no_socket_says_so(tmp_path: Path) -> None:
    (tmp_path / SOCKET).parent.mkdir()
    (tmp_path / SOCKET).write_text("", encoding="utf-8")
    with pytest.raises(PodResourcesError, match="is no socket"):
        list_given(str(tmp_path))


def test_list_given_without_grpc_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules: Any = sys.modules
    monkeypatch.setitem(modules, "grpc", None)
    monkeypatch.chdir(tmp_path)
    Path(SOCKET).parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(SOCKET)
        with pytest.raises(PodResourcesError, match="no gRPC library"):
            list_given(str(tmp_path))

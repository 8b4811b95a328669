# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kubelet's PodResources API over its socket, with the genuine gRPC on both ends."""

from __future__ import annotations

from concurrent import futures
from pathlib import Path
from typing import Any, Iterator

import grpc
import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.allocations import read_allocations
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_resources import (
    SOCKET,
    Given,
    PodResourcesError,
    list_given,
)

pytestmark = pytest.mark.integration

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"


def message(number: int, *parts: bytes) -> bytes:
    """A field of a protocol buffer that is a string or a message of less than 128 bytes."""
    content = b"".join(parts)
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


ANSWER = message(
    1,
    message(1, b"ner-0"),
    message(2, b"mlapps"),
    message(3, message(1, b"server"), message(2, message(1, b"nvidia.com/gpu"), message(2, b"GPU-1::0"))),
)


class Kubelet(grpc.GenericRpcHandler):
    """Serves List, whose request is empty. What it is asked besides is not implemented, as before version 1.27."""

    def __init__(self) -> None:
        self.refuses = False

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method != "/v1.PodResourcesLister/List":
            return None
        return grpc.unary_unary_rpc_method_handler(self._list)

    def _list(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        assert request == b""
        if self.refuses:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")
        return ANSWER


@pytest.fixture
def kubelet(tmp_path: Path) -> Iterator[Kubelet]:
    handler = Kubelet()
    (tmp_path / SOCKET).parent.mkdir()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=1))
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"unix://{tmp_path / SOCKET}")
    server.start()
    yield handler
    server.stop(None).wait()


def test_list_given_asks_the_kubelet(kubelet: Kubelet, tmp_path: Path) -> None:
    assert list_given(str(tmp_path)) == [Given("mlapps", "ner-0", "server", "nvidia.com/gpu", ("GPU-1::0",))]


def test_allocations_are_from_the_api_where_it_answers(kubelet: Kubelet, tmp_path: Path) -> None:
    (tmp_path / f"log/pods/mlapps_ner-0_{UID}").mkdir(parents=True)
    files = NodeFiles(str(tmp_path), str(tmp_path), str(tmp_path / "log"))
    assert read_allocations(files) == {
        "allocations": [
            {
                "pod_uid": UID,
                "namespace": "mlapps",
                "pod": "ner-0",
                "container": "server",
                "resource": "nvidia.com/gpu",
                "device_ids": ["GPU-1::0"],
            }
        ],
        "allocations_source": "pod_resources",
        "allocations_reason": None,
    }


def test_list_given_that_is_refused_says_so(kubelet: Kubelet, tmp_path: Path) -> None:
    kubelet.refuses = True
    with pytest.raises(PodResourcesError, match="answers: RESOURCE_EXHAUSTED: rejected by rate limit"):
        list_given(str(tmp_path))
    assert read_allocations(NodeFiles(str(tmp_path), str(tmp_path)))["allocations_source"] is None

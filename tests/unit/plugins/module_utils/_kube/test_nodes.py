# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from unit.plugins.fakes.fake_api import FakeApi, api_error, lost_answer
from unit.plugins.fakes.fake_clock import FakeClock

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import Nodes
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import TRIES
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import (
    DONE,
    PATCH,
    REFUSED,
    Decision,
    done,
    refuse,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodePatch, NodeState

PATH = "/api/v1/nodes/gpu-1"


class Open:
    """A fence that lets everything through and counts who asks."""

    asked = 0
    patience = 10.0

    def check(self) -> None:
        self.asked += 1


def label_once(node: NodeState) -> Decision:
    if node.labels.get("a") == "b":
        return done("already labelled")
    if node.labels.get("stop"):
        return refuse("stop")
    return Decision(PATCH, patch=NodePatch(labels={"a": "b"}), actions=("patch node gpu-1: label",))


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.put(PATH, {"spec": {}, "status": {}})
    return api


def nodes(api: FakeApi, fence: Open | None = None) -> Nodes:
    return Nodes(api, fence or Open(), FakeClock(), 4)


def seen(api: FakeApi) -> NodeState:
    return nodes(api).read(["gpu-1"])["gpu-1"]


def failing(api: FakeApi, error: ApiError, times: int = 1) -> None:
    left = [error] * times

    def fail(method: str, path: str) -> None:
        if method == "PATCH" and left:
            raise left.pop()

    api.faults.append(fail)


def test_read_leaves_out_what_does_not_exist(api: FakeApi) -> None:
    assert list(nodes(api).read(["gpu-1", "gpu-2"])) == ["gpu-1"]


def test_read_of_many_is_one_list(api: FakeApi) -> None:
    assert list(nodes(api).read([f"gpu-{number}" for number in range(100)])) == ["gpu-1"]
    assert api.requests.get == 1


def test_write_asks_the_fence_and_patches_once(api: FakeApi) -> None:
    fence = Open()
    written = nodes(api, fence).write(seen(api), label_once)
    assert (written.changed, fence.asked, len(api.writes)) == (True, 1, 1)
    assert written.after.labels == {"a": "b"}
    assert api.writes[0].body["metadata"]["resourceVersion"] == written.before.resource_version


def test_write_of_what_is_done_asks_nobody(api: FakeApi) -> None:
    fence = Open()
    api.change(PATH, {"metadata": {"labels": {"a": "b"}}})
    assert nodes(api, fence).write(seen(api), label_once).decision.verdict == DONE
    assert (fence.asked, len(api.writes)) == (0, 0)


def test_write_after_a_conflict_decides_on_the_new_state(api: FakeApi) -> None:
    node = seen(api)
    api.change(PATH, {"metadata": {"labels": {"stop": "1"}}})
    written = nodes(api).write(node, label_once)
    assert (written.decision.verdict, written.decision.reason) == (REFUSED, "stop")
    assert "a" not in api.objects[PATH]["metadata"]["labels"]


def test_write_after_a_conflict_with_an_unrelated_change_goes_on(api: FakeApi) -> None:
    node = seen(api)
    api.change(PATH, {"metadata": {"labels": {"other": "1"}}})
    assert nodes(api).write(node, label_once).changed
    assert api.objects[PATH]["metadata"]["labels"] == {"other": "1", "a": "b"}


@pytest.mark.parametrize("status", [409, 429, 500, 503, 504])
def test_write_survives_a_passing_trouble(api: FakeApi, status: int) -> None:
    failing(api, api_error("PATCH", PATH, status, "X"), times=TRIES - 1)
    assert nodes(api).write(seen(api), label_once).changed
    assert len(api.writes) == 1


def test_write_gives_up_at_last_with_what_it_saw(api: FakeApi) -> None:
    failing(api, api_error("PATCH", PATH, 500, "InternalError", "etcd is slow"), times=TRIES)
    written = nodes(api).write(seen(api), label_once)
    assert written.decision.verdict == REFUSED
    assert (
        "gave up after 6 tries: Cannot patch nodes gpu-1: the API answered 500 InternalError: etcd is slow"
        in written.decision.reason
    )


def test_write_whose_answer_is_lost_counts_as_written(api: FakeApi) -> None:
    node = seen(api)
    api.change(PATH, {"metadata": {"labels": {"a": "b"}}})  # what the unanswered patch did
    failing(api, lost_answer("PATCH", PATH))
    written = nodes(api).write(node, label_once)
    assert (written.changed, written.decision.actions) == (True, ("patch node gpu-1: label",))
    assert written.after.labels == {"a": "b"}


def test_write_to_a_node_that_is_gone_fails_for_that_node(api: FakeApi) -> None:
    node = seen(api)
    api.remove(PATH)
    assert nodes(api).write(node, label_once).decision == refuse("the node was deleted meanwhile")


def test_write_to_a_node_that_goes_after_a_conflict_fails_for_that_node(api: FakeApi) -> None:
    node = seen(api)

    def vanish(method: str, path: str) -> None:
        if method == "PATCH":
            api.remove(PATH)
            raise api_error("PATCH", PATH, 409, "Conflict")

    api.faults.append(vanish)
    assert nodes(api).write(node, label_once).decision == refuse("the node was deleted meanwhile")


@pytest.mark.parametrize("status", [401, 403])
def test_write_without_permission_ends_everything(api: FakeApi, status: int) -> None:
    failing(api, api_error("PATCH", PATH, status, "Forbidden"))
    with pytest.raises(ApiError):
        nodes(api).write(seen(api), label_once)


def test_write_that_is_invalid_fails_for_that_node_at_once(api: FakeApi) -> None:
    failing(api, api_error("PATCH", PATH, 422, "Invalid"))
    written = nodes(api).write(seen(api), label_once)
    assert (written.decision.verdict, len(api.writes)) == (REFUSED, 0)

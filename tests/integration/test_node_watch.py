# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proofs that rest on a watch of the nodes are worth what the watch is: it finds a breach of one moment, and no hole in it is passed over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from simulator.client import Client
from simulator.cluster import SimulatedCluster

from . import node_watch
from .node_law import REVISION, Sight, most_out_of_service
from .node_watch import MARK, NODES, NodeWatch

GPU = "nvidia.com/gpu"
#: Kubelets report nothing of themselves: every sight is of what a test does.
SCENARIO: dict[str, Any] = {
    "name": "two",
    "heartbeats": False,
    "nodes": [{"name": "node-1"}, {"name": "node-2"}],
    "history": [],
}
CORDON, UNCORDON = ({"spec": {"unschedulable": wanted}} for wanted in (True, None))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedCluster]:
    with SimulatedCluster.start(SCENARIO, tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def watch(cluster: SimulatedCluster) -> NodeWatch:
    """Of nodes that advertise nothing. Revision zero stands for that, revision four for four GPUs."""
    found = NodeWatch(cluster)
    for name in ("node-1", "node-2"):
        found.stands_for |= {(name, None): {}, (name, "zero"): {GPU: 0}, (name, "four"): {GPU: 4}}
    return found


def patch(cluster: SimulatedCluster, body: dict[str, Any], name: str = "node-2") -> None:
    cluster.client().patch(f"{NODES}/{name}", body)


def bear(cluster: SimulatedCluster, revision: str | None) -> None:
    patch(cluster, {"metadata": {"labels": {REVISION: revision}}})


def begin_and_lose(watch: NodeWatch) -> None:
    """Until it has ended of itself."""
    watch.begin()
    watch._thread.join(60)
    assert not watch._thread.is_alive()


def assert_hole(watch: NodeWatch, why: str) -> None:
    with pytest.raises(AssertionError, match=f"the watch of the nodes has a hole after 2 sights: .*{why}"):
        watch.broken()


def test_law_that_is_kept_passes_and_every_state_was_seen(cluster: SimulatedCluster, watch: NodeWatch) -> None:
    with watch:
        for revision in ("zero", None):
            bear(cluster, revision)
        patch(cluster, CORDON)
        for revision in ("four", None):
            bear(cluster, revision)
        patch(cluster, UNCORDON)
    states = [(sight.revision, sight.unschedulable) for sight in watch.seen if sight.node == "node-2"]
    expected = [
        (None, False),
        ("zero", False),
        (None, False),
        (None, True),
        ("four", True),
        (None, True),
        (None, False),
    ]
    assert list(dict.fromkeys(states)) == list(dict.fromkeys(expected))
    assert watch.broken() == []
    labels = [node["metadata"]["labels"] for node in cluster.client().items(NODES)]
    assert not any(MARK in found for found in labels)


@pytest.mark.parametrize("revision", ["four", "unheard-of"])
def test_law_that_is_broken_for_a_moment_is_found(cluster: SimulatedCluster, watch: NodeWatch, revision: str) -> None:
    with watch:
        for borne in (revision, None):
            bear(cluster, borne)
    (lie,) = watch.broken()
    assert lie.startswith(f"node-2 is schedulable with revision {revision}, which stands for ")
    assert lie.endswith("and advertises {}")


def test_law_that_is_broken_from_the_beginning_is_found(cluster: SimulatedCluster, watch: NodeWatch) -> None:
    watch.stands_for["node-1", None] = {GPU: 1}
    with watch:
        pass
    assert len(watch.broken()) == 1


def test_cordon_of_somebody_else_that_is_lifted_for_a_moment_is_found(
    cluster: SimulatedCluster, watch: NodeWatch
) -> None:
    patch(cluster, CORDON)
    with watch:
        patch(cluster, UNCORDON)
        patch(cluster, CORDON)
    patch(cluster, UNCORDON)
    assert watch.broken() == ["the cordon of node-2 was lifted, which was somebody else's"]


def test_node_that_comes_and_goes_is_found_unless_it_was_announced(cluster: SimulatedCluster, watch: NodeWatch) -> None:
    with watch:
        cluster.client().create(NODES, {"metadata": {"name": "node-3"}})
        cluster.client().delete(f"{NODES}/node-3")
    assert watch.broken() == ["node node-3 joined the cluster", "node node-3 left the cluster"]
    watch.may_go.add("node-3")
    assert watch.broken() == []


@pytest.mark.parametrize("known", [{}, {("node-9", None): {GPU: 1}}])
def test_watch_that_judges_nothing_fails(cluster: SimulatedCluster, watch: NodeWatch, known: dict[Any, Any]) -> None:
    watch.stands_for = known
    with watch:
        pass
    with pytest.raises(AssertionError, match=r"^(there is nothing to judge the nodes by|nothing was seen of node-9)"):
        watch.broken()


def test_watch_that_is_cut_fails(cluster: SimulatedCluster, watch: NodeWatch) -> None:
    cluster.fault("api", action="cut", path="watch=true", after_ms=50)
    begin_and_lose(watch)
    for revision in ("four", None):
        bear(cluster, revision)  # nobody sees it
    assert_hole(watch, "the server ended it")


def test_watch_that_the_server_ends_fails(
    cluster: SimulatedCluster, watch: NodeWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_watch, "WATCH_SECONDS", 1)
    begin_and_lose(watch)
    assert_hole(watch, "the server ended it")


def test_watch_that_begins_too_late_fails_and_is_not_tried_for_ever(cluster: SimulatedCluster) -> None:
    class Late(Client):
        """The server has forgotten what came since its list."""

        def get(self, path: str, **query: str) -> dict[str, Any]:
            listed = super().get(path, **query)
            return {**listed, "metadata": {"resourceVersion": "1"}}

    watch = NodeWatch(cluster, Late(cluster.kubeconfig))
    begin_and_lose(watch)
    assert_hole(watch, "event ERROR: too old resource version")


def test_watch_whose_thread_dies_fails(
    cluster: SimulatedCluster, watch: NodeWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_obj: object, _event: str) -> Sight:
        raise KeyError("what is this")

    watch.begin()
    monkeypatch.setattr(node_watch.Sight, "of", refuse)
    bear(cluster, None)
    patch(cluster, CORDON)
    patch(cluster, UNCORDON)
    assert_hole(watch, "KeyError: 'what is this'")


def test_watch_that_is_late_with_its_last_event_fails(
    cluster: SimulatedCluster, watch: NodeWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_watch, "MARK_SECONDS", 0.2)
    watch.begin()
    monkeypatch.setattr(watch, "_is_last", lambda _event: False)
    assert_hole(watch, "its last event was not delivered in time")


def test_what_fails_under_a_watch_is_what_is_told(cluster: SimulatedCluster, watch: NodeWatch) -> None:
    cluster.fault("api", action="cut", path="watch=true", after_ms=50)
    with pytest.raises(ValueError, match="of the test"), watch:
        raise ValueError("of the test")


def test_nodes_out_of_service_are_counted_at_their_worst_moment() -> None:
    def sight(node: str, out: bool, event: str = "MODIFIED") -> Sight:
        return Sight(node, event, None, out, False, {})

    seen = [sight("a", True), sight("b", True), sight("a", False), sight("c", True), sight("d", True)]
    assert most_out_of_service(seen) == 3
    assert most_out_of_service([*seen[:3], sight("b", True, "DELETED"), *seen[3:]]) == 2

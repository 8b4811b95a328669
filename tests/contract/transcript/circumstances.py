"""Circumstances of the recording that its requests do not show: what happened, or who waited, between two of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contract.transcript.replay import Replay

PATIENCE_SECONDS = 5.0
POLL_SECONDS = 0.005


async def _remember_token(replay: Replay) -> None:
    """The token that TokenRequest answered, for requests that are sent with it."""
    store = replay.cluster.registry
    account = store.get("serviceaccounts", "conf-test", "conf-sa")["metadata"]
    request = {
        "method": "POST",
        "path": "/api/v1/namespaces/conf-test/serviceaccounts/conf-sa/token",
        "content_type": "application/json",
        "body": {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}},
    }
    answer = await replay.send(request)
    assert account["uid"] == answer.body["metadata"]["uid"]
    replay.bindings.values["<sa token>"] = answer.body["status"]["token"]


async def _hold_disruption_controller(replay: Replay) -> None:
    """The moment between a change of a budget and the controller's answer to it."""
    replay.cluster.control_plane.engine.stop()
    for budget in replay.cluster.registry.store.list("policy/poddisruptionbudgets", "conf-test"):
        smaller = {"spec": {"minAvailable": budget["spec"].get("minAvailable", 1) + 1}}
        replay.cluster.registry.patch("policy/poddisruptionbudgets", "conf-test", budget["metadata"]["name"], smaller)


async def _release_controllers(replay: Replay) -> None:
    for budget in replay.cluster.registry.store.list("policy/poddisruptionbudgets", "conf-test"):
        larger = {"spec": {"minAvailable": budget["spec"]["minAvailable"] - 1}}
        replay.cluster.registry.patch("policy/poddisruptionbudgets", "conf-test", budget["metadata"]["name"], larger)
    replay.cluster.control_plane.engine.start(asyncio.get_running_loop())


async def _touch_unselected(replay: Replay) -> None:
    """An object that the watch's selector does not match comes and goes."""
    registry = replay.cluster.registry
    replay.block_revision = registry.store.revision
    registry.create("configmaps", {"metadata": {"name": "conf-unselected"}}, "conf-test")
    registry.delete("configmaps", "conf-test", "conf-unselected")


async def _forget_unselected(replay: Replay) -> None:
    replay.block_revision = replay.cluster.registry.store.revision


async def _compact(replay: Replay) -> None:
    """A token of a list whose history is forgotten then."""
    answer = await replay.send({"method": "GET", "path": "/api/v1/namespaces/conf-test/configmaps?limit=2"})
    replay.expired_token = answer.body["metadata"]["continue"]
    registry = replay.cluster.registry
    registry.create("configmaps", {"metadata": {"name": "conf-newer"}}, "default")
    replay.cluster.registry.store.compact("configmaps")


async def _stand_in_for_protobuf(replay: Replay) -> None:
    """What the protobuf body would have made; later steps read and delete it."""
    replay.cluster.registry.create("configmaps", {"metadata": {"name": "conf-pb"}}, "conf-test")


async def _stand_in_for_fork(replay: Replay) -> None:
    """The recorded control plane's fork put a second ConfigMap into every namespace; it counts in pages of lists."""
    annotations = {"service.beta.openshift.io/inject-cabundle": "true"}
    metadata = {"name": "openshift-service-ca.crt", "annotations": annotations}
    replay.cluster.registry.create("configmaps", {"metadata": metadata, "data": {"service-ca.crt": "pem"}}, "conf-test")


async def _wait_until(condition: Callable[[], bool]) -> None:
    end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while not condition() and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(POLL_SECONDS)


async def _let_nodes_be_annotated(replay: Replay) -> None:
    """The recording's client was a moment slower here than the controller that annotates new nodes."""
    nodes = replay.cluster.registry.store
    await _wait_until(lambda: all(node["metadata"].get("annotations") for node in nodes.list("nodes")))


async def _let_pods_be_bound(replay: Replay) -> None:
    """A pod that waited for room is bound once its back-off is over."""
    pods = replay.cluster.registry.store
    await _wait_until(lambda: all(pod["spec"].get("nodeName") for pod in pods.list("pods", "conf-test")))


PREPARATIONS: dict[str, Callable[[Replay], Awaitable[None]]] = {
    "deployments/scale-put": _let_pods_be_bound,
    "workload-nodes/node-status": _let_nodes_be_annotated,
    "workload-nodes/node-status-b": _let_nodes_be_annotated,
    "watch/setup-094": _let_nodes_be_annotated,
    "watch/bookmarks": _touch_unselected,
    "watch/bookmarks-idle": _forget_unselected,
    "watch/continue-expired": _compact,
    "eviction/pdb-stale-retry-after": _hold_disruption_controller,
}
CLEANUPS: dict[str, Callable[[Replay], Awaitable[None]]] = {
    "namespaces/create": _stand_in_for_fork,
    "negotiation/protobuf-create": _stand_in_for_protobuf,
    "rbac-and-tokens/token-request": _remember_token,
    "eviction/pdb-stale-retry-after": _release_controllers,
}

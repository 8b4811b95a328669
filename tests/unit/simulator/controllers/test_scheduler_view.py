from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from simulator.controllers.context import Context
from simulator.controllers.scheduler.view import SchedulerView
from simulator.store import Store


def test_older_change_of_a_node_that_arrives_last_is_not_taken_for_news() -> None:
    store = Store()
    due: list[Any] = []
    engine = SimpleNamespace(later=lambda seconds, call, *args: due.append((call, args)))
    pods = SimpleNamespace(nodes_with_pods=list, on_node=lambda name: [], listen=lambda call: None)
    changes: list[str] = []
    context = cast(Context, SimpleNamespace(store=store, engine=engine, pods=pods))
    view = SchedulerView(context, lambda: changes.append("changed"))
    tainted = {"taints": [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}]}
    node = {"metadata": {"name": "gpu-1", "uid": "1"}, "spec": {**tainted, "unschedulable": True}, "status": {}}
    store.put("nodes", node)
    store.put("nodes", {**node, "spec": tainted})
    store.put("nodes", {**node, "spec": {}})
    (uncordoned, untainted) = due
    for call, args in (untainted, uncordoned):
        call(*args)
    assert view.nodes["gpu-1"].node["spec"] == {}
    # The second one has told nothing.
    assert changes == ["changed"] * 2

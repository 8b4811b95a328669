# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Server-side apply through the registry: ownership, conflicts, removal."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.apiserver.options import WriteOptions
from simulator.registry import ApiError, Registry


@pytest.fixture
def registry() -> Registry:
    return Registry()


def apply(registry: Registry, manager: str, data: dict[str, str], *, force: bool = False) -> dict[str, Any]:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    options = WriteOptions(manager=manager, force=force)
    return registry.patch("configmaps", "default", "a", config, "apply", options=options)


def owners(obj: dict[str, Any]) -> dict[str, list[str]]:
    entries = obj["metadata"]["managedFields"]
    return {entry["manager"]: sorted(entry["fieldsV1"].get("f:data", {})) for entry in entries}


def test_what_a_manager_gives_up_is_removed_unless_others_own_it(registry: Registry) -> None:
    apply(registry, "one", {"a": "1", "b": "2"})
    shared = apply(registry, "two", {"a": "1", "c": "3"})
    assert owners(shared) == {"one": ["f:a", "f:b"], "two": ["f:a", "f:c"]}
    left = apply(registry, "one", {})
    assert left["data"] == {"a": "1", "c": "3"}


def test_other_value_of_an_owned_field_conflicts_unless_forced(registry: Registry) -> None:
    apply(registry, "one", {"a": "1", "b": "1"})
    with pytest.raises(ApiError) as conflict:
        apply(registry, "two", {"a": "2", "b": "2"})
    assert conflict.value.message == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b'
    assert [cause["field"] for cause in (conflict.value.details or {})["causes"]] == [".data.a", ".data.b"]
    forced = apply(registry, "two", {"a": "2", "b": "2"}, force=True)
    assert owners(forced) == {"two": ["f:a", "f:b"]}


def test_same_configuration_again_changes_nothing(registry: Registry) -> None:
    first = apply(registry, "one", {"a": "1"})
    assert apply(registry, "one", {"a": "1"}) is first


def test_patch_takes_ownership_and_apply_then_conflicts(registry: Registry) -> None:
    apply(registry, "one", {"a": "1"})
    registry.patch("configmaps", "default", "a", {"data": {"a": "2"}}, options=WriteOptions(manager="patcher"))
    with pytest.raises(ApiError, match='conflict with "patcher" using v1: .data.a'):
        apply(registry, "one", {"a": "1"})


def test_labels_of_a_node_can_be_owned_by_several(registry: Registry) -> None:
    registry.create(
        "nodes", {"metadata": {"name": "n", "labels": {"own": "1"}}}, options=WriteOptions(manager="kubelet")
    )

    def label(manager: str, labels: dict[str, str]) -> dict[str, Any]:
        config = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels}}
        return registry.patch("nodes", None, "n", config, "apply", options=WriteOptions(manager=manager))

    assert label("a", {"x": "1"})["metadata"]["labels"] == {"own": "1", "x": "1"}
    assert label("b", {"y": "2"})["metadata"]["labels"] == {"own": "1", "x": "1", "y": "2"}
    assert label("a", {})["metadata"]["labels"] == {"own": "1", "y": "2"}


def test_containers_merge_by_name(registry: Registry) -> None:
    def configure(manager: str, *containers: dict[str, Any]) -> dict[str, Any]:
        labels = {"app": "x"}
        template = {"metadata": {"labels": labels}, "spec": {"containers": list(containers)}}
        spec = {"selector": {"matchLabels": labels}, "template": template}
        config = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "ds"}, "spec": spec}
        options = WriteOptions(manager=manager)
        return registry.patch("apps/daemonsets", "default", "ds", config, "apply", options=options)

    main, side = {"name": "main", "image": "x:1"}, {"name": "side", "image": "y:1"}
    configure("one", main, side)
    assert configure("one", main)["metadata"]["generation"] == 2
    stored = registry.get("apps/daemonsets", "default", "ds")
    assert [item["name"] for item in stored["spec"]["template"]["spec"]["containers"]] == ["main"]
    with pytest.raises(ApiError, match=r'\.spec\.template\.spec\.containers\[name="main"\]\.image'):
        configure("two", {"name": "main", "image": "x:2"})

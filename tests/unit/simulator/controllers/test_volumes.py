from __future__ import annotations

from typing import Any

import pytest

from simulator.controllers.kubelet.volumes import MissingSourceError, PodVolumes

CONTAINER = {
    "name": "c",
    "volumeMounts": [
        {"name": "config", "mountPath": "/etc/app"},
        {"name": "one", "mountPath": "/etc/one.yaml", "subPath": "a.yaml"},
    ],
}


def volumes(sources: dict[str, dict[str, Any]], **config: Any) -> PodVolumes:
    definition = [
        {"name": "config", "configMap": {"name": "cm", **config}},
        {"name": "one", "configMap": {"name": "cm"}},
    ]
    return PodVolumes({"spec": {"volumes": definition}}, lambda kind, name: sources.get(name))


def test_file_directory_and_subpath_are_told_apart() -> None:
    pod = volumes({"cm": {"data": {"a.yaml": "A"}}})
    pod.mount()
    assert pod.read(CONTAINER, "/etc/app/a.yaml") == "A"
    assert pod.read(CONTAINER, "/etc/one.yaml") == "A"
    with pytest.raises(IsADirectoryError):
        pod.read(CONTAINER, "/etc/app")
    with pytest.raises(FileNotFoundError):
        pod.read(CONTAINER, "/etc/app/b.yaml")
    with pytest.raises(FileNotFoundError):
        pod.read(CONTAINER, "/elsewhere")


def test_missing_config_map_holds_the_pod_unless_optional() -> None:
    with pytest.raises(MissingSourceError, match='configmap "cm" not found'):
        volumes({}).mount()


def test_items_choose_and_rename_keys() -> None:
    pod = volumes({"cm": {"data": {"a.yaml": "A", "b": "B"}}}, items=[{"key": "b", "path": "deep/c"}])
    pod.mount()
    assert pod.read(CONTAINER, "/etc/app/deep/c") == "B"
    with pytest.raises(IsADirectoryError):
        pod.read(CONTAINER, "/etc/app/deep")


@pytest.mark.parametrize(("immutable", "seen"), [(False, "new"), (True, "old")])
def test_refresh_shows_new_content_of_mutable_config_maps_alone(immutable: bool, seen: str) -> None:
    sources: dict[str, dict[str, Any]] = {"cm": {"data": {"a.yaml": "old"}, "immutable": immutable}}
    pod = volumes(sources)
    pod.mount()
    sources["cm"] = {"data": {"a.yaml": "new"}}
    assert pod.read(CONTAINER, "/etc/app/a.yaml") == "old"
    pod.refresh("cm")
    assert pod.read(CONTAINER, "/etc/app/a.yaml") == seen

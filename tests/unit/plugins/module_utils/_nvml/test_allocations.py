# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which source allocations are from, and whose they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml import allocations
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.allocations import read_allocations
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.checkpoint import PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_resources import Given, PodResourcesError

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
GONE = "1d2e3f4a-5b6c-4d7e-8f90-a1b2c3d4e5f6"
GPU = "nvidia.com/gpu"


def checkpoint(root: Path, *entries: tuple[str, str, str, list[str]]) -> NodeFiles:
    data = [
        {"PodUID": uid, "ContainerName": name, "ResourceName": resource, "DeviceIDs": {"-1": ids}}
        for uid, name, resource, ids in entries
    ]
    (root / PATH).parent.mkdir(parents=True)
    (root / PATH).write_text(json.dumps({"Data": {"PodDeviceEntries": data}, "Checksum": 1}), encoding="utf-8")
    return NodeFiles(str(root), str(root), str(root / "log"))


def answer(monkeypatch: pytest.MonkeyPatch, given: List[Given] | None) -> None:
    def list_given(_root: str) -> List[Given]:
        if given is None:
            raise PodResourcesError("nobody listens")
        return given

    monkeypatch.setattr(allocations, "list_given", list_given)


def told(result: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [tuple(one.values()) for one in result["allocations"]]


def test_allocations_of_the_api_leave_out_pods_that_are_gone_and_name_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = checkpoint(tmp_path, (GONE, "main", GPU, ["GPU-2"]), (UID, "server", GPU, ["GPU-1::0", "GPU-1::1"]))
    answer(monkeypatch, [Given("mlapps", "ner-0", "server", GPU, ("GPU-1::0", "GPU-1::1"))])
    result = read_allocations(files)
    assert (result["allocations_source"], result["allocations_reason"]) == ("pod_resources", None)
    assert told(result) == [(UID, "mlapps", "ner-0", "server", GPU, ["GPU-1::0", "GPU-1::1"])]


def test_allocations_of_the_api_are_one_for_each_resource_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API has one entry for each NUMA node."""
    files = checkpoint(tmp_path, (UID, "server", GPU, ["GPU-1", "GPU-2"]))
    answer(
        monkeypatch,
        [
            Given("mlapps", "ner-0", "server", GPU, ("GPU-2",)),
            Given("mlapps", "ner-0", "server", GPU, ("GPU-1",)),
            Given("mlapps", "ner-0", "server", "rdma/hca", ("a",)),
        ],
    )
    assert told(read_allocations(files)) == [(UID, "mlapps", "ner-0", "server", GPU, ["GPU-1", "GPU-2"])]


def test_allocations_of_the_api_take_the_uid_from_the_logs_where_the_checkpoint_lacks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"log/pods/mlapps_ner-0_{UID}").mkdir(parents=True)
    answer(monkeypatch, [Given("mlapps", "ner-0", "server", GPU, ("GPU-1",))])
    result = read_allocations(NodeFiles(str(tmp_path), str(tmp_path), str(tmp_path / "log")))
    assert told(result) == [(UID, "mlapps", "ner-0", "server", GPU, ["GPU-1"])]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(None, id="no-answer"),
        pytest.param([Given("mlapps", "other", "server", GPU, ("GPU-9",))], id="pod-of-unknown-uid"),
    ],
)
def test_allocations_are_the_checkpoints_where_the_api_does_not_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[Given] | None
) -> None:
    files = checkpoint(tmp_path, (UID, "server", GPU, ["GPU-1"]), (GONE, "main", GPU, ["GPU-2"]))
    (tmp_path / f"log/pods/mlapps_ner-0_{UID}").mkdir(parents=True)
    answer(monkeypatch, given)
    result = read_allocations(files)
    assert (result["allocations_source"], result["allocations_reason"]) == ("checkpoint", None)
    assert told(result) == [
        (GONE, None, None, "main", GPU, ["GPU-2"]),
        (UID, "mlapps", "ner-0", "server", GPU, ["GPU-1"]),
    ]


def test_allocations_that_no_source_tells_say_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, None)
    result = read_allocations(NodeFiles(str(tmp_path), str(tmp_path)))
    assert (result["allocations"], result["allocations_source"]) == (None, None)
    assert "does not exist" in result["allocations_reason"]

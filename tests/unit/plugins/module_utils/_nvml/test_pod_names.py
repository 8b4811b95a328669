# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of pods by the directories of their logs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_names import PodName, PodNames

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
HASH = "5f1c0a9be37d24681357acd09b8e2f46"
ID = "3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a"


def log(root: Path, uid: str, container_id: str, name: str = "mlapps/ner-7d9f-x2k4q/server", restart: int = 0) -> Path:
    """A container's log as the kubelet lays it out."""
    namespace, pod, container = name.split("/")
    directory = root / "pods" / f"{namespace}_{pod}_{uid}" / container
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{restart}.log").write_text("", encoding="utf-8")
    links = root / "containers"
    links.mkdir(exist_ok=True)
    # cut as the kubelet cuts it
    link = links / (f"{pod}_{namespace}_{container}-{container_id}"[: 255 - len(".log")] + ".log")
    link.symlink_to(directory / f"{restart}.log")
    return link


def test_look_up_names_pod_and_container(tmp_path: Path) -> None:
    log(tmp_path, UID, ID)
    assert PodNames(str(tmp_path)).look_up(UID, ID) == PodName("mlapps", "ner-7d9f-x2k4q", "server")


def test_look_up_of_a_static_pod_goes_by_the_hash_of_its_manifest(tmp_path: Path) -> None:
    log(tmp_path, HASH, ID, "kube-system/gpu-probe-gpu-07.example/probe-1")
    assert PodNames(str(tmp_path)).look_up(HASH, ID) == PodName("kube-system", "gpu-probe-gpu-07.example", "probe-1")


def test_look_up_of_a_container_that_was_started_again(tmp_path: Path) -> None:
    log(tmp_path, UID, ID)
    names = PodNames(str(tmp_path))
    names.look_up(UID, ID)
    log(tmp_path, UID, ID[::-1], restart=1)
    assert names.look_up(UID, ID[::-1]).container == "server"


def test_look_up_tells_a_pod_that_came_later(tmp_path: Path) -> None:
    (tmp_path / "pods").mkdir()
    names = PodNames(str(tmp_path))
    assert names.look_up(UID, ID) == PodName()
    log(tmp_path, UID, ID)
    assert names.look_up(UID, ID).pod == "ner-7d9f-x2k4q"


def test_look_up_reads_a_directory_again_only_after_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log(tmp_path, UID, ID)
    for name in ("pods", "containers"):
        os.utime(tmp_path / name, (1, 1))
    names = PodNames(str(tmp_path))
    assert names.look_up(UID, ID).container == "server"
    monkeypatch.setattr(os, "listdir", lambda path: pytest.fail(f"{path} was listed again"))
    assert names.look_up(UID, ID).container == "server"
    assert names.look_up(HASH, ID[::-1]) == PodName()


def test_look_up_still_names_a_pod_that_is_gone(tmp_path: Path) -> None:
    log(tmp_path, UID, ID)
    names = PodNames(str(tmp_path))
    names.look_up(UID, ID)
    shutil.rmtree(tmp_path)
    assert names.look_up(UID, ID) == PodName("mlapps", "ner-7d9f-x2k4q", "server")


def test_look_up_of_a_container_whose_link_was_cut_off(tmp_path: Path) -> None:
    log(tmp_path, UID, ID, f"{'n' * 63}/{'p' * 100}/{'c' * 63}")
    assert PodNames(str(tmp_path)).look_up(UID, ID).container == "c" * 63


@pytest.mark.parametrize("uid", [None, "", HASH])
def test_look_up_without_a_known_pod_names_nothing(tmp_path: Path, uid: str) -> None:
    log(tmp_path, UID, ID)
    assert PodNames(str(tmp_path)).look_up(uid) == PodName()


def test_look_up_of_a_container_whose_pod_is_not_known_goes_by_its_id(tmp_path: Path) -> None:
    log(tmp_path, UID, ID)
    assert PodNames(str(tmp_path)).look_up(None, ID) == PodName("mlapps", "ner-7d9f-x2k4q", "server")
    assert PodNames(str(tmp_path)).look_up(None, ID[::-1]) == PodName()


def test_look_up_where_there_are_no_logs_names_nothing(tmp_path: Path) -> None:
    assert PodNames(str(tmp_path / "none")).look_up(UID, ID) == PodName()


def test_look_up_passes_over_what_is_of_others(tmp_path: Path) -> None:
    log(tmp_path, UID, ID)
    (tmp_path / "pods" / "old").mkdir()
    (tmp_path / "containers" / "vector-checkpoint.json").write_text("", encoding="utf-8")
    assert PodNames(str(tmp_path)).look_up(UID, ID).container == "server"


def test_look_up_of_a_container_without_a_link_names_it_where_it_is_the_only_one(tmp_path: Path) -> None:
    log(tmp_path, UID, ID).unlink()
    names = PodNames(str(tmp_path))
    assert names.look_up(UID, ID) == PodName("mlapps", "ner-7d9f-x2k4q", "server")
    log(tmp_path, UID, ID[::-1], "mlapps/ner-7d9f-x2k4q/init")
    assert names.look_up(UID, ID) == PodName("mlapps", "ner-7d9f-x2k4q", None)


def test_uid_of_a_name_is_told_where_it_is_one(tmp_path: Path) -> None:
    log(tmp_path, UID, ID)
    names = PodNames(str(tmp_path))
    assert names.uid_of("mlapps", "ner-7d9f-x2k4q") == UID
    assert names.uid_of("mlapps", "ner") is None
    # a pod of a StatefulSet that was just replaced
    log(tmp_path, HASH, ID[::-1])
    assert names.uid_of("mlapps", "ner-7d9f-x2k4q") is None

# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a process's cgroup is seen, and when it is not joined."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._access.cgroups import (
    CgroupError,
    Group,
    check_joinable,
    check_member,
    find_groups,
)

pytestmark = pytest.mark.node_side

V1 = "33 31 0:31 / /sys/fs/cgroup/devices rw,nosuid shared:9 - cgroup cgroup rw,devices\n"
TOGETHER = "33 31 0:31 / /sys/fs/cgroup/cpu,devices rw - cgroup cgroup rw,cpu,devices\n"
V2 = "35 24 0:28 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
UNIFIED = "36 31 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
POD = "/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope"


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "expected"),
    [
        (f"5:devices:{POD}\n0::/init.scope\n", V1, [(f"/sys/fs/cgroup/devices{POD}", 1)]),
        (f"5:cpu,devices:{POD}\n", TOGETHER, [(f"/sys/fs/cgroup/cpu,devices{POD}", 1)]),
        (f"0::{POD}\n", V2, [(f"/sys/fs/cgroup{POD}", 2)]),
        ("0::/\n", V2, [("/sys/fs/cgroup", 2)]),
        # a node seen from a pod with the host's process ids: its cgroups are mounted elsewhere, from above its own namespace
        (f"0::/../../..{POD}\n", V2.replace(" / /sys", " /../../.. /host/sys"), [(f"/host/sys/fs/cgroup{POD}", 2)]),
        # a part of the hierarchy is mounted, at a place with a space in its name
        (f"0::{POD}\n", f"35 24 0:28 /kubepods.slice /a\\040b rw - cgroup2 c rw\n{V2}", [(f"/a b/{POD[16:]}", 2)]),
    ],
    ids=["v1", "v1-together", "v2", "v2-root", "from-a-pod", "part"],
)
def test_find_groups(cgroup: str, mountinfo: str, expected: list[tuple[str, int]]) -> None:
    assert [(group.directory, group.version) for group in find_groups(cgroup, mountinfo)] == expected


def test_beside_version_1_version_2_counts_if_it_can_be_joined(tmp_path: Path) -> None:
    mountinfo = V1 + UNIFIED.replace("/sys/fs/cgroup/unified", str(tmp_path))
    (tmp_path / "x").mkdir()
    (tmp_path / "x/cgroup.procs").touch()

    def versions(path: str) -> list[int]:
        return [group.version for group in find_groups(f"5:devices:{POD}\n1:name=systemd:/x\n0::{path}\n", mountinfo)]

    assert versions("/x") == [1, 2]
    assert versions("/gone") == [1]
    assert versions("/../x") == [1]


@pytest.mark.parametrize(
    ("cgroup", "mountinfo", "words"),
    [
        (f"0::/../..{POD}\n", V2, "in a cgroup namespace or a container of its own"),
        (f"5:devices:{POD}\n0::/\n", UNIFIED, "is not below any mount"),
        (f"0::{POD} (deleted)\n", V2, "the container is ending"),
        ("", V2, "run this on the host itself"),
        (f"0::{POD}\n", "", "run this on the host itself"),
    ],
    ids=["namespace", "not-mounted", "deleted", "ended", "none"],
)
def test_find_groups_says_why_there_are_none(cgroup: str, mountinfo: str, words: str) -> None:
    with pytest.raises(CgroupError, match=words):
        find_groups(cgroup, mountinfo)


def group(directory: Path, **files: str) -> Group:
    (directory / "pod" / "one").mkdir(parents=True)
    for name, text in {"cgroup_procs": "7\n8\n", "cgroup_events": "populated 1\nfrozen 0\n", **files}.items():
        (directory / "pod" / "one" / name.replace("_", ".", 1)).write_text(text, encoding="ascii")
    return Group(str(directory / "pod" / "one"), str(directory), 2)


def test_process_that_is_not_in_the_cgroup_is_noticed(tmp_path: Path) -> None:
    found = group(tmp_path)
    check_member(found, 8)
    with pytest.raises(CgroupError, match="process 9 is not in"):
        check_member(found, 9)
    with pytest.raises(CgroupError, match="cannot be read"):
        check_member(Group(str(tmp_path / "none"), str(tmp_path), 2), 8)


def test_frozen_container_is_not_joined(tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match="frozen"):
        check_joinable(group(tmp_path, cgroup_events="populated 1\nfrozen 1\n"))


def test_container_without_memory_is_not_joined_unless_a_cache_gives_way(tmp_path: Path) -> None:
    mib = 1024 * 1024
    full = {"memory_max": f"{64 * mib}", "memory_current": f"{60 * mib}"}
    with pytest.raises(CgroupError, match="has 4 MiB of memory left"):
        check_joinable(group(tmp_path / "full", **full, memory_stat="anon 1\nactive_file 0\n"))
    check_joinable(group(tmp_path / "cached", **full, memory_stat=f"active_file {8 * mib}\ninactive_file {8 * mib}\n"))
    check_joinable(group(tmp_path / "free", memory_max="max\n", memory_current=f"{60 * mib}"))


def test_memory_of_the_pod_counts_too(tmp_path: Path) -> None:
    found = group(tmp_path)
    (tmp_path / "pod/memory.max").write_text("4096", encoding="ascii")
    (tmp_path / "pod/memory.current").write_text("4096", encoding="ascii")
    with pytest.raises(CgroupError, match="/pod has 0 MiB"):
        check_joinable(found)
    # In version 1 memory has another hierarchy.
    check_joinable(Group(found.directory, found.mount, 1))
